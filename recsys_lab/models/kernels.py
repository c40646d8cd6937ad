"""Compiled pieces of the fused training step: weights of cells and slopes of losses.

Each works on the small matrices of one block, which stay in the cache.
"""

import numpy as np

from recsys_lab.compute.kernel_cache import jit

# Sums may be reordered and divisions approximated, so that loops are vectorised. NaN and infinity
# keep their meaning, since a diverging loss must be seen.
_FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}

fast_jit = jit(fastmath=_FAST, error_model="numpy")  # for loops over vectors
# Both become part of their callers: otherwise a process that compiles and one that reads the cache
# may call differently compiled copies, whose sums differ in the last bit. Pieces with loops are put
# there by LLVM, so that numba translates them once; functions that only call pieces, by numba.
jit_piece = jit(fastmath=_FAST, error_model="numpy", forceinline=True, _nrt=False)
jit_calls = jit(fastmath=_FAST, error_model="numpy", inline="always")
# For functions that make no array. They count no references: the counts of the tables, which all
# threads share, would go from core to core with every group and bucket.
uncounted_jit = jit(fastmath=_FAST, error_model="numpy", _nrt=False)

_GUARD = 256  # floats, more than a vectorised loop takes in one turn


def scratch(size: int) -> np.ndarray:
    """Zeros (size,) float32 that no other array follows closely.

    A vectorised loop that writes one array and reads another begins by comparing their addresses,
    and goes one by one where the second follows within a turn. Its sums then differ in the last
    bit, and where arrays lie depends on the thread.
    """
    return np.zeros(size + _GUARD, np.float32)[:size]


@jit_piece
def weigh_windows(
    items: np.ndarray,
    column_weights: np.ndarray,
    distance_weights: np.ndarray,
    num_negatives: float,
    chosen_positive: np.ndarray,
    chosen_negative: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
) -> None:
    """Fill the weights of one group's cells, (C, C + K + X) each, as `blocks.score_block` has them.

    `items` are (S, L), -1 for padding, and C = S * L. The weights are of columns (C + K,), of
    distances (L,), and of chosen contexts (C, X) each; `num_negatives` is the weight of a center's
    negatives over its positives.
    """
    walks, length = items.shape
    first = len(column_weights)
    for walk in range(walks):
        low, high = walk * length, (walk + 1) * length
        rest = column_weights[:low].sum() + column_weights[high:].sum()  # no difference of sums
        scale = np.float32(num_negatives) / max(rest, np.float32(1e-12))
        for place in range(length):
            row, mass = low + place, np.float32(0)
            positive[row] = 0
            for other in range(length):
                if items[walk, place] >= 0 and items[walk, other] >= 0:
                    positive[row, low + other] = distance_weights[abs(place - other)]
            for column in range(chosen_positive.shape[1]):
                positive[row, first + column] = chosen_positive[row, column]
            for column in range(positive.shape[1]):
                mass += positive[row, column]
            for column in range(first):
                negative[row, column] = mass * scale * column_weights[column]
            negative[row, low:high] = 0
            for column in range(chosen_negative.shape[1]):
                negative[row, first + column] = mass * chosen_negative[row, column]


@jit_piece
def logistic_slopes(
    scores: np.ndarray, positive: np.ndarray, negative: np.ndarray, power: np.ndarray
) -> float:
    """Replace scores by the slopes of `losses.logistic_loss`; returns the loss.

    All are flat (n,); `power` is scratch.

    With e = exp(-|s|): softplus(s) = max(s, 0) + log(1 + e). exp is a power of two times a
    polynomial for |r| <= 1/2, and log(1 + e) / e another for 0 <= e <= 1, both with the least
    largest relative error of their degree, 8e-8 and 2e-7.
    """
    loss = np.float32(0)
    bits = power.view(np.int32)
    for k in range(len(scores)):
        x = scores[k]
        t = max(-abs(x) * np.float32(1.4426950408889634), np.float32(-126.0))
        whole = np.int32(t - np.float32(0.5))
        r = t - np.float32(whole)
        r2 = r * r
        high = np.float32(1.32765e-3) * r + np.float32(9.67554e-3)
        middle = np.float32(5.550713e-2) * r + np.float32(2.402212e-1)
        p = (high * r2 + middle) * r2 + (np.float32(6.931470e-1) * r + np.float32(1))
        bits[k] = (whole + np.int32(127)) << np.int32(23)
        e = p * power[k]
        inverse = np.float32(1) / (np.float32(1) + e)
        e2 = e * e
        high = np.float32(-8.53921e-3) * e + np.float32(4.408962e-2)
        high = high * e2 + (np.float32(-1.076817e-1) * e + np.float32(1.7745241e-1))
        high = high * e2 + (np.float32(-2.4495463e-1) * e + np.float32(3.327548e-1))
        series = high * e2 + (np.float32(-4.9997405e-1) * e + np.float32(9.9999981e-1))
        softplus = np.float32(0.5) * (x + abs(x)) + e * series
        both = positive[k] + negative[k]
        loss += both * softplus - positive[k] * x
        sigmoid = inverse if x > 0 else e * inverse
        scores[k] = both * sigmoid - positive[k]
    return float(loss)


@jit_piece
def squared_slopes(scores: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> float:
    """The same for `losses.squared_loss`."""
    loss = np.float32(0)
    for k in range(len(scores)):
        x = scores[k]
        miss = x - positive[k] if positive[k] > 0 else np.float32(0)
        loss += miss * miss + negative[k] * x * x
        scores[k] = np.float32(2) * (miss + negative[k] * x)
    return float(loss)
