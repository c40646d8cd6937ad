"""The parts of an experiment, from which a run is made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningDataModule, Trainer
from pytorch_lightning.loggers import Logger
from torch import nn

from recsys_lab.catalog.event_split import EventSplitOptions
from recsys_lab.catalog.nodes import NodeOptions
from recsys_lab.catalog.prepared import PreparedData, prepare
from recsys_lab.catalog.split import SplitOptions
from recsys_lab.evaluation.histories import HistoryWeights
from recsys_lab.evaluation.query_baselines import OPTIONS, BaselineOptions
from recsys_lab.models.exchange import ExchangeOptions
from recsys_lab.models.optimizers import Build
from recsys_lab.models.schedules import Schedule
from recsys_lab.readers.records import CatalogSource, Read, read_here
from recsys_lab.run.best_checkpoint import BestCheckpoint
from recsys_lab.run.final_test import FinalTest
from recsys_lab.run.learning_curve import LearningCurve
from recsys_lab.run.loggers import tensorboard


@dataclass(frozen=True)
class Experiment:
    """The parts of an experiment; `configure` makes one, `dataclasses.replace` changes it.

    Functions are called with the named arguments when these exist.

    Attributes:
        source: where the catalogue is read from.
        split: how it is split; its seed also draws the samples of the evaluation.
        prepared_dir: where prepared data is kept.
        model: items -> net (`recsys_lab.models.task.EmbeddingNet`).
        data: -> data module; called with those of catalog, split, graph (of the training pairs),
            nodes, seed and on_gpu (whether a GPU trains) that its signature names.
        optimizer: parameters -> optimiser.
        schedule: share of the base rate by progress.
        trainer: callbacks, logger, plugins and folders -> Lightning's trainer.
        curve: pairs, histories, trained, labels, folder, seed -> learning curve.
        checkpoint: folder, monitor, resumed -> the checkpoints that are kept.
        evaluation: the test at the end.
        monitor: the metric that decides which checkpoint is best, such as "val/ndcg@10".
        seed: of training.
        num_threads: None takes one for each core.
        progress_bar: whether training shows one.
        loggers: folder -> each of Lightning's loggers that the curve goes to.
        callbacks: monitor -> each callback of training beside those of every run.
        nodes: what has a vector beside the items.
        history: what an event weighs in the history of a user or session, where events are split.
        baselines: options of the baselines of users and sessions.
        configuration: plain values, kept in checkpoints.
        max_memory_gb: resident memory that preparation may take; None is no limit.
        read: what reads the files of the catalogue, this process or a `RayReading`.
        embeddings: whether the test leaves the folder `embeddings/`.
        users: whether that folder holds users of an event log, with their histories.
        projector: items that the test leaves for TensorBoard's projector.
        exchange: what ranks exchange, where several train copies of the model.
    """

    source: CatalogSource
    split: SplitOptions | EventSplitOptions
    prepared_dir: Path
    model: Callable[..., nn.Module]
    data: Callable[..., LightningDataModule]
    optimizer: Build
    schedule: Schedule
    trainer: Callable[..., Trainer]
    curve: Callable[..., LearningCurve]
    evaluation: FinalTest
    monitor: str
    seed: int
    num_threads: int | None
    progress_bar: bool
    configuration: Mapping[str, Any] = field(default_factory=dict)
    max_memory_gb: float | None = None
    read: Read = read_here
    embeddings: bool = True
    users: bool = True
    projector: int = 0
    checkpoint: Callable[..., BestCheckpoint] = BestCheckpoint
    loggers: Sequence[Callable[..., Logger]] = (tensorboard,)
    callbacks: Sequence[Callable[..., Callback]] = ()
    nodes: NodeOptions = field(default_factory=NodeOptions)
    history: HistoryWeights = field(default_factory=HistoryWeights)
    baselines: BaselineOptions = OPTIONS
    exchange: ExchangeOptions = field(default_factory=ExchangeOptions)

    def prepare(self) -> PreparedData[Any]:
        """Read and split the catalogue, or load what an earlier run has prepared.

        Raises:
            CatalogError: it cannot be used.
            WriteError: the folder cannot be written.
        """
        limit = self.max_memory_gb
        return prepare(self.source, self.split, self.prepared_dir, self.read, max_memory_gb=limit)


def on_gpu(configuration: Mapping[str, Any]) -> bool:
    """Whether the trainer of a configuration takes a GPU of CUDA."""
    accelerator = configuration.get("trainer", {}).get("accelerator")
    return accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available()
