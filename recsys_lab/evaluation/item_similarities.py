"""Item-item weights from a matrix of queries and items: EASE, and cosines of nearest items."""

import numpy as np
from scipy import sparse

from recsys_lab.compute.checks import checked
from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import run_parts
from recsys_lab.compute.ranges import Count, PartialShare, Positive
from recsys_lab.compute.threads import blas_threads
from recsys_lab.evaluation.history_scorers import weighted_rows

_ROWS = 1024  # of a dense matrix that are handled at a time
_SPARSE = 0.1  # share of entries below which a sparse product is the faster one
_SMALL = 256  # rows of a matrix that is inverted at once
_PART = 256  # rows of a product


@checked
def ease_weights(matrix: sparse.csr_matrix, penalty: Positive) -> np.ndarray:
    """Weights B (N, N) that best restore each row of X (Q, N) from its other items (EASE).

    B = -P / diag(P) by column with a diagonal of 0, where P = (XᵀX + penalty I)⁻¹ (Steck, 2019,
    equation 8). The inverse is computed in place, in float32: 5.4 N² bytes, about N³ operations.

    Returns:
        (N, N) float32; the score of item j for a history h is (h @ B)[j].
    """
    inverse = _gram(matrix)  # (N, N)
    diagonal = np.einsum("ii->i", inverse)  # a view
    diagonal += penalty
    with blas_threads():
        _invert(inverse)
    inverse /= -diagonal.copy()
    diagonal[:] = 0.0
    return inverse


@checked
def next_item_weights(
    matrix: sparse.csr_matrix,
    past: sparse.csr_matrix,
    following: np.ndarray,
    penalty: Positive,
    share: PartialShare,
) -> np.ndarray:
    """Weights B (N, N) that restore a row of X and, from what was before it, each next item.

    They minimise share |X - XB|² + (1 - share) |Y - SB|² + penalty |B|² under a diagonal of 0. S
    holds the weighted past of an event in each row, Y its item. The form is that of SLIST (Choi et
    al., 2021, equation 12), with one next item in place of all later ones. Unlike those of
    `ease_weights`, the weights have a direction. They take the memory of two such matrices,
    8 N² bytes.

    Args:
        matrix: X, (Q, N) CSR.
        past: S, (M, N) CSR.
        following: (M,) the item of each row of Y.
        penalty: on squared weights.
        share: of the symmetric part.

    Returns:
        (N, N) float32; the score of item j for a history h is (h @ B)[j].
    """
    x, s = np.float32(share**0.5), np.float32((1 - share) ** 0.5)
    inverse = _gram(sparse.vstack([x * matrix, s * past], format="csr"))  # (N, N)
    np.einsum("ii->i", inverse)[:] += penalty
    with blas_threads():
        _invert(inverse)
    ones = np.ones(len(following), np.float32)
    rows = np.arange(len(following))
    targets = sparse.csr_matrix((ones, (following, rows)), past.shape[::-1])  # (N, M)
    turned = matrix.T.tocsr()  # (N, Q)
    weights = np.empty_like(inverse)  # (N, N) by target
    for start in range(0, len(weights), _ROWS):
        part = slice(start, start + _ROWS)
        wanted = share * (turned[part] @ matrix) + (1 - share) * (targets[part] @ past)
        weights[part] = _product(sparse.csr_matrix(wanted), inverse)
        for j in range(start, min(start + _ROWS, len(weights))):
            # a multiplier for each target keeps the diagonal at 0
            weights[j] -= inverse[j] * (weights[j, j] / inverse[j, j])
            weights[j, j] = 0.0
    _transpose(weights)
    return weights


def _product(rows: sparse.csr_matrix, matrix: np.ndarray) -> np.ndarray:
    """(R, N) float32 product, in the way that is faster for so many entries."""
    if rows.nnz < _SPARSE * rows.shape[0] * rows.shape[1]:
        return weighted_rows(rows, matrix)
    with blas_threads():
        product: np.ndarray = rows.astype(np.float32).toarray() @ matrix
    return product


