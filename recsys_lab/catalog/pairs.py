"""Listings (one item names another) to weighted, unordered, distinct pairs."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.ordering import sort_pairs
from recsys_lab.readers.account import CatalogError


@dataclass(frozen=True)
class ItemPairs:
    """Distinct unordered pairs of items, in ascending order of (head, tail).

    Attributes:
        heads: (P,) int32, the smaller item id of each pair.
        tails: (P,) int32, the larger.
        weights: (P,) float32, positive.
        num_items: N; ids are 0 .. N - 1.
    """

    heads: np.ndarray
    tails: np.ndarray
    weights: np.ndarray
    num_items: int

    def __post_init__(self) -> None:
        fault = _find_fault(self.heads, self.tails, self.num_items)
        if fault == _UNORDERED:
            raise ValueError("the head of a pair must be smaller than its tail")
        if fault == _UNSORTED:
            raise ValueError("pairs must be distinct and in ascending order")
        if fault == _OUTSIDE:
            raise ValueError(f"a pair names an item outside 0 .. {self.num_items - 1}")

    def __len__(self) -> int:
        return len(self.heads)

    @property
    def keys(self) -> np.ndarray:
        """One int64 for each pair, ascending: head * N + tail."""
        return pair_keys(self.heads, self.tails, self.num_items)

    @property
    def ids(self) -> np.ndarray:
        """Heads and tails side by side, (P, 2) int32."""
        return np.stack([self.heads, self.tails], axis=1)

    @property
    def items(self) -> np.ndarray:
        """The items that stand in a pair, ascending, int32."""
        mask = np.zeros(self.num_items, bool)
        mask[self.heads] = mask[self.tails] = True
        return np.flatnonzero(mask).astype(np.int32)

    def take(self, chosen: np.ndarray) -> "ItemPairs":
        """The pairs under a mask (P,) or at ascending places."""
        return ItemPairs(
            self.heads[chosen], self.tails[chosen], self.weights[chosen], self.num_items
        )


def pair_keys(heads: np.ndarray, tails: np.ndarray, num_items: int) -> np.ndarray:
    """Key of each unordered pair, (P,) int64: smaller id * N + larger id."""
    low, high = np.minimum(heads, tails), np.maximum(heads, tails)
    return low.astype(np.int64) * num_items + high


def build_pairs(
    sources: np.ndarray, targets: np.ndarray, weights: np.ndarray, num_items: int
) -> ItemPairs:
    """Sum the weights of all listings of an unordered pair, in either direction.

    A pair that both ends list counts both listings; a listing of an item by itself is left out.

    Args:
        sources: (E,) the item that lists the other.
        targets: (E,) the item listed.
        weights: (E,) weight of the listing, positive.
        num_items: N.
    """
    other = sources != targets
    low, high = np.minimum(sources, targets)[other], np.maximum(sources, targets)[other]
    heads, tails, ordered = sort_pairs(low, high, weights[other], num_items)
    del low, high
    is_first = np.ones(len(heads), bool)
    is_first[1:] = (heads[1:] != heads[:-1]) | (tails[1:] != tails[:-1])
    first = np.flatnonzero(is_first)
    summed = np.add.reduceat(ordered, first, dtype=np.float64) if len(first) else ordered
    with np.errstate(over="ignore"):  # whoever stores the pairs looks at it
        return ItemPairs(heads[first], tails[first], summed.astype(np.float32), num_items)


def check_sums(names: pl.Series, beyond: np.ndarray) -> None:
    """Refuse weights whose sum is beyond float32.

    Args:
        names: raw ids of the items.
        beyond: (B, 2) the pairs with such a sum.

    Raises:
        CatalogError: there are some.
    """
    if len(beyond):
        one, other = (names[int(item)] for item in beyond[0])
        raise CatalogError(
            f"the weights of the pair {one!r} and {other!r} sum to more than a 32-bit number holds "
            f"(3.4e38), as do those of {len(beyond) - 1:,} other pairs: scale the weights down"
        )


_UNORDERED, _UNSORTED, _OUTSIDE = 1, 2, 3


@jit()
def _find_fault(heads: np.ndarray, tails: np.ndarray, num_items: int) -> int:
    """What is wrong with the pairs, 0 if nothing is; without an array of keys."""
    for k in range(len(heads)):
        if heads[k] >= tails[k]:
            return _UNORDERED
        if k and not (
            heads[k - 1] < heads[k] or (heads[k - 1] == heads[k] and tails[k - 1] < tails[k])
        ):
            return _UNSORTED
        if heads[k] < 0 or tails[k] >= num_items:
            return _OUTSIDE
    return 0
