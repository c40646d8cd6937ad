"""The table of items: one row for each raw id, whatever was said about it."""

import orjson
import polars as pl

from recsys_lab.catalog.records import ITEM_SCHEMA
from recsys_lab.catalog.report import ReadReport

ITEM_FIELDS = {name: kind for name, kind in ITEM_SCHEMA.items() if name != "has_metadata"}
_PACKED = ITEM_FIELDS | {"categories": pl.String}
_CHUNK = 50_000  # items held as Python objects at a time


class ItemBuffer:
    """Side information as it is read; the nested categories wait as JSON, which is small."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []
        self._rows: list[tuple[str, str | None, str | None, str | None, float | None]] = []

    def add(
        self,
        item: str,
        title: str | None,
        brand: str | None,
        categories: list[list[str]] | None,
        price: float | None,
    ) -> None:
        """Append the description of one item."""
        packed = None if categories is None else orjson.dumps(categories).decode()
        self._rows.append((item, title, brand, packed, price))
        if len(self._rows) == _CHUNK:
            self._pack()

    def _pack(self) -> None:
        columns = dict(zip(_PACKED, zip(*self._rows, strict=True), strict=True))
        self._frames.append(pl.DataFrame(columns, schema=_PACKED))
        self._rows = []

    def merged(self, report: ReadReport) -> pl.DataFrame:
        """One row with ITEM_FIELDS for each item that was added; merged rows are noted."""
        if self._rows:
            self._pack()
        rows = _merge_duplicates(pl.concat(self._frames), report)
        return rows.with_columns(pl.col("categories").str.json_decode(ITEM_SCHEMA["categories"]))


def _merge_duplicates(rows: pl.DataFrame, report: ReadReport) -> pl.DataFrame:
    """Of an item's rows the one with most fields, of equally full ones the smallest as JSON."""
    repeated = rows["item"].is_duplicated()
    if not repeated.any():
        return rows
    fields = [name for name in ITEM_FIELDS if name != "item"]
    chosen = (
        rows.filter(repeated)
        .with_columns(
            pl.sum_horizontal(pl.col(fields).is_not_null()).alias("fullness"),
            pl.struct(fields).struct.json_encode().alias("json"),
        )
        .sort("item", "fullness", "json", descending=[False, True, False])
        .unique("item", keep="first", maintain_order=True)
        .select(rows.columns)
    )
    merged = pl.concat([rows.filter(~repeated), chosen])
    report.note("merged duplicates", len(rows) - len(merged))
    return merged


def complete_items(ids: pl.Series, metadata: pl.DataFrame | None = None) -> pl.DataFrame:
    """Rows with ITEM_SCHEMA in the order of ids; those without metadata are empty."""
    if metadata is None:
        metadata = pl.DataFrame(schema=ITEM_FIELDS)
    return (
        pl.DataFrame({"item": ids}, schema={"item": pl.String})
        .join(
            metadata.with_columns(has_metadata=pl.lit(True)),
            on="item",
            how="left",
            maintain_order="left",
        )
        .with_columns(pl.col("has_metadata").fill_null(False))
        .select(ITEM_SCHEMA.keys())
    )
