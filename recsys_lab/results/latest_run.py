"""The run that a command means by `latest`."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from recsys_lab.results.run_folder import read_run
from recsys_lab.results.run_metrics import FILE_NAME

log = logging.getLogger(__name__)

RUNS = Path("outputs", "train", "runs")
LATEST = "latest"


def resolve_run(run: Path, holding: str = FILE_NAME) -> Path:
    """The folder itself; for `latest`, the one of the newest files below `outputs/train/runs`.

    Args:
        run: a folder, or `latest`.
        holding: pattern of the files: the metrics of finished runs, or the checkpoints of all.

    Damaged runs are left out, with a warning.

    Raises:
        ValueError: no run there holds such a file.
    """
    if str(run) != LATEST or run.exists():
        return run
    for _, folder in sorted(_newest_files(holding), reverse=True):
        if holding != FILE_NAME or not (problem := read_run(folder).problem):
            return folder
        log.warning("%s is not the latest run: %s", folder, problem)
    kind = "finished run" if holding == FILE_NAME else "run with a checkpoint"
    raise ValueError(
        f"there is no {kind} in {RUNS}: train one with python train.py, or name the folder of a run"
    )


def _newest_files(holding: str) -> Iterator[tuple[int, Path]]:
    """When the newest file of each run that has one was written, and the run's folder."""
    for folder in RUNS.glob("*/"):
        times = []
        for path in folder.glob(holding):
            with suppress(OSError):
                times.append(path.stat().st_mtime_ns)
        if times:
            yield max(times), folder
