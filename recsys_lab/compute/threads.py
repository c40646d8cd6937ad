"""How many threads compute, decided in one place: for torch, our kernels and their BLAS."""

import os
from pathlib import Path

_MOST_OF_TORCH = 4  # its operations on small blocks gain nothing beyond

_chosen: int | None = None


def usable_cores() -> int:
    """Cores that this process may use: its affinity, and the quota of its container."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or no limit ("max")
        pass
    return cores


def num_threads() -> int:
    """Threads for a kernel of ours: what was chosen, or one for each usable core."""
    return _chosen or usable_cores()


def choose_threads(wanted: int | None) -> None:
    """Set the threads of torch and of our kernels; None takes one for each usable core.

    Our kernels share their work out among threads of their own and call scipy's BLAS from each of
    them, so that stays with one. Of torch's threads there are at most four. Batches are drawn by
    further threads (`data.num_workers`), which take a small part of the time.

    Raises:
        ValueError: fewer than one is wanted.
    """
    import scipy.linalg  # noqa: F401 - loads the BLAS that kernels call
    import torch  # late, so that `prepare_process` comes first
    from threadpoolctl import ThreadpoolController

    if wanted is not None and wanted < 1:
        raise ValueError(f"num_threads must be >= 1, got {wanted}")
    global _chosen
    _chosen = wanted
    torch.set_num_threads(wanted or min(_MOST_OF_TORCH, usable_cores()))
    for library in ThreadpoolController().lib_controllers:
        if library.user_api == "blas" and "scipy" in library.filepath:
            library.set_num_threads(1)
