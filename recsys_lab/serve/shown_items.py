"""What the page tells of an item: title, brand, categories, price."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from recsys_lab.serve.served_runs import ServedRun


@dataclass(frozen=True)
class ShownItem:
    """An item in words; what the catalogue does not tell is empty, or None.

    Attributes:
        item: its raw id.
        title: as the catalogue has it.
        brand: as the catalogue has it.
        paths: category paths, the broadest label first.
        price: as the catalogue has it.
        num_pairs: number of its training pairs, where it is asked for.
        is_cold: no training pair holds it; its scores come from side information alone.
    """

    item: str
    title: str
    brand: str
    paths: tuple[tuple[str, ...], ...]
    price: float | None
    num_pairs: int | None
    is_cold: bool

    @property
    def name(self) -> str:
        """The title, or the id of an item without one."""
        return self.title or self.item

    @property
    def leaves(self) -> list[tuple[str, ...]]:
        """A category path for each distinct narrowest label."""
        return list({path[-1]: path for path in reversed(self.paths)}.values())[::-1]

    @property
    def category(self) -> str:
        """The narrowest labels of the categories."""
        return ", ".join(path[-1] for path in self.leaves)


def shown_items(runs: Sequence[ServedRun], run: ServedRun, table: pl.DataFrame) -> list[ShownItem]:
    """The rows of a table of items of a run.

    A title that its catalogue lacks is taken, with what goes with it, from another run.
    """
    found = [_shown(row) for row in table.iter_rows(named=True)]
    asked = {run.vocabulary}
    for other in runs:
        absent = [shown.item for shown in found if not shown.title]
        if absent and other.vocabulary not in asked:
            asked.add(other.vocabulary)
            known = other.embeddings.items.filter(pl.col("item").is_in(absent))
            by_item = {row["item"]: _shown(row) for row in known.iter_rows(named=True)}
            found = [_completed(shown, by_item) for shown in found]
    return found


def popular_items(runs: Sequence[ServedRun], run: ServedRun, number: int) -> list[ShownItem]:
    """Scored items with the most training pairs; those with a title first."""
    items = run.embeddings.items.filter("scored")
    order = [pl.col("title").is_null()]
    if "num_pairs" in items.columns:
        order.append(-pl.col("num_pairs").cast(pl.Int64))
    return shown_items(runs, run, items.sort(order, maintain_order=True).head(number))


def _shown(row: dict[str, Any]) -> ShownItem:
    labels = (tuple(filter(None, path or ())) for path in row["categories"] or ())
    price = row["price"]
    is_known = isinstance(price, int | float) and np.isfinite(price)
    return ShownItem(
        item=row["item"],
        title=row["title"] or "",
        brand=row["brand"] or "",
        paths=tuple(filter(None, labels)),
        price=float(price) if is_known else None,
        num_pairs=row.get("num_pairs"),
        is_cold=row.get("seen") is False,
    )


def _completed(shown: ShownItem, by_item: dict[str, ShownItem]) -> ShownItem:
    other = by_item.get(shown.item)
    if shown.title or other is None:
        return shown
    return replace(other, num_pairs=shown.num_pairs, is_cold=shown.is_cold)
