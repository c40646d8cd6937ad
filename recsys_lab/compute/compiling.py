"""The time that kernels take to compile: told in a line of the log, and left out of measured times.

Kernels are compiled when they are first called, and kept in the cache for later runs. Without a
line, the first run seems to hang; with that time, its speed would be that of the compiler.
"""

import logging
import threading
import time
from typing import Any

from numba.core import event

log = logging.getLogger(__name__)

_EVENT = "numba:compile"  # of code that the cache lacks


class CompileClock(event.Listener):
    """Adds up the seconds of compiling, of all threads.

    numba compiles in one thread at a time. While a thread compiles, the others mostly wait for it.
    """

    def __init__(self) -> None:
        self._depth = 0  # functions that a function calls are compiled within it
        self._began = 0.0
        self._done = 0.0
        self._told = ""
        self._stage = "reading"
        self._lock = threading.Lock()

    def begin(self, stage: str) -> None:
        """Name what follows, such as "training", for the line of the log."""
        self._stage = stage

    @property
    def seconds(self) -> float:
        """Seconds of compiling since the process began."""
        with self._lock:
            return self._done + (time.perf_counter() - self._began if self._depth else 0.0)

    def on_start(self, event: Any) -> None:
        """Start the clock, and say so once for each stage."""
        with self._lock:
            self._depth += 1
            if self._depth > 1:
                return
            self._began = time.perf_counter()
        if self._told != self._stage and log.isEnabledFor(logging.INFO):
            self._told = self._stage
            log.info("compiling kernels (once): %s", self._stage)

    def on_end(self, event: Any) -> None:
        """Stop the clock."""
        with self._lock:
            self._depth -= 1
            if not self._depth:
                self._done += time.perf_counter() - self._began


CLOCK = CompileClock()
event.register(_EVENT, CLOCK)


def seconds_without_compiling() -> float:
    """A clock that stands still while kernels compile."""
    return time.perf_counter() - CLOCK.seconds
