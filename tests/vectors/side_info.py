"""A small folder of embeddings with side information."""

from pathlib import Path

import numpy as np
import polars as pl

from recsys_lab.vectors.parquet_columns import as_column
from recsys_lab.vectors.score_form import ScoreTables
from recsys_lab.vectors.store import Content, SideInfo, write_embeddings
from tests.vectors.stored import small_content


def store_side_info(folder: Path, price_edges: list[float] | None = None) -> Path:
    """Five items; values are brand A&B, categories X and Y and two bins of the price."""
    content = small_content()
    values = pl.DataFrame(
        {
            "field": ["brand", "category", "category", "price", "price"],
            "label": ["A&B", "X", "Y", "2 to 6", "6 to 20"],
        }
    ).with_columns(
        as_column("center", np.array([[1, 0], [0, 1], [0, 3], [5, 5], [7, 7]])),
        as_column("context", np.array([[2, 0], [0, 2], [0, 6], [1, 1], [3, 3]])),
    )
    weights = np.full((5, 4), 0.25, np.float32)
    rng = np.random.default_rng(0)
    centers, contexts = rng.normal(size=(2, 5, 2)).astype(np.float32)
    info = {
        "score": "center_context",
        "relations": [],
        "fields": ["brand", "category", "price"],
        "price_edges": [2.0, 6.0, 20.0] if price_edges is None else price_edges,
        "cold_bias": 0.5,
    }
    tables = ScoreTables(centers, contexts, content.tables.bias, both_ways=True)
    side_info = SideInfo(values, weights, weights)
    write_embeddings(
        folder / "embeddings",
        Content(content.items, content.scored, tables, content.pairs, info, side_info),
    )
    return folder
