"""The weighted, undirected item graph in compressed rows, with its alias tables."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from recsys_lab.graph.alias import build_alias_rows


@dataclass(frozen=True)
class ItemGraph:
    """Compressed sparse rows of a symmetric weight matrix over N items, checked on construction.

    Attributes:
        indptr: (N + 1,) int64, row i holds the neighbours of item i.
        indices: (E,) int32, neighbours in ascending order; every pair stands in both rows.
        weights: (E,) float32, positive and finite.

    Raises:
        ValueError: the arrays do not form such a matrix.
    """

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray

    def __post_init__(self) -> None:
        if not self.indptr[-1] == len(self.indices) == len(self.weights) or self.indptr[0] != 0:
            raise ValueError("indptr, indices and weights of the graph do not fit together")
        if len(self.weights) and not (np.isfinite(self.weights).all() and self.weights.min() > 0):
            raise ValueError("weights of the graph must be positive and finite")
        if len(self.indices) and not 0 <= self.indices.min() <= self.indices.max() < len(self):
            raise ValueError(f"a neighbour in the graph is not an item id in 0 .. {len(self) - 1}")

    @classmethod
    def from_pairs(
        cls, heads: np.ndarray, tails: np.ndarray, weights: np.ndarray, num_items: int
    ) -> "ItemGraph":
        """Build from unordered pairs (P,), each given once.

        Raises:
            ValueError: a pair is given twice or joins an item to itself.
        """
        rows, columns = np.concatenate([heads, tails]), np.concatenate([tails, heads])
        matrix = sp.coo_array(
            (np.concatenate([weights, weights]).astype(np.float32), (rows, columns)),
            shape=(num_items, num_items),
        ).tocsr()
        matrix.sort_indices()
        if matrix.nnz != 2 * len(heads) or (heads == tails).any():
            raise ValueError("pairs must be distinct and join two different items")
        return cls(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def degrees(self) -> np.ndarray:
        """Number of neighbours of each item, (N,) int64."""
        return np.diff(self.indptr)

    @cached_property
    def start_items(self) -> np.ndarray:
        """Items that have a neighbour, (S,) int32; walks start here."""
        return np.flatnonzero(self.degrees).astype(np.int32)

    @cached_property
    def adjacency(self) -> sp.csr_array:
        """The weights as a scipy matrix (N, N); shares memory with the graph."""
        return sp.csr_array((self.weights, self.indices, self.indptr), shape=(len(self), len(self)))

    @cached_property
    def strength(self) -> np.ndarray:
        """Sum of the weights of each item's pairs, (N,) float64."""
        return np.asarray(self.adjacency.sum(axis=1, dtype=np.float64))

    @cached_property
    def transition(self) -> sp.csr_array:
        """Transition probabilities (N, N): weights divided by their row's sum, in float64."""
        scale = np.zeros(len(self))
        np.divide(1.0, self.strength, out=scale, where=self.strength > 0)
        data = self.weights.astype(np.float64) * np.repeat(scale, self.degrees)
        return sp.csr_array((data, self.indices, self.indptr), shape=(len(self), len(self)))

    @cached_property
    def alias(self) -> tuple[np.ndarray, np.ndarray]:
        """Alias tables of every row: (E,) float32 thresholds and (E,) int32 aliases as item ids."""
        return build_alias_rows(self.indptr, self.indices, self.weights)
