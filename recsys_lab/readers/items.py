"""The table of items: one row for each raw id, with or without side information."""

from typing import Any

import numpy as np
import polars as pl

from recsys_lab.readers.account import ReadAccount
from recsys_lab.readers.records import ITEM_SCHEMA

_FIELDS = [name for name in ITEM_SCHEMA if name not in ("item", "has_metadata")]
_PACKED = {"code": pl.Int32} | {name: ITEM_SCHEMA[name] for name in _FIELDS}
_PACKED["categories"] = pl.String
_CHUNK = 50_000  # items held as Python objects at a time


class ItemBuffer:
    """Side information as it is read; the nested categories are kept as JSON, which is small."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []
        self._columns: dict[str, list[Any]] = {name: [] for name in _PACKED}

    def extend(
        self,
        codes: list[int],
        titles: list[str | None],
        brands: list[str | None],
        categories: list[str | None],
        prices: list[float | None],
    ) -> None:
        """Append the descriptions of some items, the categories as JSON."""
        columns: tuple[list[Any], ...] = (codes, titles, brands, categories, prices)
        for column, values in zip(self._columns.values(), columns, strict=True):
            column.extend(values)
        if len(self._columns["code"]) >= _CHUNK:
            self._pack()

    def take(self, other: "ItemBuffer", code_of: np.ndarray) -> None:
        """Append the rows of another buffer, whose codes have other codes here."""
        self._pack()
        other._pack()
        self._frames += [
            rows.with_columns(code=pl.Series(code_of[rows["code"].to_numpy()], dtype=pl.Int32))
            for rows in other._frames
        ]

    def _pack(self) -> None:
        self._frames.append(pl.DataFrame(self._columns, schema=_PACKED))
        self._columns = {name: [] for name in _PACKED}

    def merged(self, account: ReadAccount) -> pl.DataFrame:
        """One row with the code and the fields of each item, packed; merged rows are noted."""
        self._pack()
        rows = _merge_duplicates(pl.concat(self._frames), account).rechunk()  # for gathering
        self._frames = []
        return rows


def _unpack_categories(texts: pl.Series) -> pl.Series:
    """Category paths of their texts; each distinct text, of which there are few, is read once."""
    distinct = texts.drop_nulls().unique().sort()
    place = distinct.search_sorted(texts).set(texts.is_null(), None)
    return distinct.str.json_decode(ITEM_SCHEMA["categories"]).gather(place)


def _merge_duplicates(rows: pl.DataFrame, account: ReadAccount) -> pl.DataFrame:
    """Of an item's rows the one with most fields, of equally full ones the smallest as JSON."""
    codes = rows["code"].to_numpy()
    counts = np.bincount(codes)
    if counts.max() == 1:
        return rows
    repeated = pl.Series(counts[codes] > 1)
    chosen = (
        rows.filter(repeated)
        .with_columns(
            pl.sum_horizontal(pl.col(_FIELDS).is_not_null()).alias("fullness"),
            pl.struct(_FIELDS).struct.json_encode().alias("json"),
        )
        .sort("code", "fullness", "json", descending=[False, True, False])
        .unique("code", keep="first", maintain_order=True)
        .select(rows.columns)
    )
    merged = pl.concat([rows.filter(~repeated), chosen])
    account.note("merged duplicates", len(rows) - len(merged))
    return merged


def complete_items(ids: pl.Series, metadata: pl.DataFrame | None = None) -> pl.DataFrame:
    """Rows with ITEM_SCHEMA in the order of ids; those without metadata are empty.

    Args:
        ids: the sorted vocabulary.
        metadata: the fields of some items, packed; their places in ids are in the column "row".
    """
    items = pl.DataFrame({"item": ids}, schema={"item": pl.String})
    if metadata is None:
        empty = [pl.lit(None, ITEM_SCHEMA[name]).alias(name) for name in _FIELDS]
        return items.with_columns(*empty, has_metadata=pl.lit(False)).select(ITEM_SCHEMA.keys())
    place = np.full(len(ids), -1, np.int32)
    place[metadata["row"].to_numpy()] = np.arange(len(metadata), dtype=np.int32)
    rows = pl.Series(place).set(pl.Series(place < 0), None)
    fields = {name: metadata[name].gather(rows) for name in _FIELDS}
    fields["categories"] = _unpack_categories(fields["categories"])
    return items.with_columns(**fields, has_metadata=rows.is_not_null()).select(ITEM_SCHEMA.keys())
