"""Scores of items for queries that have a history, without any training of vectors."""

from typing import Any

import numpy as np
from scipy import sparse

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import run_parts
from recsys_lab.compute.sorted_rows import find_in_row


class SameForAll:
    """The same score (N,) of an item for every query, such as its popularity."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = np.asarray(scores, np.float64)

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) float64."""
        return self.scores[tails]

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) float32."""
        return np.tile(self.scores.astype(np.float32), (len(queries), 1))


class HistoryScorer:
    """score(q, j) = sum over the items i of the history of q of weight_qi * similarity_ij.

    A query without a history has no score: NaN. An item that is similar to none of a history
    scores 0.

    Args:
        weights: (Q, N) CSR, what the items of a history weigh.
        similarity: (N, N), dense float32 or CSR with sorted rows.
    """

    def __init__(
        self, weights: sparse.csr_matrix, similarity: np.ndarray | sparse.csr_matrix
    ) -> None:
        self.num_items = similarity.shape[0]
        if similarity.shape != (self.num_items,) * 2 or weights.shape[1] != self.num_items:
            raise ValueError(
                f"weights {weights.shape} and similarity {similarity.shape} must agree in the items"
            )
        self.similarity = similarity
        self._history = weights.indptr, weights.indices, weights.data.astype(np.float32)
        self._has_history = np.diff(weights.indptr) > 0
        self._kernels: tuple[Any, Any]
        self._similarity: Any
        if isinstance(similarity, np.ndarray):
            self._similarity = similarity
            self._kernels = _dense_pairs, _dense_rows
        else:
            self._similarity = similarity.indptr, similarity.indices, similarity.data
            self._kernels = _sparse_pairs, _sparse_rows

    def asked_with(self, weights: sparse.csr_matrix) -> "HistoryScorer":
        """The same similarity for other histories (Q, N)."""
        return HistoryScorer(weights, self.similarity)

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) float64."""
        heads, tails = np.asarray(heads), np.asarray(tails)
        scores = np.empty(len(heads))

        def score_part(low: int, high: int) -> None:
            part = slice(low, high)
            self._kernels[0](
                self._history, self._similarity, heads[part], tails[part], scores[part]
            )

        run_parts(score_part, len(heads))
        scores[~self._has_history[heads]] = np.nan
        return scores

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) float32; the caller bounds Q."""
        queries = np.asarray(queries)
        scores = np.zeros((len(queries), self.num_items), np.float32)  # (Q, N)

        def score_part(low: int, high: int) -> None:
            part = slice(low, high)
            self._kernels[1](self._history, self._similarity, queries[part], scores[part])

        run_parts(score_part, len(queries))
        scores[~self._has_history[queries]] = np.nan
        return scores


def weighted_rows(weights: sparse.csr_matrix, rows: np.ndarray) -> np.ndarray:
    """(Q, N) float32 product of sparse weights (Q, M) and dense rows (M, N), on all threads."""
    parts = weights.indptr, weights.indices, weights.data.astype(np.float32)
    found = np.zeros((weights.shape[0], rows.shape[1]), np.float32)

    def add_part(low: int, high: int) -> None:
        _dense_rows(parts, rows, np.arange(low, high), found[low:high])

    run_parts(add_part, len(found))
    return found


@jit()
def _dense_pairs(history, similarity, heads, tails, out):  # type: ignore[no-untyped-def]
    offsets, items, weights = history
    for p in range(len(heads)):
        total = 0.0
        for e in range(offsets[heads[p]], offsets[heads[p] + 1]):
            total += weights[e] * similarity[items[e], tails[p]]
        out[p] = total


@jit()
def _dense_rows(history, similarity, queries, out):  # type: ignore[no-untyped-def]
    """Adds to out (q, N), which comes zeroed."""
    offsets, items, weights = history
    for q in range(len(queries)):
        row = out[q]
        for e in range(offsets[queries[q]], offsets[queries[q] + 1]):
            weight, near = weights[e], similarity[items[e]]
            for j in range(len(row)):
                row[j] += weight * near[j]


@jit()
def _sparse_pairs(history, similarity, heads, tails, out):  # type: ignore[no-untyped-def]
    offsets, items, weights = history
    indptr, indices, values = similarity
    for p in range(len(heads)):
        total = 0.0
        for e in range(offsets[heads[p]], offsets[heads[p] + 1]):
            place = find_in_row(indptr, indices, items[e], tails[p])
            if place >= 0:
                total += weights[e] * values[place]
        out[p] = total


@jit()
def _sparse_rows(history, similarity, queries, out):  # type: ignore[no-untyped-def]
    """Adds to out (q, N), which comes zeroed."""
    offsets, items, weights = history
    indptr, indices, values = similarity
    for q in range(len(queries)):
        for e in range(offsets[queries[q]], offsets[queries[q] + 1]):
            for place in range(indptr[items[e]], indptr[items[e] + 1]):
                out[q, indices[place]] += weights[e] * values[place]
