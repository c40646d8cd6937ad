"""A small folder of embeddings, for the tests of what reads it."""

from pathlib import Path

import numpy as np
import polars as pl

from recsys_lab.evaluation.histories import Histories, HistoryWeights
from recsys_lab.readers.records import ITEM_SCHEMA
from recsys_lab.vectors.parquet_columns import as_column
from recsys_lab.vectors.score_form import ScoreTables
from recsys_lab.vectors.store import (
    TEXT_COLUMNS,
    Content,
    Listed,
    SideInfo,
    write_embeddings,
    write_listed,
)
from recsys_lab.vectors.stored_lists import SCHEMA
from recsys_lab.vectors.stored_nodes import NodeVectors
from recsys_lab.vectors.users import UserHistories

IDS = ["0007", "a b", "c", "nan", "é😀"]


def small_content() -> Content:
    """Five items of which the last was never trained; pairs 0-1, 0-2, 1-3."""
    columns = {
        "item": IDS,
        "title": ["Red shoe", "Blue shoe", "Red hat", None, "Green hat"],
        "brand": ["Acme", "Acme", None, "Zeta", None],
        "categories": [[["Shoes"]], [["Shoes", "Blue"]], [["Hats"]], None, [["Hats"], ["New"]]],
        "price": [10.0, 20.0, None, 5.0, 7.5],
    }
    items = pl.DataFrame(columns, schema={name: ITEM_SCHEMA[name] for name in TEXT_COLUMNS})
    seen = np.array([True, True, True, True, False])
    items = items.with_columns(
        num_pairs=pl.Series([2, 2, 1, 1, 0], dtype=pl.Int32), seen=pl.Series(seen)
    )
    pairs = pl.DataFrame(
        {"head": [0, 0, 1], "tail": [1, 2, 3], "weight": [2.0, 1.0, 0.5], "relations": [3, 1, 0]},
        schema={"head": pl.Int32, "tail": pl.Int32, "weight": pl.Float32, "relations": pl.UInt8},
    )
    rng = np.random.default_rng(0)
    centers, contexts = rng.normal(size=(2, 5, 3)).astype(np.float32)
    bias = np.array([1, 0.5, 0, 0, 0], np.float32)
    info = {"score": "center_context", "relations": ["also_bought", "bought_together"]}
    tables = ScoreTables(centers, contexts, bias, both_ways=True)
    return Content(items, seen, tables, pairs, info)


def node_content() -> Content:
    """The small content with two labels, a type, and a user of three with an own vector."""
    plain, rng = small_content(), np.random.default_rng(2)
    centers, contexts = rng.normal(size=(2, 7, 3)).astype(np.float32)
    tables = ScoreTables(
        np.concatenate([plain.tables.queries, centers]),
        np.concatenate([plain.tables.keys, contexts]),
        np.concatenate([plain.tables.bias, np.array([0, 0, 0, 0, 0.5, 0, 1], np.float32)]),
        both_ways=True,
    )
    scored = np.concatenate([plain.scored, [True, True, False, True, True, True, False]])
    table = pl.DataFrame(
        {
            "row": [8, 9, 10, 11],
            "group": ["category", "category", "user_type", "user_type"],
            "name": ["Hats", "Shoes", "young", "old"],
            "count": [1, 2, 3, 0],
        }
    )
    histories = Histories(np.array([0, 2, 3, 4]), np.array([0, 1, 2, 4]), 5)
    weigh = HistoryWeights(decay=0.5)
    pooled = weigh(histories)
    pooled.resize(3, 12)
    users = UserHistories(pl.Series("user", ["u1", "u2", "u3"]), histories, pooled, weigh, first=5)
    info = dict(plain.info) | {"history": {"decay": 0.5, "last": None, "vector": "pooled"}}
    nodes = NodeVectors(table, tables, scored)
    return plain._replace(info=info, nodes=nodes, users=users)


def store_nodes(folder: Path) -> Path:
    """Write the content with nodes as the embeddings of a run; returns the run's folder."""
    write_embeddings(folder / "embeddings", node_content())
    return folder


def store(folder: Path) -> Path:
    """Write the small content as the embeddings of a run; returns the run's folder."""
    write_embeddings(folder / "embeddings", small_content())
    return folder


def store_lists(folder: Path, length: int = 2) -> Path:
    """The items with lists in place of vectors; the fourth item has a shorter list than `length`.

    The best of item r are the items before it, the nearest first, then those behind it.
    """
    content = small_content()
    scored = content.items.with_columns(scored=pl.Series(content.scored))
    lists = {0: [1, 2, 3], 1: [0, 2, 3], 2: [1, 0, 3], 3: [2]}
    rows = [
        (IDS[item], IDS[other], rank, 10.0 * item - rank)
        for item, others in lists.items()
        for rank, other in enumerate(others[:length], 1)
    ]
    path = folder / "made.parquet"
    folder.mkdir(exist_ok=True)
    pl.DataFrame(rows, SCHEMA, orient="row").write_parquet(path)
    info = dict(content.info) | {"score": "mixture"}
    write_listed(folder / "embeddings", Listed(scored, content.pairs, info, path, length))
    return folder


def side_info_content() -> tuple[Content, np.ndarray, np.ndarray]:
    """The small content with side information, and what items have of their own.

    Brands and categories are the fields; the last item is cold, and scored by "Hats" alone.

    Returns:
        The content, and the weighted own vectors (5, 3) of centers and of contexts.
    """
    plain, rng = small_content(), np.random.default_rng(1)
    labels = [("brand", "Acme"), ("brand", "Zeta"), *(("category", x) for x in ("Blue", "Hats"))]
    labels.append(("category", "Shoes"))
    centers, contexts = rng.normal(size=(2, 5, 3)).astype(np.float32)
    values = pl.DataFrame(labels, schema=["field", "label"], orient="row").with_columns(
        as_column("center", centers), as_column("context", contexts)
    )
    # shares of the values in the mean of their field, by item
    brand = np.array([[1, 0], [1, 0], [0, 0], [0, 1], [0, 0]])
    category = np.array([[0, 0, 1], [0.5, 0, 0.5], [0, 1, 0], [0, 0, 0], [0, 1, 0]])
    weights = np.array([[3, 3, 3], [2, 4, 3], [5, 0, 5], [6, 4, 0], [0, 0, 10]], np.float32) / 10
    own = rng.normal(size=(2, 5, 3)).astype(np.float32) * weights[:, :1]
    sums = [
        part + weights[:, 1:2] * (brand @ v[:2]) + weights[:, 2:] * (category @ v[2:])
        for part, v in zip(own, (centers, contexts), strict=True)
    ]
    tables = ScoreTables(*(x.astype(np.float32) for x in sums), plain.tables.bias, both_ways=True)
    info = dict(plain.info) | {"fields": ["brand", "category"], "price_edges": []}
    side = SideInfo(values, weights, weights)
    content = plain._replace(scored=np.ones(5, bool), tables=tables, info=info, side_info=side)
    return content, own[0], own[1]
