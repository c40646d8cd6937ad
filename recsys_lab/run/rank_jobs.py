"""What a run tells its other ranks, and how each of them joins a trainer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningDataModule, Trainer
from pytorch_lightning.callbacks import Timer
from torch import nn

from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.catalog.prepared_copy import describe
from recsys_lab.compute.counts import count_of
from recsys_lab.config.rank_count import rank_count
from recsys_lab.data.batch_module import BatchDataModule, Deal
from recsys_lab.models.task import KEY, EmbeddingTask, TrainingError
from recsys_lab.models.updates import SelfUpdatingNet
from recsys_lab.run.parts import Experiment
from recsys_lab.run.rank_training import RankTraining
from recsys_lab.run.ranks import Ranks, check_size
from recsys_lab.run.stop_on_signal import StopOnSignal


def check_ranks(experiment: Experiment, stored: Mapping[str, Any] | None) -> int:
    """The number of ranks of a training.

    Args:
        experiment: to be trained.
        stored: the checkpoint that it goes on from.

    Raises:
        TrainingError: it cannot be had here, or the checkpoint is of another number.
    """
    trainer = experiment.configuration.get("trainer", {})
    size = rank_count(trainer)
    check_size(size, int(trainer.get("num_nodes", 1)))
    before = size if stored is None else stored.get(KEY, {}).get("ranks", 1)
    if before != size:
        raise TrainingError(
            f"the checkpoint was trained by {count_of(before, 'process')}, this run has {size}, "
            "and each goes on in its own part of an epoch: take as many (trainer=ddp, "
            "trainer.devices x trainer.num_nodes)"
        )
    return size


def check_net(net: nn.Module, size: int) -> None:
    """Refuse a model that cannot be exchanged.

    Raises:
        TrainingError: naming the option.
    """
    if size > 1 and isinstance(net, SelfUpdatingNet):
        raise TrainingError(
            f"{type(net).__name__} updates its own tables, in one process: take trainer=cpu, whose "
            "threads it uses"
        )


def describe_job(
    prepared: PreparedData[Any], experiment: Experiment, resume: Path | None
) -> dict[str, Any]:
    """What the other ranks need to know, as JSON values."""
    return {
        "configuration": dict(experiment.configuration),
        "prepared": describe(prepared),
        "resume": None if resume is None else str(resume.resolve()),
    }


def of_rank(ranks: Ranks | None) -> dict[str, Any]:
    """The argument of a trainer's factory that says whose it is."""
    return {} if ranks is None else {"local_rank": ranks.place.local_rank}


def join(
    ranks: Ranks,
    trainer: Trainer,
    task: EmbeddingTask,
    module: LightningDataModule,
    stop: StopOnSignal | None,
) -> None:
    """Connect the ranks, and let a trainer be that of one.

    Args:
        ranks: all.
        trainer: of this one.
        task: what it trains.
        module: its batches.
        stop: see `RankTraining`.

    Raises:
        RankError: another rank has ended.
        TrainingError: an epoch has too few batches.
    """
    assert isinstance(module, BatchDataModule)  # noqa: S101 - narrows the type
    place = ranks.place
    if module.num_batches < place.size:
        raise TrainingError(
            f"an epoch has {module.num_batches} batches, fewer than the {place.size} processes: "
            "take smaller batches, or fewer processes by trainer.devices"
        )
    check_net(task.net, place.size)  # type: ignore[arg-type]
    ranks.connect(trainer.strategy.root_device)
    task.group = ranks.group
    module.deal = Deal(place.rank, place.size)
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    if stop is None:  # rank 0 alone looks at the clock
        callbacks[:] = [one for one in callbacks if not isinstance(one, Timer)]
    callbacks.insert(0, RankTraining(ranks, trainer.max_steps, stop))
