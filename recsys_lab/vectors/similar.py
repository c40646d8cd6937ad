"""The items most similar to an item, among all or among chosen ones."""

import difflib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recsys_lab.vectors.diversity import diversify
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.listed_items import first_allowed
from recsys_lab.vectors.search import NO_ROW, top_k
from recsys_lab.vectors.store import TEXT_COLUMNS

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings

_POOL, _MIN_POOL = 10, 100  # candidates of a diverse list: times k, and at least
_LARGE = 100_000  # items; fewer are searched at once without a screen
_FEW = 8  # queries that are read from the file one by one


@dataclass(frozen=True)
class Wishes:
    """What similar items have to be; see `Embeddings.similar`."""

    not_known: bool = False
    category: str | None = None
    brand: str | None = None
    min_price: float | None = None
    max_price: float | None = None
    diversity: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.diversity <= 1:
            raise VectorsError(f"diversity must be between 0 and 1, got {self.diversity:g}")
        for name in ("min_price", "max_price"):
            price = getattr(self, name)
            if price is not None and math.isnan(price):
                raise VectorsError(f"{name} must be a number, got {price}")
        low, high = self.min_price, self.max_price
        if low is not None and high is not None and low > high:
            raise VectorsError(f"min_price {low:g} is above max_price {high:g}")


def similar_items(
    embeddings: "Embeddings", rows: np.ndarray, k: int, wishes: Wishes
) -> pl.DataFrame:
    """The lists of items (Q,), one below the other; see `Embeddings.similar_many`."""
    if k < 1:
        raise VectorsError(f"k must be >= 1, got {k}")
    for row in rows[~embeddings.scored[rows]][:1]:
        name = embeddings.ids[int(row)]
        raise VectorsError(f"item {name!r} has no similar items: {embeddings.why_not(row)}")
    if wishes.not_known and embeddings.pairs.is_empty():
        raise VectorsError(
            f"{embeddings.folder} holds no training pairs: leave out what excludes known pairs"
        )
    allowed = allowed_rows(embeddings, wishes)
    lists = list(_lists(embeddings, rows, k, wishes, allowed)) if len(rows) else []
    return _frame(embeddings, rows, lists)


