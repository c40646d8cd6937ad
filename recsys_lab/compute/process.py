"""Settings of the process that must come before torch, numba and their threads do anything."""

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_LARGEST_REUSED = 1 << 28  # bytes; larger arrays go back to the system at once
_MOST_KEPT = 1 << 30  # bytes


def prepare_process() -> None:
    """Let idle threads sleep and freed memory stay; call it before torch is imported."""
    _let_idle_threads_sleep()
    _keep_freed_memory()


def _let_idle_threads_sleep() -> None:
    """Let OpenMP threads sleep between tasks, unless the environment says otherwise.

    By default they spin, which slows a shared machine down by an order of magnitude.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _keep_freed_memory() -> None:
    """Let the allocator reuse arrays of up to 256 MB, keeping at most a gigabyte that is free.

    By default glibc gets every array beyond 32 MB from the system and gives it back, so that each
    step of training and each chunk of scores waits for pages to be cleared. Does nothing where the
    C library is another.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_REUSED)
    mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT)
