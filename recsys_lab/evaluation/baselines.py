"""Baselines that need no training: their table, and those over the graph of the training pairs.

The latter take the symmetric (N, N) CSR matrix of the training pairs. They score every pair: an
item without training pairs has no common neighbours and no walks, which is a score of 0, not a
missing one. No N x N matrix and no power of the whole graph is ever formed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from scipy import sparse

from recsys_lab.compute.checks import checked
from recsys_lab.compute.parallel import run_parts
from recsys_lab.compute.ranges import Count, Decay, Exponent
from recsys_lab.evaluation.baseline_kernels import (
    list_common,
    list_walks,
    sum_common_pairs,
    walk_pairs,
)
from recsys_lab.evaluation.content import ContentSimilarity

if TYPE_CHECKING:  # it stands beside the scorer of vectors, which imports torch
    from recsys_lab.evaluation.scorers import Listed, Scorer


class Popularity:
    """Product of the two items' degrees (numbers of training pairs): preferential attachment.

    An item of degree 0 counts as a power of two small enough that its pairs score below all
    pairs without such an item; among themselves they still follow the other end. Products of
    integers and powers of two are exact, so equal products tie exactly.
    """

    in_tiles = True

    def __init__(self, pairs: sparse.csr_matrix) -> None:
        degree = np.diff(_checked(pairs).indptr).astype(np.float64)
        floor = 0.5 ** np.ceil(np.log2(max(degree.max(initial=0.0), 1.0)) + 1.0)
        self.degree = np.where(degree > 0, degree, floor)  # (N,)

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) float64."""
        return self.degree[heads] * self.degree[tails]

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) float32."""
        return self.score_tile(self.queries_side(queries), self.degree.astype(np.float32))

    def queries_side(self, queries: np.ndarray) -> np.ndarray:
        """(Q,) float32."""
        return self.degree[queries].astype(np.float32)

    items_side = queries_side

    def score_tile(self, queries: np.ndarray, items: np.ndarray) -> np.ndarray:
        """(Q, n) float32."""
        return queries[:, None] * items


class _GraphBaseline:
    """Spreads pairs and rows over threads; compiled kernels score the parts.

    Attributes:
        kernels: of pairs and of lists, chosen by the subclass.
        inputs: what both kernels take first, set by the subclass.
    """

    kernels: "tuple[Callable[..., None], Callable[..., Listed]]"
    inputs: tuple[Any, ...]

    def __init__(self, pairs: sparse.csr_matrix) -> None:
        matrix = _checked(pairs)
        self.num_items = matrix.shape[0]
        self.indptr, self.indices, self.weights = matrix.indptr, matrix.indices, matrix.data
        self.degree = np.diff(matrix.indptr)  # (N,)

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) float64; the same bits for (i, j) as for (j, i)."""
        heads, tails = self._hub_first(np.asarray(heads), np.asarray(tails))
        order = np.argsort(heads, kind="stable")  # kernels prepare adjacent equal heads once
        scores = np.empty(len(order))

        def score_part(low: int, high: int) -> None:
            places = order[low:high]
            out = np.empty(len(places))
            self.kernels[0](*self.inputs, heads[places], tails[places], out)
            scores[places] = out

        run_parts(score_part, len(order))
        return scores

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) float32."""
        queries = np.asarray(queries)
        rows = np.zeros((len(queries), self.num_items), np.float32)  # (Q, N)

        def score_part(low: int, high: int) -> None:
            bounds, items, scores = self.list_scores(queries[low:high])
            rows[np.repeat(np.arange(low, high), np.diff(bounds)), items] = scores

        run_parts(score_part, len(queries))
        return rows

    def list_scores(self, queries: np.ndarray) -> "Listed":
        """See `ListedScorer`."""
        return self.kernels[1](*self.inputs, queries)

    def _hub_first(self, heads: np.ndarray, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The end of larger degree first: few heads to prepare, and tails with few neighbours."""
        difference = self.degree[heads] - self.degree[tails]
        swap = (difference < 0) | ((difference == 0) & (heads > tails))
        return np.where(swap, tails, heads), np.where(swap, heads, tails)


class CommonNeighbors(_GraphBaseline):
    """Number of common neighbours, weights ignored."""

    kernels = sum_common_pairs, list_common

    def __init__(self, pairs: sparse.csr_matrix) -> None:
        super().__init__(pairs)
        self.inputs = self.indptr, self.indices, np.ones(self.num_items)


class AdamicAdar(_GraphBaseline):
    """Sum over common neighbours of 1 / log(degree) (Adamic and Adar, 2003)."""

    kernels = sum_common_pairs, list_common

    def __init__(self, pairs: sparse.csr_matrix) -> None:
        super().__init__(pairs)
        # a neighbour of two items has degree 2 or more; the others never count
        values = np.where(self.degree >= 2, 1.0 / np.log(np.maximum(self.degree, 2)), 0.0)
        self.inputs = self.indptr, self.indices, values


class ResourceAllocation(_GraphBaseline):
    """Sum over common neighbours of 1 / degree (Zhou, Lü and Zhang, 2009)."""

    kernels = sum_common_pairs, list_common

    def __init__(self, pairs: sparse.csr_matrix) -> None:
        super().__init__(pairs)
        self.inputs = self.indptr, self.indices, 1.0 / np.maximum(self.degree, 1)


class _Walks(_GraphBaseline):
    """Weighted sums over walks on the graph, times a function of the two ends."""

    kernels = walk_pairs, list_walks

    def _strength(self, weights: np.ndarray) -> np.ndarray:
        """(N,) float64 sum of the weights of each item's pairs."""
        shape = (self.num_items, self.num_items)
        return sparse.csr_matrix((weights, self.indices, self.indptr), shape) @ np.ones(shape[0])


