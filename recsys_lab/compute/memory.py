"""A limit of the resident memory of the process, which steps ask before they begin."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recsys_lab.compute.process import return_freed_memory

GB = 10**9
_PAGES = Path("/proc/self/statm")  # of Linux


class MemoryLimitError(ValueError):
    """A step needs more memory than there may be."""


@dataclass(frozen=True)
class MemoryLimit:
    """At most so many bytes; None is no limit."""

    size: int | None = None

    @property
    def free(self) -> int:
        """Bytes that may still be taken."""
        return sys.maxsize if self.size is None else self.size - resident()

    def require(self, needed: int, work: str) -> None:
        """Refuse work that cannot be held.

        Args:
            needed: bytes beyond those that are resident now.
            work: what needs them.

        Raises:
            MemoryLimitError: naming what is needed.
        """
        if self.size is None:
            return
        return_freed_memory()
        if needed > self.free:
            total = (needed + resident()) / GB
            raise MemoryLimitError(
                f"{work} needs {total:.2f} GB and max_memory_gb={self.size / GB:g}: raise it to "
                f"{total + 0.005:.2f} or leave it out"
            )


_NO_LIMIT = MemoryLimit()
_current = [_NO_LIMIT]  # of all threads, as memory is


@contextmanager
def reading_within(limit: MemoryLimit) -> Iterator[None]:
    """Let `check_reading` hold readers to a limit meanwhile."""
    former, _current[0] = _current[0], limit
    try:
        yield
    finally:
        _current[0] = former


def check_reading(path: str, count: int, needed: int = 0) -> None:
    """Refuse to go on reading beyond the limit.

    Args:
        path: of the file, for the message.
        count: lines that have been read.
        needed: bytes that the next step takes.

    Raises:
        MemoryLimitError: naming what has been taken.
    """
    if _current[0].size is not None:
        _current[0].require(needed, f"reading {path}, of which {count:,} lines have been read,")


def resident() -> int:
    """Bytes of the process in memory; where the system does not tell it, the most there were."""
    import resource  # late: not on every system

    if _PAGES.exists():
        return int(_PAGES.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 2**10
