"""Run functions that release the interpreter lock in threads; results keep their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Lock
from typing import TypeVar

import numpy as np

from recsys_lab.compute.threads import num_threads

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_MAX_READERS = 4  # with more, the consumer is the slowest part
_MAX_SCORERS = 8  # each holds a few arrays over all items
_PARTS_PER_THREAD = 4  # items of high degree make parts uneven


def even_bounds(count: int, num_blocks: int) -> list[int]:
    """Bounds of blocks of even size, none empty: 0, .., count; at least one block."""
    return np.linspace(0, count, max(1, min(num_blocks, count)) + 1).astype(np.int64).tolist()


def run_blocks(
    kernel: Callable[[int, int], None], bounds: list[int], threads: int | None = None
) -> None:
    """Call kernel(low, high) between consecutive bounds, on several threads.

    Args:
        kernel: writes only inside its block, so the result depends neither on the threads nor on
            the bounds.
        bounds: ascending; a single block runs in the calling thread.
        threads: at most this many; None takes the chosen number (`choose_threads`).
    """
    _map(lambda span: kernel(*span), list(pairwise(bounds)), threads or num_threads())


def run_parts(kernel: Callable[[int, int], None], count: int) -> None:
    """`run_blocks` over 0 .. count, a few blocks for each thread, for kernels that need memory."""
    threads = min(num_threads(), _MAX_SCORERS)
    run_blocks(kernel, even_bounds(count, _PARTS_PER_THREAD * threads), threads)


def map_in_threads(function: Callable[[Piece], Result], things: Iterable[Piece]) -> list[Result]:
    """The function of each thing, in order; calls run at the same time."""
    return _map(function, list(things), min(num_threads(), _MAX_SCORERS))


def _map(function: Callable[[Piece], Result], things: list[Piece], threads: int) -> list[Result]:
    threads = min(threads, len(things))
    if threads <= 1:
        return list(map(function, things))
    pool = ThreadPoolExecutor(threads, thread_name_prefix="kernel")
    try:
        return [done.result() for done in [pool.submit(function, thing) for thing in things]]
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt waits for running calls alone


def map_in_order(work: Callable[[Piece], Result], pieces: Iterator[Piece]) -> Iterator[Result]:
    """Yield work(piece) for every piece, in order, a few pieces ahead of the consumer.

    The threads also draw the pieces, one at a time, so reading, working and consuming overlap
    wherever they release Python's lock. An error of reading or working is raised here. The threads
    end with an error, or when the consumer stops early.
    """
    threads = min(_MAX_READERS, num_threads())
    if threads == 1:
        yield from map(work, pieces)
        return
    numbered, lock = enumerate(pieces), Lock()

    def take() -> tuple[int, Result] | None:
        with lock:
            drawn = next(numbered, None)
        return None if drawn is None else (drawn[0], work(drawn[1]))

    pool = ThreadPoolExecutor(threads, thread_name_prefix="reader")
    try:
        turns = deque(pool.submit(take) for _ in range(threads + 2))
        early: dict[int, Result] = {}  # a thread may draw its piece before that of an earlier turn
        expected = 0
        while turns:
            taken = turns.popleft().result()
            if taken is None:
                continue
            turns.append(pool.submit(take))
            early[taken[0]] = taken[1]
            while expected in early:
                yield early.pop(expected)
                expected += 1
    finally:
        pool.shutdown(cancel_futures=True)
