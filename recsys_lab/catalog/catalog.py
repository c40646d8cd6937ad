"""The item catalogue: raw id <-> item id, titles, and side information as codes."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from recsys_lab.catalog.report import CatalogError


@dataclass(frozen=True)
class Field:
    """One categorical attribute of the items; an item may have several values or none.

    Attributes:
        name: name of the field.
        labels: label of each code; their number is the cardinality.
        offsets: (N + 1,) int64; the codes of item i are codes[offsets[i]:offsets[i + 1]].
        codes: (V,) int32, ascending and distinct within an item.
    """

    name: str
    labels: list[str]
    offsets: np.ndarray
    codes: np.ndarray

    @property
    def cardinality(self) -> int:
        """Number of distinct labels."""
        return len(self.labels)


class ItemCatalog:
    """N items in the order of their raw ids; the item id is the place in that order."""

    def __init__(self, items: pl.DataFrame) -> None:
        """Take the items of `Records`, unique and sorted by raw id."""
        self.items = items

    def __len__(self) -> int:
        return self.items.height

    @property
    def raw_ids(self) -> pl.Series:
        """Raw id of each item, exactly as the source wrote it."""
        return self.items["item"]

    @property
    def titles(self) -> pl.Series:
        """Title of each item, null where there is none."""
        return self.items["title"]

    def index(self, raw_ids: list[str]) -> np.ndarray:
        """Item ids of raw ids, (n,) int32.

        Raises:
            CatalogError: a raw id is not in the catalogue.
        """
        wanted = pl.Series("item", raw_ids, dtype=pl.String)
        if not raw_ids:
            return np.empty(0, np.int32)
        place = self.raw_ids.search_sorted(wanted).clip(0, len(self) - 1)
        wrong = (self.raw_ids.gather(place) != wanted).arg_true()
        if len(wrong):
            raise CatalogError(
                f"no item {raw_ids[wrong[0]]!r} in the catalogue of {len(self):,} items"
            )
        return place.to_numpy().astype(np.int32)

    @property
    def num_levels(self) -> int:
        """Length of the longest category path."""
        paths = self.items["categories"].explode(empty_as_null=True).list.len()
        return int(paths.max() or 0)  # type: ignore[arg-type]

    def field(self, name: str, *, price_bins: int = 10) -> Field:
        """Side information as codes.

        Args:
            name: "brand"; "category", the labels of all levels and paths; "category_0",
                "category_1", ... for one level, the broadest first; or "price".
            price_bins: number of price bins. Their edges are quantiles of the known prices, so
                that bins hold about equally many items; equal edges fall together.

        Raises:
            CatalogError: there is no such field.
        """
        if name == "brand":
            values = self.items["brand"].map_elements(lambda b: [b], pl.List(pl.String))
        elif name == "price":
            values = self._price_labels(price_bins)
        elif name == "category":
            values = self._category_labels(None)
        elif name in (levels := [f"category_{level}" for level in range(self.num_levels)]):
            values = self._category_labels(levels.index(name))
        else:
            known = ", ".join(["brand", "category", *levels, "price"])
            raise CatalogError(f"the catalogue has no field {name!r}; it has {known}")
        return _encode(name, values, len(self))

    def _category_labels(self, level: int | None) -> pl.Series:
        paths = pl.col("categories").list
        if level is None:
            chosen = paths.eval(pl.element().explode()).list.unique()
        else:
            chosen = paths.eval(pl.element().list.get(level, null_on_oob=True)).list.unique()
        return self.items.select(chosen.list.drop_nulls()).to_series()

    def _price_labels(self, bins: int) -> pl.Series:
        price = self.items["price"].to_numpy()
        known = np.isfinite(price)
        if not known.any():
            return pl.Series([None] * len(self), dtype=pl.List(pl.String))
        edges = np.unique(np.quantile(price[known], np.linspace(0, 1, bins + 1)))
        place = np.clip(np.searchsorted(edges, price, side="right") - 1, 0, max(len(edges) - 2, 0))
        labels = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
        labels = labels or [f"{edges[0]:g}"]
        return pl.Series([[labels[p]] if k else None for p, k in zip(place, known, strict=True)])


def _encode(name: str, values: pl.Series, num_items: int) -> Field:
    """Number the labels of a list column in their sorted order."""
    table = pl.DataFrame({"row": np.arange(num_items), "label": values}).explode("label")
    table = table.drop_nulls().unique().sort("row", "label")
    labels = table["label"].unique().sort()
    codes = labels.search_sorted(table["label"]).to_numpy().astype(np.int32)
    counts = np.bincount(table["row"].to_numpy(), minlength=num_items)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Field(name, labels.to_list(), offsets, codes)
