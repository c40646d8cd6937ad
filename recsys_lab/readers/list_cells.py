"""Cells that hold lists: a row of a user and its items becomes a row for each of them."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import orjson
import polars as pl

from recsys_lab.readers.json_tables import parse
from recsys_lab.readers.table_form import SAMPLE

WITHOUT_ITEM = "user without an item"
UNEQUAL = "lists of different lengths"
_IN_LIST = r"[^\s,;|\[\]()\"']+"


def are_lists(cells: pl.Series) -> bool:
    """Whether most cells that hold something hold a list: by its type, or as text in brackets."""
    if isinstance(cells.dtype, pl.List | pl.Array):
        return True
    known = list(cells.drop_nulls().head(SAMPLE)) if cells.dtype == pl.String else []
    return 2 * sum(_list_of(cell) is not None for cell in known) > len(known)


def as_lists(cells: pl.Series) -> pl.Series:
    """Cells as lists; of text, lists of text, and what is no list as the one value of a list."""
    if isinstance(cells.dtype, pl.Array):
        return cells.cast(pl.List(cells.dtype.inner))
    if isinstance(cells.dtype, pl.List):
        return cells
    lists = [
        None if cell is None else [cell] if (found := _list_of(cell)) is None else found
        for cell in cells.cast(pl.String)
    ]
    return pl.Series(cells.name, lists, dtype=pl.List(pl.String))


def _list_of(cell: str) -> list[str | None] | None:
    """The values of a list in JSON or Python as text; None where a cell is none."""
    value = parse(cell) if cell[:1] == "[" else None
    return [text_of(x) for x in value] if isinstance(value, list) else None


def text_of(value: Any) -> str | None:
    """A value of JSON as text: a string as it is, anything else as JSON."""
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def spread(rows: pl.DataFrame, roles: Collection[str]) -> pl.DataFrame:
    """A row for each item of the lists of items, with the same place of the other lists.

    What is no list holds for all items of its row, but one list of items that were shown, which
    belongs to the last. A row without an item stays one. Where another list is longer or shorter
    than that of items, the rows get a reason, and nothing of it.

    Args:
        rows: as `NamedColumns.batches` gives them.
        roles: of their columns.
    """
    items = as_lists(rows["item"])
    counts = items.list.len().fill_null(0).to_numpy().astype(np.int64)
    lengths = np.maximum(counts, 1)
    of, ends = np.repeat(np.arange(len(rows)), lengths), np.cumsum(lengths)
    place = np.arange(len(of)) - np.repeat(ends - lengths, lengths)
    columns = {"item": items.explode(empty_as_null=True)}
    unequal = np.zeros(len(rows), bool)
    for role in (role for role in roles if role != "item" and are_lists(rows[role])):
        cells = as_lists(rows[role])
        if role == "shown" and not are_lists(cells.explode()):
            columns[role] = _gather(cells, np.where(place + 1 == lengths[of], of, -1))
            continue
        sizes = cells.list.len().cast(pl.Int64).fill_null(-1).to_numpy()
        fits = (sizes == counts) & (counts > 0)
        unequal |= (sizes >= 0) & (sizes != counts)
        taken = np.where(fits[of], np.cumsum(fits[of]) - 1, -1)
        columns[role] = _gather(cells.filter(pl.Series(fits)).explode(), taken)
    reasons = [
        pl.when(pl.Series(counts[of] == 0)).then(pl.lit(WITHOUT_ITEM)),
        pl.when(pl.Series(unequal[of])).then(pl.lit(UNEQUAL)),
    ]
    frame = rows.drop(columns)[of].with_columns(**columns)
    return frame.with_columns(
        reason=pl.coalesce("reason", *reasons),
        digest=pl.struct("digest", pl.Series("place", place)).hash(),
    )


def _gather(values: pl.Series, places: np.ndarray) -> pl.Series:
    """Values at some places; null at -1."""
    chosen = pl.Series(places)
    return values.gather(chosen.set(chosen < 0, None))


def shown_lists(cells: pl.Series) -> pl.Series:
    """Lists of shown items, of any form: lists, or text between bars, commas or spaces."""
    if are_lists(cells):
        lists = as_lists(cells).cast(pl.List(pl.String))
    elif cells.str.contains("|", literal=True).any():
        lists = cells.str.split("|")
    else:
        lists = cells.str.extract_all(_IN_LIST)
    lists = lists.fill_null(pl.Series([[]], dtype=pl.List(pl.String)))
    return lists.list.eval(pl.element().str.strip_chars().filter(pl.element() != ""))


# -- lists of objects ----------------------------------------------------------------------------


def with_lists_of_fields(value: Any) -> Any:
    """An object whose lists of objects are lists of their fields; anything else as it is."""
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for name, cell in value.items():
        if isinstance(cell, list) and cell and all(isinstance(x, dict) for x in cell):
            for key in dict.fromkeys(key for x in cell for key in x):
                found[_inner_name(name, key, value)] = [x.get(key) for x in cell]
        else:
            found[name] = cell
    return found


def is_row(line: bytes) -> bool:
    """Whether a line is one object of a table, with a value beside its lists."""
    value = parse(line)
    return isinstance(value, dict) and any(not isinstance(x, list | dict) for x in value.values())


def without_lists_of_structs(rows: pl.DataFrame) -> pl.DataFrame:
    """The same for the columns of a table."""
    columns = []
    for name, kind in rows.schema.items():
        inner = kind.inner if isinstance(kind, pl.List | pl.Array) else None
        if not isinstance(inner, pl.Struct):
            columns.append(pl.col(name))
            continue
        lists = pl.col(name).cast(pl.List(inner)).list
        for key in (field.name for field in inner.fields):
            field = lists.eval(pl.element().struct.field(key))
            columns.append(field.alias(_inner_name(name, key, rows.schema)))
    return rows.select(columns)


def _inner_name(name: str, key: str, outer: Mapping[str, Any]) -> str:
    return f"{name}.{key}" if key in outer else key
