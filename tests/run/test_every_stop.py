"""A run that is stopped at any step, once or often, goes on as if nothing had been."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer

import recsys_lab
from recsys_lab.compute import signals
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


def test_validation_changes_nothing_of_the_training(parts, whole, tmp_path: Path) -> None:
    """Another sample, other moments, other queries: the same weights at the end."""
    words = ("curve.every_n_batches=3", "curve.max_pairs=50", "curve.ranking_queries=7")
    experiment = recsys_lab.configure(*WORDS, *words)
    recsys_lab.fit(parts[1], experiment, tmp_path)
    found, expected = (
        load_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]
        for folder in (tmp_path, whole.folder)
    )
    for name, weights in expected.items():
        assert torch.equal(found[name], weights), name


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


def test_a_second_signal_while_a_checkpoint_is_written(
    parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the run with 128 + its number, and the checkpoint before it still loads."""
    from dataclasses import replace

    last, sync = tmp_path / "checkpoints" / "last.ckpt", os.fsync

    def sync_and_stop(descriptor: int) -> None:
        if last.is_file() and "last.ckpt" in os.readlink(f"/proc/self/fd/{descriptor}"):
            os.kill(os.getpid(), signal.SIGINT)
        sync(descriptor)

    monkeypatch.setattr(signals, "_SAME", -1.0)  # seconds
    monkeypatch.setattr(os, "fsync", sync_and_stop)
    experiment, prepared = parts
    stopping = replace(experiment, trainer=with_callback(experiment.trainer, Stop(7)))
    with pytest.raises(SystemExit) as stopped:
        recsys_lab.fit(prepared, stopping, tmp_path)
    assert stopped.value.code == 128 + signal.SIGINT
    assert load_checkpoint(last)["global_step"] == 5
    assert sorted(path.name for path in last.parent.iterdir()) == ["best.ckpt", "last.ckpt"]


