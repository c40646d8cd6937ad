"""Binary search in compressed rows whose entries ascend."""

import numpy as np

from recsys_lab.compute.kernel_cache import jit


@jit()
def find_in_row(indptr: np.ndarray, indices: np.ndarray, row: int, item: int) -> int:
    """Place of an item in indices[indptr[row] : indptr[row + 1]], or -1."""
    low, end = indptr[row], indptr[row + 1]
    high = end
    while low < high:
        middle = (low + high) >> 1
        if indices[middle] < item:
            low = middle + 1
        else:
            high = middle
    return low if low < end and indices[low] == item else -1


@jit()
def are_stored(
    indptr: np.ndarray, indices: np.ndarray, rows: np.ndarray, items: np.ndarray
) -> np.ndarray:
    """(P,) bool: which (rows[p], items[p]) are stored."""
    found = np.empty(len(rows), np.bool_)
    for p in range(len(rows)):
        found[p] = find_in_row(indptr, indices, rows[p], items[p]) >= 0
    return found
