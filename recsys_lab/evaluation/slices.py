"""Held-out pairs with their negatives, and the slices they fall into.

A pair is of two items, or of a query that is no item, such as a user or a session, and an item.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from recsys_lab.compute.sorted_rows import are_stored
from recsys_lab.results.metric_names import SLICES


@dataclass(frozen=True)
class Queries:
    """Queries that are no items: users or sessions, which have a history of items.

    Attributes:
        seen: (Q,) bool, True where a query has a seen item in its history.
        item_counts: (N,) number of training queries that have an item, for the novelty of lists.
    """

    seen: np.ndarray
    item_counts: np.ndarray

    def of(self, queries: np.ndarray, items: np.ndarray) -> "Queries":
        """Of some queries and items alone."""
        return Queries(self.seen[queries], self.item_counts[items])


@dataclass(frozen=True)
class EvaluationPairs:
    """The pairs of one split, checked on construction.

    Attributes:
        num_items: N.
        positives: (P, 2) held-out pairs, each unordered pair listed once; with `queries`, a query
            and an item.
        negatives: (M, 2) pairs for each negative protocol ("uniform", "degree_matched").
        known: (N, N) symmetric CSR whose stored entries are the pairs of all splits; with
            `queries`, (Q, N) the targets, and the items of the history if these are no candidates.
        seen: (N,) bool, True where an item occurs in the training pairs.
        queries: None where the queries are items.

    Raises:
        ValueError: an id out of range, a self-pair, a positive that is not among the known pairs,
            a negative that is, or a `known` of items that is not symmetric.
    """

    num_items: int
    positives: np.ndarray
    negatives: dict[str, np.ndarray]
    known: sparse.csr_matrix
    seen: np.ndarray
    queries: Queries | None = None

    def __post_init__(self) -> None:
        self._check_flags("seen", self.seen, self.num_items)
        if self.queries is not None:
            self._check_flags("seen of queries", self.queries.seen, self.num_queries)
            if self.queries.item_counts.shape != (self.num_items,):
                raise ValueError(
                    f"item_counts must be ({self.num_items},): {self.queries.item_counts.shape}"
                )
        self._check_known()
        self._check_ids("positives", self.positives)
        if absent := int((~self.are_known(self.positives)).sum()):
            raise ValueError(
                f"{absent} positives are not among the known pairs; known takes every split"
            )
        for name, pairs in self.negatives.items():
            self._check_ids(f"{name} negatives", pairs)
            if false := int(self.are_known(pairs).sum()):
                raise ValueError(f"{false} of {len(pairs)} {name} negatives are known pairs")

    @property
    def num_queries(self) -> int:
        """Q, which is N where the queries are items."""
        return self.num_items if self.queries is None else len(self.queries.seen)

    @cached_property
    def seen_ends(self) -> np.ndarray:
        """(E,) bool, `seen` of every end that a pair can have: of queries that are no items first.

        E is N where the queries are items, else Q + N. A bootstrap weighs these ends.
        """
        return self.seen if self.queries is None else np.append(self.queries.seen, self.seen)

    def ends(self, pairs: np.ndarray) -> np.ndarray:
        """(P, 2) places of the two ends of pairs among the E."""
        return pairs if self.queries is None else pairs + np.array([0, self.num_queries])

    def slices(self, pairs: np.ndarray) -> dict[str, np.ndarray]:
        """(P,) bool for each slice."""
        return slice_masks(self.seen_ends, self.ends(pairs))

    def masks(self, protocol: str = "") -> dict[str, np.ndarray]:
        """`slices` of the positives, or of the negatives of a protocol, made once."""
        if protocol not in self._masks:
            self._masks[protocol] = self.slices(
                self.negatives[protocol] if protocol else self.positives
            )
        return self._masks[protocol]

    @cached_property
    def _masks(self) -> dict[str, dict[str, np.ndarray]]:
        return {}

    def to_rank(self) -> tuple[np.ndarray, np.ndarray]:
        """The queries and targets of a ranking: a pair of items is ranked from both ends."""
        if self.queries is not None:
            return self.positives[:, 0], self.positives[:, 1]
        ends = self.positives[:, 0], self.positives[:, 1]
        return np.concatenate(ends), np.concatenate(ends[::-1])

    @cached_property
    def query_items(self) -> np.ndarray:
        """The distinct queries of a ranking, ascending."""
        return np.flatnonzero(np.bincount(self.to_rank()[0]))

    def are_known(self, pairs: np.ndarray) -> np.ndarray:
        """(P,) bool: which pairs are stored in `known`."""
        return are_stored(self.known.indptr, self.known.indices, pairs[:, 0], pairs[:, 1])

    def _check_flags(self, name: str, flags: np.ndarray, count: int) -> None:
        if flags.shape != (count,) or flags.dtype != np.bool_:
            raise ValueError(f"{name} must be ({count},) bool, got {flags.shape} {flags.dtype}")

    def _check_known(self) -> None:
        known, shape = self.known, (self.num_queries, self.num_items)
        if known.shape != shape:
            raise ValueError(f"known must be {shape}: {known.shape}")
        if not known.has_canonical_format:
            raise ValueError("known must have sorted, distinct entries: call sum_duplicates()")
        if self.queries is not None:
            return
        degree = np.diff(known.indptr)
        if not np.array_equal(np.bincount(known.indices, minlength=self.num_items), degree):
            raise ValueError("known must hold each pair both ways: it is not symmetric")
        items = np.arange(self.num_items)
        if loops := int(self.are_known(np.stack([items, items], axis=1)).sum()):
            raise ValueError(f"known holds {loops} self-pairs")

    def _check_ids(self, name: str, pairs: np.ndarray) -> None:
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
            raise ValueError(f"{name} must be (P, 2) integers, got {pairs.shape} {pairs.dtype}")
        for ids, count in ((pairs[:, 0], self.num_queries), (pairs[:, 1], self.num_items)):
            outside = (ids < 0) | (ids >= count)
            if outside.any():
                raise ValueError(f"{name}: id {ids[outside][0]} is not in [0, {count})")
        if self.queries is None and (loops := int((pairs[:, 0] == pairs[:, 1]).sum())):
            raise ValueError(f"{name} hold {loops} self-pairs")


def slice_masks(seen: np.ndarray, pairs: np.ndarray) -> dict[str, np.ndarray]:
    """(P,) bool for each slice, by how many ends of a pair are seen."""
    ends_seen = seen[pairs[:, 0]].astype(np.int8) + seen[pairs[:, 1]]  # (P,) 0, 1 or 2
    masks = np.ones(len(pairs), bool), ends_seen == 2, ends_seen == 1, ends_seen == 0
    return dict(zip(SLICES, masks, strict=True))


def count_slices(pairs: EvaluationPairs) -> dict[str, int]:
    """Number of positives in each slice."""
    masks = pairs.masks()
    return {name: int(mask.sum()) for name, mask in masks.items()}
