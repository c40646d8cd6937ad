"""Stopping a run by signal without losing what it has trained."""

import logging
import signal
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from recsys_lab.compute.signals import Receiver, give_back, handle, interrupt
from recsys_lab.results.run_folder import how_to_resume
from recsys_lab.run.step_limit import may_save

log = logging.getLogger(__name__)


class StopOnSignal(Callback):
    """On SIGINT or SIGTERM, finish the batch, write a checkpoint and exit with 128 + signal.

    On the last batch of an epoch the epoch is finished, too: its end chooses the best checkpoint
    and writes the last one, and a state between the two is neither in the epoch nor behind it. A
    second signal, more than a second later, does not wait.

    Args:
        path: where the checkpoint goes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signals = Receiver(lambda number: None, interrupt)
        self._before: dict[int, Any] = {}

    @property
    def number(self) -> int | None:
        """The signal that has come; None if none has."""
        return self._signals.number

    def receive(self, number: int) -> None:
        """Take a signal that came to another rank."""
        if self._signals.number is None:
            self._signals(number, None)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals over."""
        self._signals = Receiver(lambda number: None, interrupt)
        self._before = handle(self._signals)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop here if a signal has come, unless the epoch ends here."""
        if self._signals.number is not None and may_save(trainer, outputs, batch_idx):
            trainer.save_checkpoint(self._path)
            self._leave(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop here if a signal has come at the end of the epoch before, which wrote its own."""
        if self._signals.number is not None and self._path.is_file():
            self._leave(trainer)

    def _leave(self, trainer: Trainer) -> None:
        assert self._signals.number is not None  # noqa: S101 - narrows the type
        log.warning(
            "interrupted by %s at step %d; go on with %s",
            signal.Signals(self._signals.number).name,
            trainer.global_step,
            how_to_resume(self._path.parents[1]),
        )
        raise SystemExit(128 + self._signals.number)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop here if a signal has come after the last batch; from now on they are not held up."""
        self.teardown(trainer, pl_module, "fit")
        if self._signals.number is not None:
            self._leave(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the signals back."""
        give_back(self._before)
        self._before = {}
