"""The run that a command means by `latest`."""

from pathlib import Path

RUNS = Path("outputs", "train", "runs")
LATEST = "latest"


def resolve_run(run: Path, holding: str = "metrics.json") -> Path:
    """The folder itself; for `latest`, the one of the newest files below `outputs/train/runs`.

    Args:
        run: a folder, or `latest`.
        holding: pattern of the files: the metrics of finished runs, or the checkpoints of all.

    Raises:
        ValueError: no run there holds such a file.
    """
    if str(run) != LATEST or run.exists():
        return run
    found = [
        (path.stat().st_mtime_ns, folder)
        for folder in RUNS.glob("*")
        for path in folder.glob(holding)
    ]
    if not found:
        kind = "finished run" if holding == "metrics.json" else "run with a checkpoint"
        raise ValueError(
            f"there is no {kind} in {RUNS}: train one with python train.py, "
            "or name the folder of a run"
        )
    return max(found)[1]
