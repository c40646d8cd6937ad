"""Blocks of rows that are even in work."""

import numpy as np

from recsys_lab.parallel import even_bounds
from recsys_lab.threads import num_threads

_SMALL = 1 << 18  # entries of a graph that one thread goes through at once


def row_bounds(indptr: np.ndarray) -> list[int]:
    """Bounds of blocks of rows with about as many entries each: 0, .., N."""
    entries, rows = int(indptr[-1]), len(indptr) - 1
    num_blocks = 4 * num_threads() if entries > _SMALL else 1
    inner = np.searchsorted(indptr, even_bounds(entries, num_blocks)[1:-1])
    return [0, *inner.tolist(), rows]
