"""Small runs by the command that a user types, for the tests of whole runs."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.forked import run_forked

ROOT = Path(__file__).parent.parent
SMALL = [
    "catalog.num_items=600",
    "model.embedding_dim=16",
    "trainer.max_epochs=3",
    "trainer.enable_progress_bar=false",
    "data.walks_per_batch=120",
    "curve.every_n_batches=10",
    "curve.max_pairs=200",
    "num_threads=1",
]
BRIEF = (
    "model.embedding_dim=8",
    "trainer.max_epochs=2",
    "trainer.enable_progress_bar=false",
    "data.walks_per_batch=120",
    "evaluation.replicates=0",
    "num_threads=1",
)
PRESET_FILES = sorted((ROOT / "conf" / "experiment").glob("*.yaml"))
EVENT_PRESETS = [p.stem for p in PRESET_FILES if "/catalog: events" in p.read_text()]
# Figures that depend on the clock and the machine, not on the computation.
MEASURED = ("fit/", "versions/", "git_commit")


def command(*overrides: str) -> list[str]:
    small = SMALL[1:] if "catalog=amazon" in overrides else SMALL
    return [sys.executable, str(ROOT / "train.py"), *small, *overrides]


def train(folder: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess:
    """A small run; an environment of its own takes a fresh interpreter."""
    where = [f"hydra.run.dir={folder}", f"prepared_dir={folder.parent / 'prepared'}"]
    words = command(*where, *overrides)
    if not environment:
        return run_forked(words[1:], folder.parent, timeout=300)
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        cwd=folder.parent,
        timeout=300,
    )


def bare(cwd: Path, *words: str) -> subprocess.CompletedProcess:
    """A run by exactly these words."""
    return run_forked([str(ROOT / "train.py"), *words], cwd, timeout=300)


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def results(folder: Path) -> dict:
    return {k: v for k, v in metrics(folder).items() if not k.startswith(MEASURED)}


def rows(folder: Path) -> list[dict]:
    with (folder / "curve.csv").open(newline="") as file:
        return list(csv.DictReader(file))
