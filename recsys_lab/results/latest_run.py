"""The run that a command means by `latest`."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from recsys_lab.compute.counts import count_of
from recsys_lab.results.run_folder import CONFIG, read_run
from recsys_lab.results.run_metrics import FILE_NAME, read_metrics
from recsys_lab.results.search_results import STUDY

log = logging.getLogger(__name__)

RUNS = Path("outputs", "train", "runs")
SWEEPS = Path("outputs", "train", "multiruns")
LATEST = "latest"
_MOST_NAMED = 6  # runs of a folder that a message lists
_JOBS = f"*/{CONFIG}"
_QUALITY = "test/ndcg@10/all"


def resolve_run(run: Path, holding: str = FILE_NAME) -> Path:
    """The folder itself; for `latest`, the newest run below `outputs/train`.

    Jobs of sweeps are runs; trials of a search are not gone on with alone. Damaged runs are left
    out, with a warning.

    Args:
        run: a folder, or `latest`.
        holding: pattern of the files: the metrics of finished runs, or the checkpoints of all. The
            run whose files of it are the newest is the latest.

    Raises:
        ValueError: no run there holds such a file, or the folder is one of several runs.
    """
    if str(run) != LATEST or run.exists():
        _refuse_several(run)
        return run
    for _, folder in sorted(_newest_files(holding), reverse=True):
        if holding != FILE_NAME or not (problem := read_run(folder).problem):
            return folder
        log.warning("%s is not the latest run: %s", folder, problem)
    kind = "finished run" if holding == FILE_NAME else "run with a checkpoint"
    raise ValueError(
        f"there is no {kind} in {RUNS} or {SWEEPS}: train one with python train.py, or name the "
        "folder of a run"
    )


def _newest_files(holding: str) -> Iterator[tuple[int, Path]]:
    """When the newest file of each run that has one was written, and the run's folder."""
    for folder in (*RUNS.glob("*/"), *SWEEPS.glob("*/*/")):
        is_trial = (folder.parent / STUDY).is_file()
        times = []
        for path in folder.glob(holding) if holding == FILE_NAME or not is_trial else ():
            with suppress(OSError):
                times.append(path.stat().st_mtime_ns)
        if times:
            yield max(times), folder


def _refuse_several(folder: Path) -> None:
    """Refuse the folder of a sweep, or of runs, and name those that are in it, the best first."""
    if (folder / CONFIG).is_file():
        return
    if not (inner := {path.parents[1]: _quality(path.parents[1]) for path in folder.glob(_JOBS)}):
        return
    ranked = sorted(inner, key=lambda one: (-inner[one], one))
    best = f" (NDCG@10 {inner[ranked[0]]:.4f})" if inner[ranked[0]] >= 0 else ""
    others = ", ".join(one.name for one in ranked[1:_MOST_NAMED])
    more = f"; it also has {others}" if others else ""
    more += f" and {len(ranked) - _MOST_NAMED:,} more" if len(ranked) > _MOST_NAMED else ""
    raise ValueError(
        f"{folder} is the folder of {count_of(len(ranked), 'run')}, as of a sweep: name one of "
        f"them, such as {ranked[0]}{best}{more}"
    )


def _quality(run: Path) -> float:
    """The NDCG@10 of a run's test; -1 where it has none."""
    with suppress(OSError, ValueError):
        return float(read_metrics(run).get(_QUALITY) or -1)
    return -1.0
