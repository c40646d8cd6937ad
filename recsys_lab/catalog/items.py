"""The table of items: one row for each raw id, whatever was said about it."""

import polars as pl

from recsys_lab.catalog.records import ITEM_SCHEMA
from recsys_lab.catalog.report import ReadReport

ITEM_FIELDS = {name: kind for name, kind in ITEM_SCHEMA.items() if name != "has_metadata"}


def merge_duplicates(metadata: pl.DataFrame, report: ReadReport) -> pl.DataFrame:
    """One row for each item; which one does not depend on the order of the rows.

    The row with most fields stays, of equally full ones that whose JSON sorts first.

    Args:
        metadata: rows with ITEM_FIELDS, several for an item that was described several times.
        report: notes how many rows were merged into another.
    """
    repeated = metadata["item"].is_duplicated()
    if not repeated.any():
        return metadata
    fields = [name for name in ITEM_FIELDS if name != "item"]
    chosen = (
        metadata.filter(repeated)
        .with_columns(
            pl.sum_horizontal(pl.col(fields).is_not_null()).alias("fullness"),
            pl.struct(fields).struct.json_encode().alias("json"),
        )
        .sort("item", "fullness", "json", descending=[False, True, False])
        .unique("item", keep="first", maintain_order=True)
        .select(ITEM_FIELDS.keys())
    )
    merged = pl.concat([metadata.filter(~repeated), chosen])
    report.note("merged duplicates", len(metadata) - len(merged))
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
