"""The callback of ranks that train together: they stop at the same batch, rank 0 counts all."""

from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from recsys_lab.compute.signals import Receiver, give_back, handle, interrupt
from recsys_lab.data.batch import Batch
from recsys_lab.models.task import EmbeddingTask
from recsys_lab.run.ranks import RankError, Ranks
from recsys_lab.run.stop_on_signal import StopOnSignal

_SAMPLE = 1_000  # weights of each parameter that are compared


class Finished(Exception):
    """Rank 0 has ended the training, or trains no further."""


class RankTraining(Callback):
    """Joins the ranks of a training; it comes before the callbacks that read weights or counts.

    Rank 0 decides about the end: a limit, early stopping and pruning there, and a signal to any
    rank, take effect behind the next exchange.

    Args:
        ranks: connected.
        max_steps: of the trainer.
        stop: takes the signals of rank 0; None in the others.
    """

    def __init__(self, ranks: Ranks, max_steps: int, stop: StopOnSignal | None) -> None:
        self._ranks = ranks
        self._max_steps = max_steps
        self._stop = stop
        self._is_first = ranks.place.rank == 0
        self._signals = Receiver(lambda number: None, interrupt)
        self._before: dict[int, Any] = {}
        self._wants_stop = self._stops = self._is_alone = False
        self._items = self._steps = 0
        self._loss: Tensor | float = 0.0
        self._most = 0  # batches of rank 0 in an epoch

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the ranks begin, unless rank 0 has nothing left to train."""
        assert isinstance(pl_module, EmbeddingTask)  # noqa: S101 - narrows the type
        self._check_equal(pl_module)
        self._go_on(not trainer.should_stop)
        pl_module.at_batch_end = lambda: self._defer(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Learn how many batches rank 0 has; take the signals over, which Lightning has by now."""
        if not self._is_first:
            self._before = handle(self._signals)
        if not self._is_alone:
            self._most = int(self._gather([int(trainer.num_training_batches)])[0, 0])

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train the epoch if rank 0 does."""
        self._go_on(True)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: EmbeddingTask, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Exchange where a limit of steps ends the training; learn what all ranks have done."""
        self._items += outputs["num_trained"]
        self._loss += outputs["mean_loss"]
        self._steps += 1
        outputs |= {"num_trained": 0, "mean_loss": None, "is_whole": False}
        exchange = pl_module.exchange
        if self._is_alone or exchange is None:
            return
        is_due = exchange.is_due(batch_idx + 1)
        if not is_due and 0 <= self._max_steps <= trainer.global_step:
            exchange.exchange()
            is_due = True
        if is_due:
            self._report(trainer, outputs)

    def _report(self, trainer: Trainer, outputs: dict[str, Any]) -> None:
        """Add up what the ranks have done since the last exchange, and stop if rank 0 wants to."""
        number = self._signals.number if self._stop is None else self._stop.number
        own = [self._items, float(self._loss), self._steps, self._wants_stop, number or 0]
        every = self._gather(own)
        items, loss, steps = every[:, :3].sum(0).tolist()
        outputs |= {
            "num_trained": int(items),
            "mean_loss": torch.tensor(loss / steps),
            "is_whole": True,
        }
        self._items = self._steps = 0
        self._loss = 0.0
        if self._stop is not None and (signal := int(every[:, 4].max())):
            self._stop.receive(signal)
        if every[0, 3]:
            self._stops = trainer.should_stop = True

    def _defer(self, trainer: Trainer) -> None:
        """Let a stop that is not agreed on wait for the next exchange."""
        is_limit = 0 <= self._max_steps <= trainer.global_step
        if trainer.should_stop and not (self._stops or is_limit or self._is_alone):
            self._wants_stop, trainer.should_stop = True, False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count a batch that this rank lacks, so that steps are the same in all ranks."""
        if self._stops and not self._is_first:
            raise Finished
        if self._wants_stop:  # since the last exchange
            trainer.should_stop = True
        progress = trainer.fit_loop.epoch_loop
        if progress.batch_progress.is_last_batch:
            steps = progress.manual_optimization.optim_step_progress.total
            for _ in range(self._most - int(trainer.num_training_batches)):
                steps.ready += 1
                steps.completed += 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the other ranks end."""
        if not self._stops:
            self._go_on(False)
        self._is_alone = True

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the signals back."""
        give_back(self._before)
        self._before = {}

    def _go_on(self, goes_on: bool) -> None:
        """Whether rank 0 trains further; the others end where it does not.

        Raises:
            Finished: it does not, and this is another rank.
        """
        if self._is_alone:
            return
        goes_on = bool(self._gather([goes_on])[0, 0])
        if not goes_on and not self._is_first:
            raise Finished
        self._is_alone = not goes_on

    def _gather(self, own: list[Any]) -> Tensor:
        """Numbers of all ranks (ranks, n)."""
        assert self._ranks.group is not None  # noqa: S101 - connected
        return torch.stack(self._ranks.group.gather(torch.tensor(own, dtype=torch.float64)))

    def _check_equal(self, task: EmbeddingTask) -> None:
        """Refuse ranks that have built different models.

        Raises:
            RankError: they have.
        """
        own: list[float] = []
        for parameter in task.parameters():
            values = parameter.detach().flatten()
            some = values[:: max(1, len(values) // _SAMPLE)]
            own += [len(values), float(some.double().sum())]
        assert self._ranks.group is not None  # noqa: S101 - connected
        mine = torch.tensor(own, dtype=torch.float64)
        if any(not torch.equal(mine, other) for other in self._ranks.group.gather(mine)):
            raise RankError(
                "the ranks have built different models: each builds its own from the "
                "configuration, so every part of the experiment has to come from it"
            )
