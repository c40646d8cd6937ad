"""Compressed rows of a symmetric matrix from its pairs, and what is summed over rows."""

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import even_bounds, run_blocks
from recsys_lab.compute.threads import num_threads

_FEW_ENTRIES = 1 << 18  # entries of a graph that one thread goes through at once
_SMALL = 1 << 17  # pairs that one thread turns into rows


def row_bounds(indptr: np.ndarray) -> list[int]:
    """Bounds of blocks of rows with about as many entries each: 0, .., N."""
    entries, rows = int(indptr[-1]), len(indptr) - 1
    num_blocks = 4 * num_threads() if entries > _FEW_ENTRIES else 1
    inner = np.searchsorted(indptr, even_bounds(entries, num_blocks)[1:-1])
    return [0, *inner.tolist(), rows]


@jit()
def in_order(heads: np.ndarray, tails: np.ndarray) -> bool:
    """Whether heads lie below tails, and pairs ascend by (head, tail) without repetition."""
    for pair in range(len(heads)):
        if heads[pair] >= tails[pair]:
            return False
        if pair and heads[pair] < heads[pair - 1]:
            return False
        if pair and heads[pair] == heads[pair - 1] and tails[pair] <= tails[pair - 1]:
            return False
    return True


@jit()
def _count(
    heads: np.ndarray, tails: np.ndarray, first: int, last: int, degrees: np.ndarray
) -> None:
    """Count the pairs of the rows first .. last - 1 in degrees (N,)."""
    for pair in range(len(heads)):
        if heads[pair] >= last:  # and so are its tail and all that follow
            break
        if heads[pair] >= first:
            degrees[heads[pair]] += 1
        if first <= tails[pair] < last:
            degrees[tails[pair]] += 1


@jit()
def _fill(
    heads: np.ndarray,
    tails: np.ndarray,
    weights: np.ndarray,
    first: int,
    last: int,
    indptr: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray,
) -> None:
    """Fill the rows first .. last - 1; ordered pairs meet every row in the order of its columns."""
    ends = indptr[first:last].copy()
    for pair in range(len(heads)):
        head, tail = heads[pair], tails[pair]
        if head >= last:
            break
        if head >= first:
            place = ends[head - first]
            ends[head - first] = place + 1
            indices[place], data[place] = tail, weights[pair]
        if first <= tail < last:
            place = ends[tail - first]
            ends[tail - first] = place + 1
            indices[place], data[place] = head, weights[pair]


def rows_of_pairs(
    heads: np.ndarray, tails: np.ndarray, weights: np.ndarray, num_items: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compressed rows with both directions of every pair, without sorting or copying the pairs.

    Heads and tails (P,) int32 are pairs `in_order`; weights (P,) float32. Returns indptr
    (N + 1,) int64, indices (2P,) int32 and weights (2P,) float32.
    """
    # Each thread goes through all pairs and takes those of its rows.
    bounds = even_bounds(num_items, num_threads() if len(heads) > _SMALL else 1)
    indptr = np.zeros(num_items + 1, np.int64)
    indices, data = np.empty(2 * len(heads), np.int32), np.empty(2 * len(heads), np.float32)
    run_blocks(lambda first, last: _count(heads, tails, first, last, indptr[1:]), bounds)
    np.cumsum(indptr, out=indptr)

    def fill(first: int, last: int) -> None:
        _fill(heads, tails, weights, first, last, indptr, indices, data)

    run_blocks(fill, bounds)
    return indptr, indices, data


@jit()
def _sum(indptr: np.ndarray, weights: np.ndarray, first: int, last: int, out: np.ndarray) -> None:
    for row in range(first, last):
        total = 0.0
        for slot in range(indptr[row], indptr[row + 1]):
            total += weights[slot]
        out[row] = total


def row_sums(indptr: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum of each row's weights, (N,) float64."""
    sums = np.empty(len(indptr) - 1)
    run_blocks(lambda first, last: _sum(indptr, weights, first, last, sums), row_bounds(indptr))
    return sums


def row_peaks(indptr: np.ndarray, weights: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Share of each row's largest weight in its sum, rounded up; (N,) float32, 0 for no weight."""
    peaks = np.zeros(len(sums), np.float32)
    filled = np.flatnonzero(np.diff(indptr))
    largest = np.maximum.reduceat(weights, indptr[filled]) if len(filled) else weights
    peaks[filled] = np.nextafter((largest / sums[filled]).astype(np.float32), np.float32(np.inf))
    return peaks


@jit()
def _multiply(
    indptr: np.ndarray,
    indices: np.ndarray,
    weights: np.ndarray,
    vector: np.ndarray,
    first: int,
    last: int,
    out: np.ndarray,
) -> None:
    for row in range(first, last):
        total = 0.0
        for slot in range(indptr[row], indptr[row + 1]):
            total += weights[slot] * vector[indices[slot]]
        out[row] = total


def multiply(
    indptr: np.ndarray, indices: np.ndarray, weights: np.ndarray, vector: np.ndarray
) -> np.ndarray:
    """The matrix times a vector (N,), in float64; scipy would copy the weights to float64."""
    out = np.empty(len(vector))

    def part(first: int, last: int) -> None:
        _multiply(indptr, indices, weights, vector, first, last, out)

    run_blocks(part, row_bounds(indptr))
    return out
