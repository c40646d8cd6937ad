"""Kernels spread over the cores, block by block."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from recsys_lab.threads import num_threads

_SMALL = 1 << 18  # entries of a graph that one thread goes through at once


def even_bounds(count: int, num_blocks: int) -> list[int]:
    """Bounds of blocks of even size: 0, .., count."""
    return np.linspace(0, count, max(1, num_blocks) + 1).astype(np.int64).tolist()


def row_bounds(indptr: np.ndarray) -> list[int]:
    """Bounds of blocks of rows with about as many entries each: 0, .., N."""
    entries, rows = int(indptr[-1]), len(indptr) - 1
    num_blocks = 4 * num_threads() if entries > _SMALL else 1
    inner = np.searchsorted(indptr, even_bounds(entries, num_blocks)[1:-1])
    return [0, *inner.tolist(), rows]


def run_blocks(kernel: Callable[[int, int], None], bounds: list[int]) -> None:
    """Call kernel(low, high) between consecutive bounds, on several threads.

    Args:
        kernel: releases the interpreter lock, and writes to places of its block alone, so that
            the result depends neither on threads nor on bounds.
        bounds: ascending; a single block stays in the calling thread.
    """
    spans = list(pairwise(bounds))
    threads = min(num_threads(), len(spans)) if len(spans) > 1 else 1
    if threads == 1:
        for span in spans:
            kernel(*span)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="graph")
    try:
        for done in [pool.submit(kernel, *span) for span in spans]:
            done.result()
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for blocks not yet begun