def _transpose(matrix: np.ndarray) -> None:
    """Transpose a square matrix in place, block by block."""
    starts = range(0, len(matrix), _ROWS)
    for one in starts:
        for other in starts[one // _ROWS :]:
            here, there = slice(one, one + _ROWS), slice(other, other + _ROWS)
            block = matrix[here, there].copy()
            matrix[here, there] = matrix[there, here].T
            matrix[there, here] = block.T


def _invert(matrix: np.ndarray) -> None:
    """Invert a symmetric positive definite matrix in place, by its Schur complement.

    Nearly all work is in products of matrices, about N³ additions and multiplications, so it takes
    a fraction of the time of LAPACK's potri.
    """
    if len(matrix) <= _SMALL:
        matrix[:] = np.linalg.inv(matrix)
        return
    half = len(matrix) // 2
    top, side, corner = matrix[:half, :half], matrix[:half, half:], matrix[half:, half:]
    _invert(top)
    step = top @ side
    _subtract_symmetric(corner, step.T, side)
    _invert(corner)
    for part in _parts(half):
        side[part] = -(step[part] @ corner)
    _subtract_symmetric(top, side, step.T)
    matrix[half:, :half] = side.T


def _subtract_symmetric(matrix: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Subtract a product that is symmetric: up to the diagonal, which is mirrored then."""
    for part in _parts(len(matrix)):
        below = slice(0, part.stop)
        matrix[part, below] -= left[part] @ right[:, below]
        matrix[below, part] = matrix[part, below].T


def _parts(num_rows: int) -> list[slice]:
    """Rows of a product that are computed at a time."""
    return [slice(i, min(i + _PART, num_rows)) for i in range(0, num_rows, _PART)]


def _gram(matrix: sparse.csr_matrix) -> np.ndarray:
    """(N, N) float32 XᵀX, a block of rows at a time: its sparse form may be larger."""
    matrix = matrix.astype(np.float32)
    turned = matrix.T.tocsr()
    gram = np.empty((matrix.shape[1],) * 2, np.float32)
    for start in range(0, len(gram), _ROWS):
        part = slice(start, start + _ROWS)
        (turned[part] @ matrix).toarray(out=gram[part])
    return gram


@checked
def nearest_items(matrix: sparse.csr_matrix, k: Count) -> sparse.csr_matrix:
    """(N, N) CSR whose row i holds the k items with the largest cosine to item i, and the cosines.

    The cosine is of the columns of X (Q, N), whose entries count as 1. Of equal cosines, the
    smaller items are taken. The cost is the sum over queries of the square of their items.
    """
    matrix = sparse.csr_matrix(matrix)
    turned = matrix.T.tocsr()
    num_items = matrix.shape[1]
    k = min(k, num_items)
    items = np.empty((num_items, k), np.int32)
    cosines = np.empty((num_items, k), np.float32)
    sizes = np.zeros(num_items, np.int64)
    rows = matrix.indptr, matrix.indices, turned.indptr, turned.indices

    def find(low: int, high: int) -> None:
        part = slice(low, high)
        _nearest(*rows, low, items[part], cosines[part], sizes[part])

    run_parts(find, num_items)
    is_found = np.arange(k) < sizes[:, None]
    offsets = np.append(0, np.cumsum(sizes))
    found = sparse.csr_matrix((cosines[is_found], items[is_found], offsets), (num_items,) * 2)
    found.sort_indices()
    return found


@jit()
def _nearest(offsets, members, item_offsets, owners, first, items, cosines, sizes):  # type: ignore[no-untyped-def]
    """Fill the rows of items first, first + 1, ...: at most k nearest items each."""
    num_items = len(item_offsets) - 1
    together = np.zeros(num_items, np.float32)
    touched = np.empty(num_items, np.int32)
    for row in range(len(items)):
        item, size = first + row, 0
        for owner in range(item_offsets[item], item_offsets[item + 1]):
            query = owners[owner]
            for place in range(offsets[query], offsets[query + 1]):
                other = members[place]
                if together[other] == 0.0:
                    touched[size] = other
                    size += 1
                together[other] += 1.0
        together[item] = 0.0
        others = np.sort(touched[:size])
        others = others[others != item]
        degrees = (item_offsets[others + 1] - item_offsets[others]) * np.float64(
            item_offsets[item + 1] - item_offsets[item]
        )
        values = (together[others] / np.sqrt(degrees)).astype(np.float32)
        together[others] = 0.0
        most = min(items.shape[1], len(others))
        order = np.argsort(-values, kind="mergesort")[:most]
        sizes[row] = most
        items[row, :most] = others[order]
        cosines[row, :most] = values[order]
