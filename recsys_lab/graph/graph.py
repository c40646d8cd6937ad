"""The weighted, undirected item graph in compressed rows, with what its walks draw from."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from recsys_lab.graph.pair_set import build_pair_set
from recsys_lab.graph.rows import in_order, row_peaks, row_sums, rows_of_pairs
from recsys_lab.graph.slots import pack_graph

_WEIGHTS = np.float32(1e-30), np.float32(1e30)  # smallest and largest of raised weights


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
        if len(self.weights) and not 0 < self.weights.min() <= self.weights.max() < np.inf:
            raise ValueError("weights of the graph must be positive and finite")
        if len(self.indices) and not 0 <= self.indices.min() <= self.indices.max() < len(self):
            raise ValueError(f"a neighbour in the graph is not an item id in 0 .. {len(self) - 1}")

    @classmethod
    def from_pairs(
        cls, heads: np.ndarray, tails: np.ndarray, weights: np.ndarray, num_items: int
    ) -> "ItemGraph":
        """Build from unordered pairs (P,), each given once; quickest in the order of ItemPairs.

        Raises:
            ValueError: a pair is given twice, joins an item to itself or names an unknown item.
        """
        for ids in (heads, tails):
            if len(ids) and not 0 <= ids.min() <= ids.max() < num_items:
                raise ValueError(f"a pair names an item outside 0 .. {num_items - 1}")
        heads, tails = (np.ascontiguousarray(ids, np.int32) for ids in (heads, tails))
        weights = np.ascontiguousarray(weights, np.float32)
        if not in_order(heads, tails):
            low, high = np.minimum(heads, tails), np.maximum(heads, tails)
            order = np.lexsort((high, low))
            heads, tails, weights = low[order], high[order], weights[order]
            if not in_order(heads, tails):
                raise ValueError("pairs must be distinct and join two different items")
        return cls(*rows_of_pairs(heads, tails, weights, num_items))

    def raised(self, exponent: float) -> "ItemGraph":
        """The same pairs, each with the weight (weight / largest weight) ** exponent.

        Exponents above 1 make walks prefer pairs of large weight; 0 makes all pairs alike. Weights
        out of the range of float32 are cut.
        """
        if exponent == 1 or not len(self.weights):
            return self
        weights = self.weights / self.weights.max()
        with np.errstate(all="ignore"):
            np.power(weights, np.float32(exponent), out=weights)
        np.clip(weights, *_WEIGHTS, out=weights)
        return ItemGraph(self.indptr, self.indices, weights)

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
        """The weights as a scipy matrix (N, N); shares its entries with the graph."""
        return sp.csr_array((self.weights, self.indices, self.indptr), shape=(len(self), len(self)))

    @cached_property
    def strength(self) -> np.ndarray:
        """Sum of the weights of each item's pairs, (N,) float64."""
        return row_sums(self.indptr, self.weights)

    @cached_property
    def peak(self) -> np.ndarray:
        """Upper bound on the share of an item's heaviest pair in its strength, (N,) float32."""
        return row_peaks(self.indptr, self.weights, self.strength)

    @cached_property
    def tables(self) -> tuple[np.ndarray, np.ndarray, np.uint64]:
        """Alias tables of every row, see `slots`: rows (N,), slots (E,) and the bits of an id."""
        return pack_graph(self.indptr, self.indices, self.weights)

    @cached_property
    def pair_set(self) -> tuple[np.ndarray, np.uint64]:
        """Tells whether two items are a pair, see `pair_set`."""
        return build_pair_set(self.indptr, self.indices)
