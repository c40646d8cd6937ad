"""Runs that are killed at any moment, and go on as if nothing had been."""

import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch

from recsys_lab.run.checkpoints import load_checkpoint
from recsys_lab.vectors.embeddings import Embeddings
from tests.forked import start_forked
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


def start(folder: Path) -> BaseProcess:
    """A run, going on where the folder has a checkpoint: by its path, or by the folder."""
    last, log = folder / "checkpoints" / "last.ckpt", folder / "train.log"
    words = [f"hydra.run.dir={folder}", f"prepared_dir={folder.parent / 'prepared'}", *LONGER]
    words = command(*words)[1:]
    if last.exists():
        by_folder = folder.parent.name[-1] in "13579"
        words = [words[0], f"resume={folder}"] if by_folder else [*words, f"ckpt_path={last}"]
    before = log.stat().st_size if log.exists() else 0
    process = start_forked(words, folder.parent, folder.parent)
    while process.is_alive() and not (log.exists() and log.stat().st_size > before):
        time.sleep(0.005)  # before that there is nothing to lose
    return process


@pytest.mark.soak
def test_a_hundred_kills_at_random_moments(tmp_path: Path) -> None:
    """While data are prepared, in training, in the test: killed, gone on, killed again."""
    rng, kills, ended, wanted = random.Random(0), 0, 0, times(100)
    whole, again = (tmp_path / name / "run" for name in ("whole", "again"))
    for folder in (whole, again):  # the first one may compile, and takes longer
        folder.parent.mkdir()
        process, clock = start(folder), time.perf_counter()
        process.join(600)
        length = time.perf_counter() - clock
    same(again, whole)
    while kills < wanted:
        folder = tmp_path / f"killed_{ended}" / "run"
        folder.parent.mkdir()
        process = None
        while process is None or process.exitcode == -signal.SIGKILL:
            process = start(folder)
            process.join(rng.uniform(0, 1.3 * length) if kills < wanted else 600)
            if process.is_alive():
                process.kill()
                process.join()
                kills += 1
        assert process.exitcode == 0, (folder.parent / "err").read_text()[-3000:]
        same(folder, whole)
        ended += 1
    print(f"{kills} kills in {ended} runs")  # noqa: T201
