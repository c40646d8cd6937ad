"""The run that a command means by `latest`."""

import logging
from pathlib import Path

from recsys_lab.results.run_folder import read_run
from recsys_lab.results.run_metrics import FILE_NAME

log = logging.getLogger(__name__)

RUNS = Path("outputs", "train", "runs")
LATEST = "latest"


def resolve_run(run: Path) -> Path:
    """The folder itself; for `latest`, the run below `outputs/train/runs` that finished last.

    Damaged runs are left out, with a warning.

    Raises:
        ValueError: no run has finished there.
    """
    if str(run) != LATEST or run.exists():
        return run
    for folder in sorted(RUNS.glob("*/"), key=_finished_at, reverse=True):
        if not _finished_at(folder):
            break
        if not (problem := read_run(folder).problem):
            return folder
        log.warning("%s is not the latest run: %s", folder, problem)
    raise ValueError(
        f"there is no finished run in {RUNS}: train one with python train.py, "
        "or name the folder of a run"
    )


def _finished_at(folder: Path) -> int:
    """When a run finished; 0 if it did not."""
    try:
        return (folder / FILE_NAME).stat().st_mtime_ns
    except OSError:
        return 0
