"""The folder `embeddings/` of a run: what it holds, written and read in one place.

- `items.parquet`: a row for each item, with its vectors.
- `pairs.parquet`: the training pairs, by row number, with the relations they were listed under.
- `values.parquet`: vectors of brands, categories and price bins, for models of side information.
- `users.parquet`: users of an event log with their vectors and histories (`vectors.users`).
- `nodes.parquet`: types of users, types of items and labels with their vectors
  (`vectors.stored_nodes`).
- `lists.parquet`: similar items of each item, of a run whose score no vectors give; its
  `items.parquet` has no vectors (`vectors.stored_lists`).
- `embeddings.json`: what the vectors are and how they were measured.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from recsys_lab.readers.records import ITEM_SCHEMA
from recsys_lab.results.files import atomic_folder
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.parquet_columns import PARQUET, ROWS, Table, as_column, reading, sink
from recsys_lab.vectors.score_form import ScoreTables, fold, folded_dimension
from recsys_lab.vectors.stored_info import find_fault

if TYPE_CHECKING:
    from recsys_lab.vectors.stored_nodes import NodeVectors
    from recsys_lab.vectors.users import UserHistories

FOLDER = "embeddings"
FORMAT = 1  # raise it when the files change so that earlier code cannot read them
ITEMS, PAIRS, VALUES, INFO = "items.parquet", "pairs.parquet", "values.parquet", "embeddings.json"
USERS, NODES, LISTS = "users.parquet", "nodes.parquet", "lists.parquet"
TEXT_COLUMNS = ("item", "title", "brand", "categories", "price")
VECTOR_COLUMNS = ("vector", "query", "key")
WEIGHT_COLUMNS = ("center_weights", "context_weights")
ADDED_COLUMN = "added"  # what the vector of an added item is made from; null for items of the run

PAIR_SCHEMA = {"head": pl.Int32, "tail": pl.Int32, "weight": pl.Float32, "relations": pl.UInt8}
_KINDS: dict[str, pl.DataType] = {"seen": pl.Boolean(), "scored": pl.Boolean()}


class SideInfo(NamedTuple):
    """What encodes an item from its side information.

    The stored vector of an item is the sum of its own vector and of the mean vectors of its fields,
    by the weights. Those of a cosine are divided by the length of that sum.

    Attributes:
        values: field, label, center (D) and context (D) of every value that training met, and
            content (C) where the score has the cosine of labels: C more columns behind those D.
        center_weights: (N, 1 + F) of the own vector and of the mean vector of each field.
        context_weights: (N, 1 + F).
    """

    values: pl.DataFrame
    center_weights: np.ndarray
    context_weights: np.ndarray


class Content(NamedTuple):
    """What `write_embeddings` writes.

    Attributes:
        items: N rows with TEXT_COLUMNS, num_pairs and seen.
        scored: (N,) bool, items that the model can score; the vectors of the others become zero.
        tables: the vectors of the items.
        pairs: head, tail, weight and relations of the training pairs, in ascending order.
        info: goes into `embeddings.json` beside format, number of items and dimensions.
        side_info: None for models without it.
        users: None where there are none, or none are to be kept.
        nodes: None where nothing but items has a vector of its own.
    """

    items: pl.DataFrame
    scored: np.ndarray
    tables: ScoreTables
    pairs: pl.DataFrame
    info: Mapping[str, Any]
    side_info: SideInfo | None = None
    users: "UserHistories | None" = None
    nodes: "NodeVectors | None" = None

    @property
    def biased(self) -> bool:
        """Whether anything that has a vector has a bias."""
        return self.tables.biased or (self.nodes is not None and self.nodes.tables.biased)


def write_embeddings(folder: Path, content: Content) -> None:
    """Write the folder atomically, in pieces, so that memory stays bounded."""
    tables = content.tables
    info = dict(content.info) | {
        "format": FORMAT,
        "num_items": content.items.height,
        "num_scored": int(content.scored.sum()),
        "dimension": tables.queries.shape[1],
        "both_ways": tables.both_ways,
        "directed": tables.directed,
        "biased": content.biased,
    }
    with atomic_folder(folder) as part:
        sink(_item_frames(content, content.biased), part / ITEMS)
        if content.side_info is not None:
            content.side_info.values.write_parquet(part / VALUES)
        _write_beside(part, content)
        _write_pairs_and_info(part, content.pairs, info)


def _write_pairs_and_info(part: Path, pairs: pl.DataFrame, info: Mapping[str, Any]) -> None:
    pairs.write_parquet(part / PAIRS, compression="zstd", compression_level=1)
    text = json.dumps(dict(info), indent=2, sort_keys=True, allow_nan=False)
    (part / INFO).write_text(text, encoding="utf-8")


def _write_beside(part: Path, content: Content) -> None:
    """Write what has a vector beside the items."""
    tables, scored, nodes = content.tables, content.scored, content.nodes
    if nodes is not None:
        from recsys_lab.vectors.stored_nodes import write_nodes

        write_nodes(part / NODES, nodes, biased=content.biased)
        tables, scored = nodes.tables, nodes.scored
    if content.users is not None:
        from recsys_lab.vectors.users import write_users  # late: imports of half a second

        write_users(part / USERS, content.users, tables, scored, biased=content.biased)


class Listed(NamedTuple):
    """What `write_listed` writes: lists of items in place of vectors.

    Attributes:
        items: N rows with TEXT_COLUMNS, num_pairs, seen and scored: whether an item has a list.
        pairs: as of `Content`.
        info: goes into `embeddings.json`.
        lists: the file of the lists, which is moved into the folder.
        length: the lists have so many items, or all that have a score.
    """

    items: pl.DataFrame
    pairs: pl.DataFrame
    info: Mapping[str, Any]
    lists: Path
    length: int


def write_listed(folder: Path, content: Listed) -> None:
    """Write the folder of a run that has lists and no vectors, atomically."""
    info = dict(content.info) | {
        "format": FORMAT,
        "num_items": content.items.height,
        "num_scored": int(content.items["scored"].sum()),
        "dimension": 0,
        "both_ways": False,
        "biased": False,
        "list_length": content.length,
    }
    with atomic_folder(folder) as part:
        content.items.write_parquet(part / ITEMS, compression="zstd")
        _write_pairs_and_info(part, content.pairs, info)
        content.lists.rename(part / LISTS)


def read_info(folder: Path) -> dict[str, Any]:
    """The contents of `embeddings.json`.

    Raises:
        VectorsError: the file is damaged, or of a later format.
    """
    path = folder / INFO
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise VectorsError(f"cannot read {path} ({error}): write the embeddings again") from error
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        found = info.get("format") if isinstance(info, dict) else None
        raise VectorsError(
            f"{path} has format {found}, this version reads {FORMAT}: use the version that wrote it"
        )
    if fault := find_fault(info):
        raise VectorsError(f"{path} is damaged ({fault}): write the embeddings again")
    return info


def has_lists(info: Mapping[str, Any]) -> bool:
    """Whether a folder holds lists in place of vectors, by its `embeddings.json`."""
    return info.get("list_length") is not None


def read_pairs(folder: Path, num_items: int) -> pl.DataFrame:
    """The training pairs that are kept beside the items.

    Raises:
        VectorsError: the file is damaged.
    """
    path = folder / PAIRS
    with reading(path):
        pairs = pl.read_parquet(path)
    if dict(pairs.schema) != PAIR_SCHEMA:
        raise VectorsError(f"{path} has other columns than pairs of items: write it again")
    is_there = pl.all_horizontal(pl.col("head", "tail").is_between(0, num_items, closed="left"))
    if pairs.select(~is_there.fill_null(False).all()).item() or any(pairs.null_count().row(0)):
        raise VectorsError(f"{path} is damaged: it names items that are not there; write it again")
    return pairs


def _check_ids(path: Path, ids: pl.Series) -> None:
    """Refuse a file from elsewhere in which a row has no id, or that of another row."""
    if ids.null_count():
        raise VectorsError(f"{path}: {ids.null_count():,} rows have no id in column item")
    if repeated := int(ids.is_duplicated().sum()):
        first = ids.filter(ids.is_duplicated())[0]
        raise VectorsError(
            f"{path}: {repeated:,} rows share their id with another, such as {first!r}; keep one "
            "of each"
        )


def check_columns(path: Path, columns: Mapping[str, pl.DataType], info: Mapping[str, Any]) -> None:
    """Refuse a table of items that lacks a column, or has one of another type.

    Args:
        path: of the table.
        columns: of the table.
        info: contents of `embeddings.json`; empty for a file from elsewhere.

    Raises:
        VectorsError: naming the column.
    """
    if "item" not in columns or not (has_lists(info) or {"vector", "query"} & set(columns)):
        raise VectorsError(f"{path} needs the columns item and vector, it has {', '.join(columns)}")
    for name, kind in columns.items():
        if not _is_usable(name, kind):
            wanted = {"num_pairs": pl.Int32, **ITEM_SCHEMA}.get(name, "Array(Float32)")
            raise VectorsError(f"{path}: the column {name} is {kind}, not {wanted}: convert it")
    if info:
        _check_described(path, columns, info)


def _check_described(
    path: Path, columns: Mapping[str, pl.DataType], info: Mapping[str, Any]
) -> None:
    """Refuse a table of items that is not what `embeddings.json` says."""
    dimension, is_biased = info["dimension"], info["biased"]
    long = folded_dimension(dimension, both_ways=info["both_ways"], biased=is_biased)
    widths = dict(zip(VECTOR_COLUMNS, (dimension, long, long), strict=True))
    if fields := info.get("fields"):
        widths |= dict.fromkeys(WEIGHT_COLUMNS, 1 + len(fields))
    wanted = _KINDS | {name: pl.Array(pl.Float32, width) for name, width in widths.items()}
    if ADDED_COLUMN in columns:
        wanted[ADDED_COLUMN] = pl.String()
    for name, kind in wanted.items():
        if columns.get(name, kind) != kind:
            raise VectorsError(
                f"{path} is damaged: the column {name} is {columns[name]}, not {kind}; write the "
                "embeddings again"
            )


def complete_rows(path: Path, items: pl.DataFrame, info: Mapping[str, Any]) -> pl.DataFrame:
    """A table of items with all columns that `Embeddings.items` has.

    One that lacks rows or values, or, from elsewhere, repeats an id, is refused.

    Args:
        path: of the table.
        items: its rows, without vectors.
        info: contents of `embeddings.json`; empty for a file from elsewhere.

    Raises:
        VectorsError: naming how many there are.
    """
    absent = [name for name in TEXT_COLUMNS if name not in items.columns]
    items = items.with_columns(pl.lit(None).alias(name) for name in absent)
    absent = [name for name in ("seen", "scored") if name not in items.columns]
    items = items.with_columns(pl.lit(True).alias(name) for name in absent)
    if not info:
        _check_ids(path, items["item"])
        return items
    whole = [name for name in ("item", "seen", "scored") if items[name].null_count()]
    if whole or items.height != info["num_items"]:
        raise VectorsError(
            f"{path} is damaged: it has {items.height:,} of {info['num_items']:,} items"
            f"{f' and gaps in {whole[0]}' if whole else ''}; write the embeddings again"
        )
    return items


def _is_usable(name: str, kind: pl.DataType) -> bool:
    """Whether a column has the type that its name promises; others are not read."""
    if name in VECTOR_COLUMNS:
        return isinstance(kind, pl.Array) and kind.inner.is_float()
    if name == "num_pairs":
        return kind.is_integer()
    if name not in TEXT_COLUMNS or kind == ITEM_SCHEMA[name]:
        return True
    return (name != "item" and kind == pl.Null) or (name == "price" and kind.is_numeric())


def _item_frames(content: Content, biased: bool) -> Table:
    """Schema and pieces of the table of items."""
    tables, side = content.tables, content.side_info
    dim = tables.queries.shape[1]
    long = folded_dimension(dim, both_ways=tables.both_ways, biased=biased)
    schema = dict(content.items.schema) | {"scored": pl.Boolean()}
    for name, width in zip(VECTOR_COLUMNS, (dim, long, long), strict=True):
        schema[name] = pl.Array(pl.Float32, width)
    if side is not None:
        for name in WEIGHT_COLUMNS:
            schema[name] = pl.Array(pl.Float32, side.center_weights.shape[1])

    def frames() -> Iterator[pl.DataFrame]:
        for start in range(0, content.items.height, ROWS):
            rows = slice(start, start + ROWS)
            scored = content.scored[rows]
            some = tables.take(rows)
            query, key = fold(some, biased=biased)
            columns = [pl.Series("scored", scored)]
            for name, vectors in zip(VECTOR_COLUMNS, (some.queries, query, key), strict=True):
                columns.append(as_column(name, np.where(scored[:, None], vectors, 0)))
            if side is not None:
                columns.append(as_column(WEIGHT_COLUMNS[0], side.center_weights[rows]))
                columns.append(as_column(WEIGHT_COLUMNS[1], side.context_weights[rows]))
            yield content.items.slice(start, ROWS).with_columns(columns)

    return pl.Schema(schema), frames


def extend_embeddings(
    folder: Path,
    parent: Path,
    content: Content,
    write_users: Callable[[Path], None] | None = None,
) -> None:
    """Write a folder atomically that holds the items of another one and, behind them, new ones.

    Args:
        folder: it is written.
        parent: the other one; its rows of items and its values are taken as they are.
        content: of the new items; its pairs and info are those of the whole folder.
        write_users: writes the file of users; None: that of the parent is taken as it is.
    """
    with atomic_folder(folder) as part:
        # with the dimensions of the parent, also where all biases of the new items are zero
        biased = bool(content.info.get("biased"))
        sink(_item_frames(content, biased), part / "new")
        both = [pl.scan_parquet(parent / ITEMS), pl.scan_parquet(part / "new")]
        pl.concat(both, how="diagonal_relaxed").sink_parquet(part / ITEMS, **PARQUET)
        (part / "new").unlink()
        for name in (VALUES, NODES, *(() if write_users else (USERS,))):
            if (parent / name).is_file():
                shutil.copy(parent / name, part / name)  # with its permissions
        if write_users is not None:
            write_users(part / USERS)
        _write_pairs_and_info(part, content.pairs, content.info)
