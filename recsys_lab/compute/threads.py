"""The number of threads, chosen in one place: of torch, the compiled kernels and their BLAS."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Threads

_MAX_TORCH_THREADS = 4  # operations on small blocks gain nothing from more

WORKERS = "RECSYS_LAB_WORKERS"  # jobs of a sweep that share the cores, told to their processes
CORES = "RECSYS_LAB_CORES"  # of a job of a cluster, told to its process
_chosen: int | None = None


def usable_cores() -> int:
    """Cores that this process may use: its affinity, the quota of its container, its share.

    Jobs of a sweep that run side by side share them; a job of a cluster has been given its number.
    """
    if given := os.environ.get(CORES):
        return int(given)
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or no limit ("max")
        pass
    return max(1, cores // int(os.environ.get(WORKERS, 1)))


def num_threads() -> int:
    """Threads for a compiled kernel: the chosen number, or one for each usable core."""
    return _chosen or usable_cores()


@contextmanager
def blas_threads() -> Iterator[None]:
    """Give all BLAS libraries `num_threads` threads, for large products outside of kernels."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(num_threads(), user_api="blas"):
        yield


@checked
def choose_threads(num_threads: Threads | None) -> None:
    """Set the threads of torch and of the compiled kernels; None takes one for each usable core.

    The kernels divide their work among threads of their own; those of the evaluation call scipy's
    BLAS from each, so the BLAS gets one thread. By default torch gets at most four. The threads
    that draw batches (`num_workers` of a data module) are not counted; they take a small part of
    the time.

    Raises:
        ValueError: fewer than one is wanted.
    """
    import scipy.linalg  # noqa: F401 - loads the BLAS that the kernels call
    import torch  # late, so that `prepare_process` comes first
    from threadpoolctl import ThreadpoolController

    global _chosen
    _chosen = num_threads
    torch.set_num_threads(num_threads or min(_MAX_TORCH_THREADS, usable_cores()))
    for library in ThreadpoolController().lib_controllers:
        if library.user_api == "blas" and "scipy" in library.filepath:
            library.set_num_threads(1)
            if hasattr(library, "clear_controlling_thread"):  # else other threads could set nothing
                library.clear_controlling_thread()


@contextmanager
def torch_in_threads() -> Iterator[None]:
    """Give each operation of torch one thread, where threads of our own call them."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)  # new threads take this number
    try:
        yield
    finally:
        torch.set_num_threads(before)
