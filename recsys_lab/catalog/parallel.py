"""Work on the pieces of a stream in several threads; the results keep the order of the pieces."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from recsys_lab.threads import num_threads

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_MOST_THREADS = 4  # beyond, the consumer is what takes the time


def map_in_order(work: Callable[[Piece], Result], pieces: Iterator[Piece]) -> Iterator[Result]:
    """Yield work(piece) for every piece, in order, a few pieces ahead of the consumer.

    The pieces are drawn in the threads as well, one at a time, so that reading, working and
    consuming overlap wherever they let go of Python's lock. An error of reading or working is
    raised here; the threads end with it, or when the consumer stops early.
    """
    threads = min(_MOST_THREADS, num_threads())
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