class WalkProximity(_Walks):
    """How often short walks from one item meet the other: both ways, each less the hub it meets.

    score = M_ij (1 / s_i ** exponent + 1 / s_j ** exponent), where M is the sum over t from 1 to
    `steps` of decay ** (t - 1) W (S⁻¹ W) ** (t - 1), W the weights and S the sums s of its rows.
    With an exponent of 1 that is R_ij + R_ji, where R = P + decay P² + ... is made of powers of the
    transition matrix P = S⁻¹ W.

    Args:
        pairs: (N, N) symmetric CSR.
        steps: length of the longest walk, in steps.
        decay: a walk of one more step counts this much less.
        exponent: of the strength of the two ends.
    """

    @checked
    def __init__(
        self,
        pairs: sparse.csr_matrix,
        steps: Count = 3,
        decay: Decay = 1.0,
        exponent: Exponent = 1.0,
    ) -> None:
        super().__init__(pairs)
        strength = self._strength(self.weights)
        inverse = _power(strength, -1.0)
        ends = strength * _power(strength, -exponent), strength, _power(strength, -exponent)
        graph = self.indptr, self.indices, self.weights, inverse
        self.inputs = graph, decay ** np.arange(steps), ends


class RP3Beta(_Walks):
    """Probability of three steps from i to j, less for popular items (Paudel et al., 2016).

    The transition probabilities are raised to `alpha`, and those of three steps divided by
    degree_j ** beta: M_ij / (s_i ** alpha degree_j ** beta) with a symmetric M. This is
    M_ij / (degree_i degree_j) ** beta, which ranks the items for i alike and is symmetric.

    Args:
        pairs: (N, N) symmetric CSR.
        alpha: exponent of transition probabilities.
        beta: exponent of degrees.
    """

    @checked
    def __init__(
        self, pairs: sparse.csr_matrix, alpha: Exponent = 1.0, beta: Exponent = 0.5
    ) -> None:
        super().__init__(pairs)
        strength = self._strength(self.weights) ** alpha  # (N,); 0 ** alpha counts nowhere
        weights = self.weights.astype(np.float64) ** alpha
        by_degree = _power(self.degree, -beta)
        graph = self.indptr, self.indices, weights, _power(strength, -1.0)
        ends = np.zeros(self.num_items), strength * by_degree, by_degree
        self.inputs = graph, np.array([0.0, 0.0, 1.0]), ends


def _power(values: np.ndarray, exponent: float) -> np.ndarray:
    """(N,) float64 power of what is positive; the rest is 0."""
    values = values.astype(np.float64)
    found = np.zeros(len(values))
    np.power(values, exponent, out=found, where=values > 0)
    return found


@dataclass(frozen=True)
class TrainingData:
    """What a baseline may use.

    Attributes:
        pairs: (N, N) symmetric CSR of the training pairs, their weights as entries.
        labels: (N, V) CSR of the items' side information, stored where an item has a label; V is 0
            where there is none.
    """

    pairs: sparse.csr_matrix
    labels: sparse.csr_matrix


class Baseline(NamedTuple):
    """An entry of `BASELINES`.

    Attributes:
        build: makes the scorer from `TrainingData` (`query_baselines.QueryData` in its table), or
            returns None where the data do not allow it.
        label: its name in tables; by default its name in `BASELINES` with blanks.
        compared: the model's difference to it is computed where most test pairs are "seen", where
            most have a "cold" end, or never.
        same_for_all: whether all queries have the same scores, so that a mixture is of no use.
    """

    build: "Callable[[Any], Scorer | None]"
    label: str = ""
    compared: Literal["seen", "cold", "never"] = "never"
    same_for_all: bool = False


def _content(data: TrainingData) -> "Scorer | None":
    return ContentSimilarity(data.labels) if data.labels.nnz else None


# Scorers beside the model in every final test, by their names in `metrics.json`. A new entry is
# tested and reported like the others. Baselines that know only pairs cannot rank a cold item.
BASELINES: dict[str, Baseline] = {
    "popularity": Baseline(lambda data: Popularity(data.pairs)),
    "common_neighbours": Baseline(lambda data: CommonNeighbors(data.pairs)),
    "adamic_adar": Baseline(lambda data: AdamicAdar(data.pairs), "Adamic-Adar", "seen"),
    "walk_proximity": Baseline(lambda data: WalkProximity(data.pairs), compared="seen"),
    "content": Baseline(_content, "content (tf-idf)", "cold"),
}


def _checked(pairs: sparse.csr_matrix) -> sparse.csr_matrix:
    """The matrix with sorted, distinct entries.

    Raises:
        ValueError: it is not the weight matrix of an undirected graph.
    """
    matrix = sparse.csr_matrix(pairs)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()  # not to change the argument
        matrix.sum_duplicates()
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"training pairs must be a square matrix, got {matrix.shape}")
    if not (np.isfinite(matrix.data).all() and (matrix.data > 0).all()):
        raise ValueError("weights of training pairs must be finite and positive")
    if matrix.diagonal().any():
        raise ValueError("training pairs hold self-pairs; drop them first")
    # cheap and enough to catch a one-directional matrix, which is the usual mistake
    occurrences = np.bincount(matrix.indices, minlength=matrix.shape[0])
    if not np.array_equal(occurrences, np.diff(matrix.indptr)):
        raise ValueError("training pairs must be stored both ways: the matrix is not symmetric")
    return matrix
