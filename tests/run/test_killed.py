"""Runs that are killed at any moment, and go on as if nothing had been."""

import random
import subprocess
import time
from pathlib import Path

import pytest
import torch

from recsys_lab.run.checkpoints import load_checkpoint
from recsys_lab.vectors.embeddings import Embeddings
from tests.run_cases import command, results, rows
from tests.soak import times

LONGER = ("trainer.max_epochs=6", "catalog.num_items=900", "data.num_workers=0")
CLOCKED = ("seconds", "train/items_per_second")


def same(folder: Path, whole: Path) -> None:
    """Metrics, curve, weights and exported vectors, bit by bit."""
    assert results(folder) == results(whole)
    curves = [
        [{name: value for name, value in row.items() if name not in CLOCKED} for row in rows(x)]
        for x in (folder, whole)
    ]
    assert curves[0] == curves[1]
    for name in ("best", "last"):
        found, expected = (
            load_checkpoint(x / "checkpoints" / f"{name}.ckpt") for x in (folder, whole)
        )
        assert found["global_step"] == expected["global_step"]
        for key, weights in expected["state_dict"].items():
            assert torch.equal(found["state_dict"][key], weights), key
    found, expected = (Embeddings.load(x) for x in (folder, whole))
    assert (found.vectors == expected.vectors).all()
    assert not list(folder.rglob("*.part"))


def start(folder: Path) -> subprocess.Popen:
    """A run, going on from the last checkpoint if the folder has one."""
    last = folder / "checkpoints" / "last.ckpt"
    words = [f"hydra.run.dir={folder}", f"prepared_dir={folder.parent / 'prepared'}", *LONGER]
    words += [f"ckpt_path={last}"] if last.exists() else []
    log = (folder.parent / "console.log").open("ab")
    return subprocess.Popen(command(*words), stdout=log, stderr=log, cwd=folder.parent)


def wait_for_work(process: subprocess.Popen, folder: Path, before: int) -> None:
    """Until the run has its folder; before that there is nothing to lose."""
    while process.poll() is None and began(folder) == before:
        time.sleep(0.01)


def began(folder: Path) -> int:
    config = folder / ".hydra" / "config.yaml"
    return config.stat().st_mtime_ns if config.exists() else 0


@pytest.mark.soak
def test_a_hundred_kills_at_random_moments(tmp_path: Path) -> None:
    """While data are prepared, in training, in the test: killed, gone on, killed again."""
    rng, kills, ended, wanted = random.Random(0), 0, 0, times(100)
    whole, again = (tmp_path / name / "run" for name in ("whole", "again"))
    for folder in (whole, again):  # the first one may compile, and takes longer
        folder.parent.mkdir()
        process = start(folder)
        wait_for_work(process, folder, 0)
        clock = time.perf_counter()
        assert process.wait(600) == 0
        length = time.perf_counter() - clock
    same(again, whole)
    while kills < wanted:
        folder = tmp_path / f"killed_{ended}" / "run"
        folder.parent.mkdir()
        code = None
        while code is None:
            before = began(folder)
            process = start(folder)
            wait_for_work(process, folder, before)
            try:
                code = process.wait(rng.uniform(0, length) if kills < wanted else 600)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
        assert code == 0, (folder.parent / "console.log").read_text()[-3000:]
        same(folder, whole)
        ended += 1
    print(f"{kills} kills in {ended} runs")  # noqa: T201
