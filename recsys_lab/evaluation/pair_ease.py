"""EASE for pairs of items: each item is a query whose history are its neighbours."""

import numpy as np
from scipy import sparse

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Exponent, Positive
from recsys_lab.evaluation.baselines import checked_pairs
from recsys_lab.evaluation.history_scorers import weighted_rows
from recsys_lab.evaluation.item_similarities import ease_weights

_ROWS = 1024  # of a dense matrix that are handled at a time


class SymmetricScores:
    """The scores of all pairs: a dense symmetric (N, N) matrix."""

    in_tiles = False

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) float32."""
        return self.scores[heads, tails]

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) float32."""
        return self.scores[queries]


@checked
def ease_of_pairs(
    pairs: sparse.csr_matrix,
    penalty: Positive = 4.0,
    row_exponent: Exponent = 0.5,
    column_exponent: Exponent = 0.0,
) -> SymmetricScores:
    """The scores S + Sᵀ with S = XB, X = D^-row A D^-column and B = `ease_weights` of X.

    A is 1 where two items are a training pair, D the items' degrees. It takes 5.4 N² bytes.

    Args:
        pairs: (N, N) symmetric CSR of the training pairs.
        penalty: on squared weights, in means of the diagonal of XᵀX.
        row_exponent: of the degree of the item that asks.
        column_exponent: of the degrees of its neighbours.
    """
    pairs = checked_pairs(pairs)
    degree = np.maximum(np.diff(pairs.indptr), 1).astype(np.float64)  # (N,)
    ones = sparse.csr_matrix((np.ones(pairs.nnz), pairs.indices, pairs.indptr), pairs.shape)
    rows = sparse.diags(degree**-row_exponent) @ ones @ sparse.diags(degree**-column_exponent)
    matrix = sparse.csr_matrix(rows.astype(np.float32))
    if not matrix.nnz:
        return SymmetricScores(np.zeros(pairs.shape, np.float32))
    mean = float((matrix.data.astype(np.float64) ** 2).sum() / pairs.shape[0])
    scores = ease_weights(matrix, penalty * mean)
    for start in range(0, len(scores), _ROWS):
        part = slice(start, start + _ROWS)
        scores[:, part] = weighted_rows(matrix, np.ascontiguousarray(scores[:, part]))
    _add_transposed(scores)
    return SymmetricScores(scores)


def _add_transposed(matrix: np.ndarray) -> None:
    """Add its transpose to a square matrix in place, block by block."""
    for start in range(0, len(matrix), _ROWS):
        rows = slice(start, start + _ROWS)
        for other in range(start, len(matrix), _ROWS):
            columns = slice(other, other + _ROWS)
            both = matrix[rows, columns] + matrix[columns, rows].T
            matrix[rows, columns] = both
            matrix[columns, rows] = both.T
