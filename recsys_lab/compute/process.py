"""Settings of the process that must be made before torch and numba start their threads."""

import atexit
import ctypes
import gc
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_MMAP_THRESHOLD = 1 << 28  # bytes; larger arrays are returned to the system when freed
_TRIM_THRESHOLD = 1 << 30  # bytes of free memory that the process keeps
_NEW_OBJECTS = 50_000  # between two collections of garbage


def prepare_process() -> None:
    """Let idle threads sleep, keep freed memory, end quickly; call it before torch is imported.

    Garbage is collected less often than by default: that would take a seventh of the import time.
    """
    gc.set_threshold(_NEW_OBJECTS)
    _let_idle_threads_sleep()
    _keep_freed_memory()
    atexit.register(gc.freeze)  # else the process takes seconds to free what ends with it


def _let_idle_threads_sleep() -> None:
    """Let OpenMP threads sleep between tasks, unless the environment says otherwise.

    By default they spin, which slows a shared machine down by an order of magnitude.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _keep_freed_memory() -> None:
    """Let the allocator reuse arrays of up to 256 MB, and keep at most a gigabyte of free memory.

    By default glibc requests every array of more than 32 MB from the system and returns it, so
    each step of training and each chunk of scores waits for the system to clear pages. Other C
    libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
    mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD)


def return_freed_memory() -> None:
    """Return the memory that the allocator keeps to the system; other C libraries do it alone."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    trim(0)
