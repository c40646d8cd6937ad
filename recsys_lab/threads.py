"""How many threads compute, decided in one place."""

import os


def let_idle_threads_sleep() -> None:
    """Let OpenMP threads sleep between tasks, unless the environment says otherwise.

    By default they spin, which slows a shared machine down by an order of magnitude. Has an effect
    only before torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def choose_threads(wanted: int | None) -> None:
    """Set the threads of torch; None takes one for each core that this process may use, up to four.

    Batches are drawn by threads of their own (`data.num_workers`).
    """
    import torch  # late, so that `let_idle_threads_sleep` comes first

    if wanted is not None and wanted < 1:
        raise ValueError(f"num_threads must be >= 1, got {wanted}")
    torch.set_num_threads(wanted or min(4, usable_cores()))


def usable_cores() -> int:
    """Number of cores that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(usable(0)) if usable else os.cpu_count() or 1
