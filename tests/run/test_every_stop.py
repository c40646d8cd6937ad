"""A run that is stopped at any step, once or often, goes on as if nothing had been."""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning import Callback, Trainer

import recsys_lab
from recsys_lab.run.best_checkpoint import BestCheckpoint
from recsys_lab.run.checkpoints import load_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory")
WORDS = (
    "catalog.num_items=300", "model.embedding_dim=8", "trainer.max_epochs=3", "num_threads=1",
    "trainer.enable_progress_bar=false", "data.walks_per_batch=600", "data.num_workers=0",
    "curve.every_n_batches=2", "evaluation.replicates=0",
)  # fmt: skip


class Stop(Callback):
    """Sends a signal to this process at the end of a step, before the other callbacks."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step + 1 == self._step:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp("stops")
    experiment = recsys_lab.configure(*WORDS, f"prepared_dir={folder}/prepared")
    return experiment, recsys_lab.prepare(experiment.source, experiment.split, folder / "prepared")


def run(parts: tuple[Any, Any], folder: Path, stops: Sequence[int]) -> recsys_lab.Fitted:
    """Train, stopped at the given steps and resumed after each."""
    experiment, prepared = parts
    last, resume = folder / "checkpoints" / "last.ckpt", None
    for step in stops:
        stopping = replace(experiment, trainer=with_callback(experiment.trainer, Stop(step)))
        with pytest.raises(SystemExit) as stopped:
            recsys_lab.fit(prepared, stopping, folder, resume=resume)
        assert stopped.value.code == 128 + signal.SIGTERM
        assert load_checkpoint(last)["global_step"] == step
        resume = last
    return recsys_lab.fit(prepared, experiment, folder, resume=resume)


def with_callback(trainer: Callable[..., Trainer], callback: Callback) -> Callable[..., Trainer]:
    def build(callbacks: list[Callback], **objects: Any) -> Trainer:
        return trainer(callbacks=[callback, *callbacks], **objects)

    return partial(build)


class Killed(Exception):
    """Ends a run without any of its own clearing up."""


class Kill(Callback):
    """Ends the run when a step begins, or an epoch ends behind it."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step + 1 == self._step:
            raise Killed

    def on_train_epoch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step + 1 == self._step:
            raise Killed


def run_killed(
    parts: tuple[Any, Any], folder: Path, kills: dict[int, int], **often: Any
) -> recsys_lab.Fitted:
    """Train, killed when each of some steps begins, and gone on with after each.

    Args:
        parts: experiment and data.
        folder: run folder.
        kills: steps, and those of the last checkpoints that they leave.
        often: how often checkpoints are written within an epoch.
    """
    experiment, prepared = parts
    experiment = replace(experiment, checkpoint=partial(BestCheckpoint, **often))
    for number, (step, kept) in enumerate(kills.items()):
        killed = replace(experiment, trainer=with_callback(experiment.trainer, Kill(step)))
        with pytest.raises(Killed):
            recsys_lab.fit(prepared, killed, folder, resume=folder if number else None)
        assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["global_step"] == kept
    return recsys_lab.fit(prepared, experiment, folder, resume=folder)


def outcome(fitted: recsys_lab.Fitted) -> tuple[Any, ...]:
    clocked = ("seconds", "train/items_per_second")
    curve = [{k: v for k, v in row.items() if k not in clocked} for row in fitted.curve]
    return fitted.best, curve, fitted.vectors().tobytes()


@pytest.fixture(scope="module")
def whole(parts: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> recsys_lab.Fitted:
    return run(parts, tmp_path_factory.mktemp("whole"), [])


@pytest.fixture(scope="module")
def steps(whole: recsys_lab.Fitted) -> int:
    return int(whole.curve[-1]["step"])


def test_chains_of_stops_at_the_ends_of_epochs(parts, whole, steps, tmp_path: Path) -> None:
    """Where the state is neither in an epoch nor behind it, and just before and after."""
    epoch = steps // 3
    assert epoch >= 4
    for number, stops in enumerate(([epoch], [epoch - 1, epoch, epoch + 1], [steps])):
        fitted = run(parts, tmp_path / str(number), stops)
        assert outcome(fitted) == outcome(whole), stops


def test_checkpoints_within_an_epoch_are_gone_on_from(parts, whole, steps, tmp_path: Path) -> None:
    """By steps and by the clock; none between the last batch of an epoch and its end."""
    epoch = steps // 3
    kills = {2: 1, epoch: epoch - 1, epoch + 1: epoch - 1, epoch + 3: epoch + 2}
    fitted = run_killed(parts, tmp_path / "steps", kills, every_n_steps=1)
    assert outcome(fitted) == outcome(whole)
    fitted = run_killed(parts, tmp_path / "clock", {epoch + 3: epoch + 2}, every_n_minutes=1e-6)
    assert outcome(fitted) == outcome(whole)


@pytest.mark.soak
def test_every_step_is_a_place_to_be_killed(parts, whole, steps, tmp_path: Path) -> None:
    epoch = steps // 3
    kept = {n: n - 2 if n % epoch == 1 else n - 1 for n in range(2, steps + 2)}
    for step in kept:
        fitted = run_killed(parts, tmp_path / str(step), {step: kept[step]}, every_n_steps=1)
        assert outcome(fitted) == outcome(whole), step
    fitted = run_killed(parts, tmp_path / "often", kept, every_n_steps=1)
    assert outcome(fitted) == outcome(whole)


@pytest.mark.soak
def test_every_step_is_a_place_to_stop(parts, whole, steps, tmp_path: Path) -> None:
    for step in range(1, steps + 1):
        fitted = run(parts, tmp_path / str(step), [step])
        assert outcome(fitted) == outcome(whole), step
    often = list(range(1, steps + 1))
    assert outcome(run(parts, tmp_path / "often", often)) == outcome(whole)