def list_of_one(
    embeddings: "Embeddings", query: np.ndarray, k: int, wishes: Wishes, excluded: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The items with the best scores for a query that is no item.

    Args:
        embeddings: of a run.
        query: (E,) folded.
        k: length of the list.
        wishes: of the items; `not_known` has no meaning here.
        excluded: (n,) rows that are left out.

    Returns:
        rows and scores, both (at most k,).
    """
    if k < 1:
        raise VectorsError(f"k must be >= 1, got {k}")
    allowed = allowed_rows(embeddings, wishes)
    allowed[excluded] = False
    size = max(1, min(_size(k, wishes), int(allowed.sum())))
    rows, scores = _list_of_one(embeddings, query, size, allowed)
    return _finish(embeddings, rows[0], scores[0], k, wishes)


def allowed_rows(embeddings: "Embeddings", wishes: Wishes) -> np.ndarray:
    """Mask (N,) of the items that can be scored and are of the brand, category and price wished.

    Raises:
        VectorsError: no item has such a brand or category, or no price is known.
    """
    items, mask = embeddings.items, embeddings.scored.copy()
    if wishes.brand is not None:
        mask &= _equal(items["brand"].cast(pl.String), wishes.brand, "brand")
    if wishes.category is not None:
        mask &= _has_category(items, wishes.category)
    if wishes.min_price is not None or wishes.max_price is not None:
        price = items["price"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        if np.isnan(price).all():
            raise VectorsError("no item has a known price: leave out the limits of the price")
        low = -np.inf if wishes.min_price is None else wishes.min_price
        high = np.inf if wishes.max_price is None else wishes.max_price
        mask &= (price >= low) & (price <= high)
    return mask


def _has_category(items: pl.DataFrame, category: str) -> np.ndarray:
    """Mask of the items that have a label in one of their category paths."""
    column = items["categories"]
    if column.dtype == pl.Null:
        return _equal(pl.Series([], dtype=pl.String), category, "category")
    paths = column.to_frame("label").with_row_index("row").explode("label").explode("label")
    rows = paths["row"].to_numpy()[_equal(paths["label"], category, "category")]
    mask = np.zeros(len(items), bool)
    mask[rows] = True
    return mask


def _equal(labels: pl.Series, wished: str, name: str) -> np.ndarray:
    """Where a label is the wished one, whatever the case of its letters."""
    equal = (labels.str.to_lowercase() == wished.lower()).fill_null(False).to_numpy()
    if not equal.any():
        known = labels.drop_nulls().unique().sort().to_list()
        folded = {label.lower(): label for label in known}
        near = difflib.get_close_matches(wished.lower(), folded, n=3)
        hint = f" (did you mean {' or '.join(folded[x] for x in near)}?)" if near else ""
        raise VectorsError(f"no item has the {name} {wished!r}{hint}")
    return equal


def _lists(
    embeddings: "Embeddings", rows: np.ndarray, k: int, wishes: Wishes, allowed: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Similar items and scores of each item, both (at most k,)."""
    if embeddings.lists is not None:
        if wishes.diversity:
            embeddings.check_vectors()
        masks = (_mask(embeddings, wishes, row, allowed) for row in rows.tolist())
        yield from first_allowed(embeddings, rows, k, masks)
        return
    size = max(1, min(_size(k, wishes), int(allowed.sum())))
    queries = _queries(embeddings, rows)
    if wishes.not_known or len(rows) == 1:  # a mask for each item
        parts: Iterator[tuple[np.ndarray, np.ndarray]] = (
            _list_of_one(embeddings, queries[place], size, _mask(embeddings, wishes, row, allowed))
            for place, row in enumerate(rows.tolist())
        )
    else:
        parts = iter([top_k(queries, embeddings.keys, size, allowed, rows)])
    for some, values in parts:
        for found, scores in zip(some, values, strict=True):
            yield _finish(embeddings, found, scores, k, wishes)


def _size(k: int, wishes: Wishes) -> int:
    """Candidates of a list of k items."""
    return k if not wishes.diversity else max(_POOL * k, _MIN_POOL)


def _finish(
    embeddings: "Embeddings", found: np.ndarray, scores: np.ndarray, k: int, wishes: Wishes
) -> tuple[np.ndarray, np.ndarray]:
    """Without the places that are not filled; of candidates of a diverse list, the chosen."""
    found, scores = found[found != NO_ROW], scores[found != NO_ROW]
    if wishes.diversity:
        chosen = diversify(scores, embeddings.vectors[found], k, wishes.diversity)
        found, scores = found[chosen], scores[chosen]
    return found, scores


def _mask(embeddings: "Embeddings", wishes: Wishes, row: int, allowed: np.ndarray) -> np.ndarray:
    """The items that may stand in the list of an item, itself left out."""
    allowed = allowed.copy()
    allowed[row] = False
    if wishes.not_known:
        allowed[embeddings.known_pairs.of(row)] = False
    return allowed


def _list_of_one(
    embeddings: "Embeddings", query: np.ndarray, k: int, allowed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and scores, both (1, at most k); of a large catalogue through its screen.

    The first list is found without, since building the screen takes longer.
    """
    is_first = "keys" not in vars(embeddings)
    if len(embeddings) < _LARGE or is_first:
        return top_k(query[None], embeddings.keys, k, allowed)
    rows, scores = embeddings.screen.top_k(query, k, allowed)
    return rows[None], scores[None]


def _queries(embeddings: "Embeddings", rows: np.ndarray) -> np.ndarray:
    """Query vectors (Q, E); those of few items are read without the others."""
    if len(rows) > _FEW:
        return embeddings.queries[rows]
    return np.concatenate([embeddings.query(row) for row in rows.tolist()])


def _frame(
    embeddings: "Embeddings", rows: np.ndarray, lists: Sequence[tuple[np.ndarray, np.ndarray]]
) -> pl.DataFrame:
    """The table of `Embeddings.similar_many`."""
    none = np.empty(0, np.int64), np.empty(0, np.float32)
    found, scores = map(np.concatenate, zip(none, *lists, strict=True))
    owners = np.repeat(rows, [len(others) for others, _ in lists])
    relations = [
        relation
        for row, (others, _) in zip(rows.tolist(), lists, strict=True)
        for relation in embeddings.relations(row, others)
    ]
    return embeddings.items.select(*TEXT_COLUMNS, "seen")[found].select(
        embeddings.ids[owners].alias("query_item"),
        *TEXT_COLUMNS,
        pl.Series("score", scores, dtype=pl.Float32),
        pl.Series("relation", relations, dtype=pl.List(pl.String)),
        "seen",
    )
