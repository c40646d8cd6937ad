"""Listings (one item names another) to weighted, unordered, distinct pairs."""

from dataclasses import dataclass

import numpy as np


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
        keys = self.keys
        if len(keys) and not (self.heads < self.tails).all():
            raise ValueError("the head of a pair must be smaller than its tail")
        if (np.diff(keys) <= 0).any():
            raise ValueError("pairs must be distinct and in ascending order")
        if len(keys) and not (self.heads.min() >= 0 and self.tails.max() < self.num_items):
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
    keys = pair_keys(sources[other], targets[other], num_items)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    ordered = weights[other][order].astype(np.float64)
    summed = np.add.reduceat(ordered, first) if len(first) else ordered
    keys = keys[first]
    return ItemPairs(
        (keys // num_items).astype(np.int32),
        (keys % num_items).astype(np.int32),
        summed.astype(np.float32),
        num_items,
    )
