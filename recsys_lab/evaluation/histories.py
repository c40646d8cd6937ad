"""Histories of queries, and what each of their items weighs by its age."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count, Decay


@dataclass(frozen=True)
class Histories:
    """What queries did, each the latest last.

    Attributes:
        offsets: (Q + 1,) query q has the events offsets[q] .. offsets[q + 1] - 1.
        items: (H,) item of each event.
        num_items: N.
        times: (H,) seconds; None where the order is all there is.
        weights: (H,) of the kind of event; None: all weigh the same.

    Raises:
        ValueError: arrays disagree in length, or an item is out of range.
    """

    offsets: np.ndarray
    items: np.ndarray
    num_items: int
    times: np.ndarray | None = None
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check the shapes."""
        ends = self.offsets[[0, -1]].tolist() if len(self.offsets) else []
        if ends != [0, len(self.items)] or (np.diff(self.offsets) < 0).any():
            raise ValueError(f"offsets must ascend from 0 to {len(self.items)}")
        for name, values in (("times", self.times), ("weights", self.weights)):
            if values is not None and values.shape != self.items.shape:
                raise ValueError(f"{name} must be {self.items.shape}, got {values.shape}")
        outside = (self.items < 0) | (self.items >= self.num_items)
        if outside.any():
            raise ValueError(f"item {self.items[outside][0]} is not in [0, {self.num_items})")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> np.ndarray:
        """(Q,) number of events of each query."""
        return np.diff(self.offsets)

    @property
    def ages(self) -> np.ndarray:
        """(H,) number of later events of the query; 0 for the latest."""
        return np.repeat(self.offsets[1:], self.sizes) - np.arange(len(self.items)) - 1

    def take(self, rows: slice) -> "Histories":
        """Those of some queries that stand one behind the other."""
        offsets = self.offsets[:-1][rows], self.offsets[1:][rows]
        low, high = (int(offsets[0][0]), int(offsets[1][-1])) if len(offsets[0]) else (0, 0)
        events = slice(low, high)
        times, weights = (x if x is None else x[events] for x in (self.times, self.weights))
        begins = np.append(offsets[0], high) - low
        return Histories(begins, self.items[events], self.num_items, times, weights)

    def matrix(self, values: np.ndarray | None = None) -> sparse.csr_matrix:
        """(Q, N) float32 sums of the values (H,) of a query's events, sorted within rows.

        Without values: 1 where a query has an item.
        """
        ones = np.ones(len(self.items), np.float32)
        found = sparse.csr_matrix(
            (ones if values is None else values.astype(np.float32), self.items, self.offsets),
            shape=(len(self), self.num_items),
            copy=True,  # the sums are in place
        )
        found.sum_duplicates()
        if values is None:
            found.data[:] = 1.0
        return found


@checked
@dataclass(frozen=True)
class HistoryWeights:
    """What an event of a history weighs: decay ** age, times the weight of its kind.

    Attributes:
        decay: an event weighs this much of the next one's; 1 where the order says nothing.
        last: only so many of the latest events count; None: all.
        vector: what the vector of a user or session is: "pooled", the mean of those of its items by
            these weights; "user", that of the user; "user_type", that of the user's type.
    """

    decay: Decay = 0.7
    last: Count | None = None
    vector: Literal["pooled", "user", "user_type"] = "pooled"

    def __call__(self, histories: Histories) -> sparse.csr_matrix:
        """(Q, N) float32 weights; those of an item that occurs several times are added."""
        ages = histories.ages
        values = np.float64(self.decay) ** ages
        if histories.weights is not None:
            values *= histories.weights
        if self.last is not None:
            values[ages >= self.last] = 0.0
        found = histories.matrix(values)
        found.eliminate_zeros()
        return found


def before_each(
    histories: Histories, decay: float, longest: int
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """What was before each event that has a predecessor in its history.

    Args:
        histories: of Q queries.
        decay: what an event weighs of the next one.
        longest: only so many events before count.

    Returns:
        (M, N) float32 weights decay ** age of the items before, the latest of age 0; and (M,) the
        items of the events.
    """
    places = np.arange(len(histories.items)) - np.repeat(histories.offsets[:-1], histories.sizes)
    events = np.flatnonzero(places > 0)
    sizes = np.minimum(places[events], longest)
    offsets = np.append(0, np.cumsum(sizes))
    ages = np.arange(offsets[-1]) - np.repeat(offsets[:-1], sizes)
    items = histories.items[np.repeat(events, sizes) - 1 - ages]
    shape = len(events), histories.num_items
    found = sparse.csr_matrix((np.float32(decay) ** ages, items, offsets), shape)
    found.sum_duplicates()
    return found, histories.items[events]


def pooled_vectors(weights: sparse.csr_matrix, vectors: np.ndarray) -> np.ndarray:
    """(Q, D) float32 weighted means of item vectors (N, D); zeros where a query has no weight."""
    sums = np.asarray(weights @ np.asarray(vectors, np.float32))
    total = np.asarray(weights.sum(axis=1))  # (Q, 1)
    return np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)
