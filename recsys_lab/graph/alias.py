"""Alias tables: O(1) draws from any discrete distribution.

Walker (1977) with Vose's linear-time construction (IEEE Trans. Software Eng. 17(9), 1991).
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _fill_row(
    weights: np.ndarray, outcomes: np.ndarray, threshold: np.ndarray, alias: np.ndarray
) -> None:
    """Fill one table: slot k yields outcomes[k] below threshold[k], else alias[k]."""
    size = len(weights)
    total = 0.0
    for weight in weights:
        total += weight
    scaled = np.empty(size, np.float64)
    stack = np.empty(size, np.int64)  # small slots from the left, large ones from the right
    small, large = 0, size
    for slot in range(size):
        scaled[slot] = weights[slot] * size / total
        alias[slot] = outcomes[slot]
        if scaled[slot] < 1.0:
            stack[small] = slot
            small += 1
        else:
            large -= 1
            stack[large] = slot
    while small > 0 and large < size:
        small -= 1
        poor, rich = stack[small], stack[large]
        threshold[poor] = scaled[poor]
        alias[poor] = outcomes[rich]
        scaled[rich] -= 1.0 - scaled[poor]
        if scaled[rich] < 1.0:
            large += 1
            stack[small] = rich
            small += 1
    while small > 0:  # left over by rounding only
        small -= 1
        threshold[stack[small]] = 1.0
    while large < size:
        threshold[stack[large]] = 1.0
        large += 1


@njit(cache=True, nogil=True)
def build_alias_rows(
    indptr: np.ndarray, indices: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Build the alias table of every row of a compressed matrix.

    Returns:
        thresholds (E,) float32 and aliases (E,) int32; aliases are column ids, so that a draw
        needs no second look into `indices`.
    """
    threshold = np.empty(len(indices), np.float32)
    alias = np.empty(len(indices), np.int32)
    for row in range(len(indptr) - 1):
        low, high = indptr[row], indptr[row + 1]
        _fill_row(weights[low:high], indices[low:high], threshold[low:high], alias[low:high])
    return threshold, alias


def build_alias(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Build one alias table over 0 .. len(weights) - 1; thresholds and aliases as above."""
    indptr = np.array([0, len(weights)], np.int64)
    outcomes = np.arange(len(weights), dtype=np.int32)
    return build_alias_rows(indptr, outcomes, weights.astype(np.float64))
