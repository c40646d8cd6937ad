"""The run that a command means by `latest`."""

from pathlib import Path

RUNS = Path("outputs", "train", "runs")
LATEST = "latest"


def resolve_run(run: Path) -> Path:
    """The folder itself; for `latest`, the run below `outputs/train/runs` that finished last.

    Raises:
        ValueError: no run has finished there.
    """
    if str(run) != LATEST or run.exists():
        return run
    finished = [(path.stat().st_mtime_ns, path.parent) for path in RUNS.glob("*/metrics.json")]
    if not finished:
        raise ValueError(
            f"there is no finished run in {RUNS}: train one with python train.py, "
            "or name the folder of a run"
        )
    return max(finished)[1]
