"""Alias tables: O(1) draws from any discrete distribution.

Walker (1977) with Vose's linear-time construction (IEEE Trans. Software Eng. 17(9), 1991).
"""

import numpy as np

from recsys_lab.compute.kernel_cache import jit


@jit()
def fill_alias(
    weights: np.ndarray,
    scaled: np.ndarray,
    stack: np.ndarray,
    threshold: np.ndarray,
    alias: np.ndarray,
) -> None:
    """Fill one table: slot k yields k below threshold[k], else alias[k]; all (size,)."""
    size = len(weights)
    total = 0.0
    for weight in weights:
        total += weight
    small, large = 0, size  # of the stack: small slots from the left, large ones from the right
    for slot in range(size):
        scaled[slot] = weights[slot] * size / total
        alias[slot] = slot
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
        alias[poor] = rich
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


def build_alias(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Build one alias table over 0 .. K - 1.

    Args:
        weights: (K,), not negative, with a positive sum.

    Returns:
        thresholds (K,) float32 and aliases (K,) int32: slot k yields k where a number in [0, 1)
        lies below threshold[k], else alias[k].
    """
    size = len(weights)
    threshold, alias = np.empty(size, np.float32), np.empty(size, np.int32)
    scaled, stack = np.empty(size), np.empty(size, np.int32)
    fill_alias(weights.astype(np.float64), scaled, stack, threshold, alias)
    return threshold, alias
