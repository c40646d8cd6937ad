"""What the page tells of an item: title, brand, categories, price."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from recsys_lab.serve.served_runs import ServedRun

_COLUMNS = ("item", "title", "brand", "categories", "price", "num_pairs")


@dataclass(frozen=True)
class ShownItem:
    """An item in words. What a catalogue does not tell is empty, or None for numbers."""

    item: str
    title: str
    brand: str
    paths: tuple[tuple[str, ...], ...]
    price: float | None
    num_pairs: int | None

    @property
    def name(self) -> str:
        """The title, or the id of an item without one."""
        return self.title or self.item

    @property
    def category(self) -> str:
        """The narrowest labels of its categories."""
        return ", ".join(path[-1] for path in self.leaves)

    @property
    def leaves(self) -> list[tuple[str, ...]]:
        """A path for each distinct narrowest label."""
        return list({path[-1]: path for path in reversed(self.paths)}.values())[::-1]


def shown_items(runs: Sequence[ServedRun], run: ServedRun, rows: np.ndarray) -> list[ShownItem]:
    """Items by their rows in a run; a title that its catalogue lacks is taken from another run."""
    found = [_shown(row) for row in _table(run)[np.asarray(rows, np.int64)].iter_rows(named=True)]
    asked = {run.vocabulary}
    for other in runs:
        absent = [shown.item for shown in found if not shown.title]
        if absent and other.vocabulary not in asked:
            asked.add(other.vocabulary)
            known = _table(other).filter(pl.col("item").is_in(absent))
            by_item = {row["item"]: _shown(row) for row in known.iter_rows(named=True)}
            found = [_completed(shown, by_item) for shown in found]
    return found


def popular_items(runs: Sequence[ServedRun], run: ServedRun, number: int) -> list[ShownItem]:
    """Items with the most training pairs; those with a title first."""
    table = _table(run).with_row_index("row")
    if "num_pairs" in run.embeddings.items.columns:
        table = table.filter(pl.col("num_pairs") > 0)
    best = table.sort(
        pl.col("title").is_null(), -pl.col("num_pairs").cast(pl.Int64), nulls_last=True
    ).head(number)
    return shown_items(runs, run, best["row"].to_numpy())


def _table(run: ServedRun) -> pl.DataFrame:
    items = run.embeddings.items
    absent = [pl.lit(None).alias(name) for name in _COLUMNS if name not in items.columns]
    return items.with_columns(absent).select(_COLUMNS)


def _shown(row: dict[str, Any]) -> ShownItem:
    labels = (tuple(filter(None, path or ())) for path in row["categories"] or ())
    paths = tuple(filter(None, labels))
    price = row["price"]
    is_known = isinstance(price, int | float) and np.isfinite(price)
    return ShownItem(
        row["item"], row["title"] or "", row["brand"] or "", paths,
        float(price) if is_known else None, row["num_pairs"],
    )  # fmt: skip


def _completed(shown: ShownItem, by_item: dict[str, ShownItem]) -> ShownItem:
    other = by_item.get(shown.item)
    if shown.title or other is None:
        return shown
    return replace(other, num_pairs=shown.num_pairs)
