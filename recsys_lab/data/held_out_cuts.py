"""Ready-made sequences without held-out pairs: cut where two ends of one stand close together.

Random walks are drawn on the graph of the training pairs, so they hold no such pair by themselves.
"""

import numpy as np

from recsys_lab.compute.kernel_cache import jit


@jit()
def _contains(keys: np.ndarray, key: int) -> bool:
    """Whether ascending keys hold a key."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low < len(keys) and keys[low] == key


@jit()
def find_cuts(
    table: np.ndarray, held_keys: np.ndarray, num_items: int, reach: int
) -> tuple[np.ndarray, int]:
    """Where sequences are cut, so that no held-out pair stands within `reach` places.

    The cuts are as few as can be: places are passed from the left, and a sequence is cut before the
    second end of a pair whose two ends are still in one piece.

    Args:
        table: (S, L) item ids, -1 for padding.
        held_keys: ascending keys of the held-out pairs, smaller id * N + larger id.
        num_items: N.
        reach: largest distance of two places that training sees together.

    Returns:
        (S, L) bool, true where a piece begins; and the number of held-out pairs that were met.
    """
    begins = np.zeros(table.shape, np.bool_)
    met = 0
    for row in range(len(table)):
        first = 0  # of the piece
        for place in range(table.shape[1]):
            item = table[row, place]
            if item < 0:
                continue
            is_apart = False
            for other in range(max(0, place - reach), place):
                before = table[row, other]
                if before < 0 or before == item:
                    continue
                key = min(before, item) * np.int64(num_items) + max(before, item)
                if _contains(held_keys, key):
                    met += 1
                    is_apart = is_apart or other >= first
            if is_apart:
                begins[row, place] = True
                first = place
    return begins, met


def cut_sequences(table: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """The pieces of sequences as rows of the same length, (S', L) int32; -1 for padding."""
    width = table.shape[1]
    is_item = table >= 0
    piece = begins.cumsum(axis=1) + np.arange(len(table))[:, None] * (width + 1)
    pieces, row = np.unique(piece[is_item], return_inverse=True)
    starts = np.searchsorted(row, np.arange(len(pieces)))
    out = np.full((len(pieces), width), -1, np.int32)
    out[row, np.arange(len(row)) - starts[row]] = table[is_item]
    return out
