"""Jobs of a sweep that run side by side share the cores."""

import os
import sys
from collections.abc import Mapping
from typing import Any

from recsys_lab.compute.counts import count_of
from recsys_lab.compute.threads import WORKERS, usable_cores

_JOBLIB, _SUBMITIT = "JoblibLauncher", "LocalLauncher"  # the ends of their targets


def share_cores(launcher: Mapping[str, Any], num_jobs: int, num_threads: int | None) -> None:
    """Divide the cores among the jobs that a launcher runs at a time, and say so.

    Args:
        launcher: section `hydra.launcher`.
        num_jobs: that are launched together.
        num_threads: of the first job; a number is taken as it is.
    """
    cores = usable_cores()
    workers = min(_at_a_time(launcher, cores, num_jobs), num_jobs)
    if workers < 2:
        return
    os.environ[WORKERS] = str(workers)
    if num_threads is None:
        each = max(1, cores // workers)
        threads = count_of(each, "thread")
        told = f"{threads} each of the {cores} cores (num_threads= gives another number)"
    else:
        told = f"num_threads={num_threads} each, on {cores} cores"
    sys.stderr.write(f"{count_of(workers, 'job')} at a time: {told}\n")


def _at_a_time(launcher: Mapping[str, Any], cores: int, num_jobs: int) -> int:
    target = str(launcher.get("_target_", ""))
    if target.endswith(_SUBMITIT):
        return num_jobs
    if not target.endswith(_JOBLIB):
        return 1
    wanted = int(launcher.get("n_jobs") or 1)
    return wanted if wanted > 0 else max(1, cores + 1 + wanted)  # -1 takes all, as joblib says