class Rates(Callback):
    """Keeps the learning rate of every step."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self.found.append(pl_module.rate)


def limited(parts: tuple[Any, Any], *words: str) -> tuple[Any, Any]:
    """The parts with other limits."""
    return recsys_lab.configure(*WORDS, *words), parts[1]


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        ("trainer.max_steps=13", 13),  # in the middle of the third epoch
        ("trainer.max_steps=3 trainer.max_epochs=-1", 3),  # of the first
        ("trainer.limit_train_batches=2 trainer.max_epochs=2", 4),
        ("trainer.limit_train_batches=0.4 trainer.max_steps=5", 5),
    ],
)
def test_a_limit_is_a_whole_run(parts, words: str, steps: int, tmp_path: Path) -> None:
    """The rate ends with the planned steps; point, checkpoints and figure belong to the last."""
    from dataclasses import replace

    experiment, prepared = limited(parts, *words.split())
    rates = Rates()
    experiment = replace(experiment, trainer=with_callback(experiment.trainer, rates))
    fitted = recsys_lab.fit(prepared, experiment, tmp_path)
    assert rates.found == pytest.approx([0.1 * (1 - step / steps) for step in range(steps)])
    assert fitted.curve[-1]["step"] == steps
    ranked = [row for row in fitted.curve if row.get("val/ndcg@10") is not None]
    assert ranked[-1] is fitted.curve[-1]
    assert fitted.best == pytest.approx(max(row["val/ndcg@10"] for row in ranked), rel=1e-6)
    folder = tmp_path / "checkpoints"
    assert load_checkpoint(folder / "last.ckpt")["global_step"] == steps
    best = load_checkpoint(folder / "best.ckpt")
    assert best["global_step"] == max(ranked, key=lambda row: row["val/ndcg@10"])["step"]
    tested = fitted.task.state_dict()
    assert all(tested[name].equal(value) for name, value in best["state_dict"].items())
    assert (tmp_path / "figures" / "learning_curve.png").is_file()


def test_stops_beside_a_limit_of_steps(parts, tmp_path: Path) -> None:
    """At the end of an epoch, and at that of the run."""
    parts = limited(parts, "trainer.max_steps=7", "trainer.limit_train_batches=3")
    expected = outcome(run(parts, tmp_path / "whole", []))
    assert outcome(run(parts, tmp_path / "stopped", [3, 6, 7])) == expected


def test_an_epoch_that_was_cut_goes_on(parts, tmp_path: Path) -> None:
    constant = ("schedule=constant", "data.num_workers=2")
    longer, last = limited(parts, *constant, "trainer.max_steps=9"), tmp_path / "checkpoints"
    best, curve, vectors = outcome(run(longer, tmp_path / "whole", []))
    run(limited(parts, *constant, "trainer.max_steps=7"), tmp_path, [])
    again = recsys_lab.fit(longer[1], longer[0], tmp_path, resume=last / "last.ckpt")
    found = outcome(again)
    assert found[0] == best
    assert found[2] == vectors
    assert [row["step"] for row in found[1]] == [2, 4, 5, 7, 9]
    assert curve[3].items() <= found[1][3].items()  # which has a ranking, too
    finished = recsys_lab.fit(longer[1], longer[0], tmp_path, resume=last / "last.ckpt")
    assert outcome(finished) == found


def test_a_limit_of_time(parts, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from dataclasses import replace

    class Slow(Callback):
        def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
            time.sleep(0.3)

    experiment, prepared = limited(parts, "trainer.max_time={seconds: 1}")
    slow = replace(experiment, trainer=with_callback(experiment.trainer, Slow()))
    with caplog.at_level("INFO"):
        fitted = recsys_lab.fit(prepared, slow, tmp_path)
    step = fitted.curve[-1]["step"]
    assert 1 <= step <= 4
    assert fitted.best == pytest.approx(fitted.curve[-1]["val/ndcg@10"], rel=1e-6)
    assert f"max_time ended training at step {step} of 15, with a learning rate of" in caplog.text


def test_a_precision_is_said_and_used(
    parts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = {}
    for precision in ("32-true", "bf16-mixed"):
        words = ("model.kernel=autograd", "trainer.max_steps=2", f"+trainer.precision={precision}")
        experiment, prepared = limited(parts, *words)
        with caplog.at_level("INFO"):
            found[precision] = recsys_lab.fit(prepared, experiment, tmp_path / precision).vectors()
        assert f"with precision {precision} (kernel=autograd)" in caplog.text
    exact, mixed = found.values()
    assert exact.dtype == mixed.dtype == "float32"
    assert 0 < abs(mixed - exact).max() < 0.02 * abs(exact).max()  # bfloat16 has 8 bits


def test_time_alone_leaves_the_end_of_a_schedule_open(parts, tmp_path: Path) -> None:
    open_end = "trainer.max_epochs=-1", "trainer.max_time=00:00:00:09"
    experiment, prepared = limited(parts, *open_end)
    with pytest.raises(ValueError, match="which max_time leaves open: set max_epochs="):
        recsys_lab.fit(prepared, experiment, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("preset", ["skipgram", "gensim_word2vec"])
def test_every_step_beside_limits(parts, preset: str, tmp_path: Path) -> None:
    words = (f"experiment={preset}", "trainer.max_steps=8", "trainer.limit_train_batches=3")
    check_stops(limited(parts, *words), range(1, 9), tmp_path)


@pytest.mark.soak
def test_every_product_of_spectral_vectors(parts, tmp_path: Path) -> None:
    """An epoch is one step."""
    words = [word for word in WORDS if not word.startswith(("data.", "curve."))]
    experiment = recsys_lab.configure("experiment=spectral", *words)
    check_stops((experiment, parts[1]), range(1, 4), tmp_path)


def check_stops(parts: tuple[Any, Any], steps: Sequence[int], folder: Path) -> None:
    """A run that is stopped once, at any of the steps, ends as one that is not."""
    expected = outcome(run(parts, folder / "whole", []))
    for step in steps:
        assert outcome(run(parts, folder / str(step), [step])) == expected, step
