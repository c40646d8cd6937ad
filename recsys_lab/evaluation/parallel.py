"""Work that releases the GIL (compiled kernels, sorting) spread over threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from recsys_lab import threads

_MOST_THREADS = 8  # kernels hold a few arrays of N for each
_PARTS_PER_THREAD = 4  # hubs make parts uneven

Given = TypeVar("Given")
Made = TypeVar("Made")


def map_in_threads(
    function: Callable[[Given], Made], things: Iterable[Given], num_threads: int | None = None
) -> list[Made]:
    """The function of each thing, in order.

    Args:
        function: safe to be called at the same time.
        things: its arguments.
        num_threads: None: as many as the run has chosen, at most 8.
    """
    with ThreadPoolExecutor(num_threads or _number()) as pool:
        return list(pool.map(function, things))


def for_parts(
    function: Callable[[slice], None], count: int, num_threads: int | None = None
) -> None:
    """Call a function with slices that together cover 0 .. count - 1, none of them empty.

    Args:
        function: writes its part of a result; parts run at the same time.
        count: what is divided.
        num_threads: see `map_in_threads`.
    """
    size = max(1, -(-count // ((num_threads or _number()) * _PARTS_PER_THREAD)))
    parts = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    map_in_threads(function, parts, num_threads)


def _number() -> int:
    return min(threads.num_threads(), _MOST_THREADS)
