"""EASE of many items, without a dense matrix: each item is restored from the closest ones alone."""

from itertools import pairwise

import numpy as np
from scipy import sparse

from recsys_lab.compute.checks import checked
from recsys_lab.compute.parallel import run_parts
from recsys_lab.compute.ranges import Count, Exponent, Positive
from recsys_lab.evaluation.baselines import GraphBaseline, checked_pairs
from recsys_lab.evaluation.local_ease_kernels import score_local, solve_columns
from recsys_lab.evaluation.scorers import Listed

_COLUMNS = 1 << 16  # that are solved at a time; only what is there of them is kept


class LocalEase(GraphBaseline):
    """The scores S + Sᵀ of `ease_of_pairs`, S = XB, where few weights of a column of B are not 0.

    Column j of B is the ridge regression of column j of X on `neighbours` other columns. They are
    those with the largest (XᵀX)_ij² / ((XᵀX)_ii + penalty), by which item i alone would lessen the
    error, as in SLIM with feature selection (Ning and Karypis, 2011). Items without a common
    neighbour with j have no weight; the dense form gives them small ones, mostly negative.

    It takes 16 N `neighbours` bytes at the most, and a time that grows with N `neighbours`³.

    Args:
        pairs: (N, N) symmetric CSR of the training pairs.
        penalty: on squared weights, in means of the diagonal of XᵀX.
        row_exponent: of the degree of the item that asks.
        column_exponent: of the degrees of its neighbours.
        neighbours: the most weights of a column.
    """

    kernels = (score_local,)

    @checked
    def __init__(
        self,
        pairs: sparse.csr_matrix,
        penalty: Positive = 8.0,
        row_exponent: Exponent = 0.5,
        column_exponent: Exponent = 0.0,
        neighbours: Count = 200,
    ) -> None:
        super().__init__(pairs := checked_pairs(pairs))
        degree = np.maximum(self.degree, 1).astype(np.float64)  # (N,)
        ends = degree**-row_exponent, degree**-column_exponent
        ones = sparse.csr_matrix((np.ones(pairs.nnz), pairs.indices, pairs.indptr), pairs.shape)
        diagonal = ends[1] ** 2 * (ones @ ends[0] ** 2)  # of XᵀX
        ridge = penalty * float(diagonal.mean()) if pairs.nnz else 1.0
        graph = self.indptr, self.indices, *ends
        columns = _solve(graph, diagonal, ridge, min(neighbours, self.num_items - 1))
        self.inputs = graph, (columns.indptr, columns.indices, columns.data)
        scaled = sparse.diags(ends[0]) @ ones @ sparse.diags(ends[1])
        self._matrix, self._turned = scaled.astype(np.float32), scaled.T.tocsr().astype(np.float32)
        self._columns, self._weights = columns, columns.T.tocsr()  # Bᵀ and B

    def list_scores(self, queries: np.ndarray) -> Listed:
        """See `ListedScorer`."""
        found = self._matrix[queries] @ self._weights + self._columns[queries] @ self._turned
        return found.indptr, found.indices, found.data


def _solve(
    graph: tuple[np.ndarray, ...], diagonal: np.ndarray, ridge: float, width: int
) -> sparse.csr_matrix:
    """The transposed weights: row j holds column j of B."""
    shape = (len(diagonal),) * 2
    if len(diagonal) < 2:
        return sparse.csr_matrix(shape, dtype=np.float32)
    bounds = pairwise([*range(0, len(diagonal), _COLUMNS), len(diagonal)])
    parts = [_solve_some(graph, diagonal, ridge, width, low, high) for low, high in bounds]
    items, weights, sizes = map(np.concatenate, zip(*parts, strict=True))
    return sparse.csr_matrix((weights, items, np.append(0, np.cumsum(sizes))), shape)


def _solve_some(
    graph: tuple[np.ndarray, ...],
    diagonal: np.ndarray,
    ridge: float,
    width: int,
    low: int,
    high: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items and weights of the columns from low to high, in their order, and their sizes."""
    items = np.empty((high - low, width), np.int32)
    weights = np.empty((high - low, width), np.float32)
    sizes = np.empty(high - low, np.int64)

    def solve(first: int, last: int) -> None:
        part = slice(first, last)
        solve_columns(graph, diagonal, ridge, low + first, items[part], weights[part], sizes[part])

    run_parts(solve, high - low)
    is_found = np.arange(width) < sizes[:, None]
    return items[is_found], weights[is_found], sizes
