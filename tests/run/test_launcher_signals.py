"""A signal that a launcher listens to, as submitit for the time limit of Slurm."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer

import recsys_lab
from recsys_lab.models.task import TrainingError
from recsys_lab.run.checkpoints import load_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory")
WORDS = (
    "catalog.num_items=300", "model.embedding_dim=8", "trainer.max_epochs=2", "num_threads=1",
    "trainer.enable_progress_bar=false", "data.walks_per_batch=120", "evaluation.replicates=0",
)  # fmt: skip


class Send(Callback):
    """Sends a signal to this process in a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step + 1 == self._step:
            os.kill(os.getpid(), signal.SIGUSR2)


@pytest.fixture
def listen() -> Iterator[Callable[[Any], None]]:
    before = signal.getsignal(signal.SIGUSR2)
    yield lambda handler: signal.signal(signal.SIGUSR2, handler)
    signal.signal(signal.SIGUSR2, before)


def fit(folder: Path, step: int | None, resume: Path | None = None) -> Any:
    experiment = recsys_lab.configure(*WORDS, f"prepared_dir={folder.parent}/prepared")
    data = recsys_lab.prepare(experiment.source, experiment.split, folder.parent / "prepared")
    if step is not None:
        make = experiment.trainer

        def build(callbacks: list[Callback], **parts: Any) -> Trainer:
            return make(callbacks=[Send(step), *callbacks], **parts)

        experiment = replace(experiment, trainer=build)
    return recsys_lab.fit(data, experiment, folder, **({"resume": resume} if resume else {}))


def refuse(number: int, frame: object) -> None:
    raise RuntimeError("timed-out too many times.")


def start_again(number: int, frame: object) -> None:
    raise SystemExit(-1)


refuse.__module__ = start_again.__module__ = "submitit.core.job_environment"
seen: list[int] = []


def own(number: int, frame: object) -> None:
    seen.append(number)


@pytest.mark.parametrize(
    ("handler", "error", "said"),
    [
        (refuse, TrainingError, r"by SIGUSR2 \(timed-out too many times\); go on with .*resume="),
        (start_again, SystemExit, "-1"),
    ],
)
def test_it_reaches_the_launcher_behind_a_checkpoint(
    listen: Any, tmp_path: Path, handler: Any, error: type, said: str
) -> None:
    listen(handler)
    with pytest.raises(error, match=said):
        fit(tmp_path / "stopped", 3)
    assert signal.getsignal(signal.SIGUSR2) is handler
    last = tmp_path / "stopped" / "checkpoints" / "last.ckpt"
    assert load_checkpoint(last)["global_step"] == 3
    fit(tmp_path / "stopped", None, tmp_path / "stopped")
    fit(tmp_path / "whole", None)
    one, other = (
        load_checkpoint(tmp_path / x / "checkpoints" / "last.ckpt") for x in ("stopped", "whole")
    )
    assert all(torch.equal(one["state_dict"][k], w) for k, w in other["state_dict"].items())


@pytest.mark.parametrize("handler", [signal.SIG_IGN, own])
def test_one_of_somebody_else_is_left_alone(listen: Any, tmp_path: Path, handler: Any) -> None:
    listen(handler)
    fit(tmp_path / "run", 3)
    assert signal.getsignal(signal.SIGUSR2) is handler
    assert seen == ([signal.SIGUSR2] if handler is own else [])
