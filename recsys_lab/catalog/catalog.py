"""The item catalogue: raw id <-> item id, titles, and side information as codes."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from recsys_lab.catalog.title_terms import title_terms
from recsys_lab.readers.account import CatalogError

PRICE_BINS = 10
MIN_TITLES = 2  # a term of fewer titles relates no two items


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

    @property
    def first_values(self) -> np.ndarray:
        """(N,) int32, the first value of each item, -1 where it has none."""
        has = np.diff(self.offsets) > 0
        values = np.full(len(has), -1, np.int32)
        values[has] = self.codes[self.offsets[:-1][has]]
        return values


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

    def field(self, name: str, *, price_bins: int = PRICE_BINS) -> Field:
        """Side information as codes.

        Args:
            name: "brand"; "category", the labels of all levels and paths; "category_0",
                "category_1", ... for one level, the broadest first; "price"; or "title", the words
                and pairs of words of at least MIN_TITLES titles (`title_terms`).
            price_bins: number of price bins. Their edges are quantiles of the known prices, so
                that bins hold about equally many items; equal edges fall together.

        Raises:
            CatalogError: there is no such field.
        """
        if name == "brand":
            return _encode(name, self.items["brand"], len(self))
        if name == "price":
            return self._price(price_bins)
        if name == "title":
            return self._title()
        if name == "category":
            return _encode(name, self._category_labels(None), len(self))
        if name in (levels := [f"category_{level}" for level in range(self.num_levels)]):
            return _encode(name, self._category_labels(levels.index(name)), len(self))
        known = ", ".join(["brand", "category", *levels, "price", "title"])
        raise CatalogError(f"the catalogue has no field {name!r}; it has {known}")

    def price_edges(self, bins: int = PRICE_BINS) -> np.ndarray:
        """Edges of the price bins, ascending and distinct; none where no price is known."""
        price = self.items["price"].to_numpy()
        known = price[np.isfinite(price)]
        return np.unique(np.quantile(known, np.linspace(0, 1, bins + 1))) if len(known) else known

    def _category_labels(self, level: int | None) -> pl.Series:
        path = pl.element()
        labels = path.explode() if level is None else path.list.get(level, null_on_oob=True)
        labels = pl.col("categories").list.eval(labels).list.unique().list.drop_nulls()
        return self.items.select(labels).to_series()

    def _title(self) -> Field:
        terms = title_terms(self.titles).filter(pl.len().over("label") >= MIN_TITLES)
        return _number("title", terms.select(row="owner", label="label"), len(self))

    def _price(self, bins: int) -> Field:
        price = self.items["price"].to_numpy()
        known = np.isfinite(price)
        offsets = np.concatenate([[0], np.cumsum(known)]).astype(np.int64)
        if not known.any():
            return Field("price", [], offsets, np.empty(0, np.int32))
        names, place = bin_prices(price[known], self.price_edges(bins))
        labels = sorted({names[p] for p in np.unique(place)})
        code_of = {label: code for code, label in enumerate(labels)}
        codes = np.array([code_of.get(label, -1) for label in names], np.int32)[place]
        return Field("price", labels, offsets, codes)


def bin_prices(prices: np.ndarray, edges: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names of the bins between edges, and the bin of each price (n,); the outer bins are open."""
    names = [f"{low:g} to {high:g}" for low, high in pairwise(edges)] or [f"{edges[0]:g}"]
    place = np.searchsorted(edges, prices, side="right") - 1
    return names, place.clip(0, len(names) - 1)


def _encode(name: str, values: pl.Series, num_items: int) -> Field:
    """The labels of a column, of text or of lists of text."""
    table = pl.DataFrame({"row": np.arange(num_items), "label": values})
    if values.dtype != pl.String:
        table = table.explode("label")
    return _number(name, table.drop_nulls(), num_items)


def _number(name: str, table: pl.DataFrame, num_items: int) -> Field:
    """Number the labels of a table of rows and labels in their sorted order."""
    labels = table["label"].unique().sort()
    numbered = pl.DataFrame({"label": labels, "code": np.arange(len(labels), dtype=np.int32)})
    table = table.join(numbered, on="label").select("row", "code").unique().sort("row", "code")
    counts = np.bincount(table["row"].to_numpy(), minlength=num_items)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Field(name, labels.to_list(), offsets, table["code"].to_numpy())
