"""Held-out pairs with their negatives, and the slices they fall into."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from recsys_lab.compute.sorted_rows import are_stored
from recsys_lab.results.metric_names import SLICES


@dataclass(frozen=True)
class EvaluationPairs:
    """The pairs of one split, checked on construction.

    Attributes:
        num_items: N.
        positives: (P, 2) held-out pairs, each unordered pair listed once.
        negatives: (M, 2) pairs for each negative protocol ("uniform", "degree_matched").
        known: (N, N) symmetric CSR whose stored entries are the pairs of all splits.
        seen: (N,) bool, True where an item occurs in the training pairs.

    Raises:
        ValueError: an id out of range, a self-pair, a positive that is not among the known pairs,
            a negative that is, or a `known` that is not symmetric.
    """

    num_items: int
    positives: np.ndarray
    negatives: dict[str, np.ndarray]
    known: sparse.csr_matrix
    seen: np.ndarray

    def __post_init__(self) -> None:
        if self.seen.shape != (self.num_items,) or self.seen.dtype != np.bool_:
            raise ValueError(
                f"seen must be ({self.num_items},) bool, got {self.seen.shape} {self.seen.dtype}"
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

    def are_known(self, pairs: np.ndarray) -> np.ndarray:
        """(P,) bool: which pairs occur in any split."""
        return are_stored(self.known.indptr, self.known.indices, pairs[:, 0], pairs[:, 1])

    def _check_known(self) -> None:
        known = self.known
        if known.shape != (self.num_items, self.num_items):
            raise ValueError(f"known must be ({self.num_items}, {self.num_items}): {known.shape}")
        if not known.has_canonical_format:
            raise ValueError("known must have sorted, distinct entries: call sum_duplicates()")
        degree = np.diff(known.indptr)
        if not np.array_equal(np.bincount(known.indices, minlength=self.num_items), degree):
            raise ValueError("known must hold each pair both ways: it is not symmetric")
        items = np.arange(self.num_items)
        if loops := int(self.are_known(np.stack([items, items], axis=1)).sum()):
            raise ValueError(f"known holds {loops} self-pairs")

    def _check_ids(self, name: str, pairs: np.ndarray) -> None:
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
            raise ValueError(f"{name} must be (P, 2) integers, got {pairs.shape} {pairs.dtype}")
        outside = (pairs < 0) | (pairs >= self.num_items)
        if outside.any():
            raise ValueError(f"{name}: id {pairs[outside][0]} is not in [0, {self.num_items})")
        if loops := int((pairs[:, 0] == pairs[:, 1]).sum()):
            raise ValueError(f"{name} hold {loops} self-pairs")


def slice_masks(seen: np.ndarray, pairs: np.ndarray) -> dict[str, np.ndarray]:
    """(P,) bool for each slice, by how many ends of a pair occur in the training pairs."""
    ends_seen = seen[pairs[:, 0]].astype(np.int8) + seen[pairs[:, 1]]  # (P,) 0, 1 or 2
    masks = np.ones(len(pairs), bool), ends_seen == 2, ends_seen == 1, ends_seen == 0
    return dict(zip(SLICES, masks, strict=True))


def count_slices(pairs: EvaluationPairs) -> dict[str, int]:
    """Number of positives in each slice."""
    masks = slice_masks(pairs.seen, pairs.positives)
    return {name: int(mask.sum()) for name, mask in masks.items()}
