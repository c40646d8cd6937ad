"""Stopping a run by signal without losing what it has trained."""

import logging
import signal
from pathlib import Path
from types import FrameType
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from recsys_lab.compute.signals import Receiver, give_back, handle, interrupt
from recsys_lab.models.task import TrainingError
from recsys_lab.results.run_folder import how_to_resume
from recsys_lab.run.step_limit import may_save

_OF_LAUNCHERS = (signal.SIGUSR1, signal.SIGUSR2)  # Slurm sends one before a job's time is over
log = logging.getLogger(__name__)


def _is_submitit(handler: object) -> bool:
    return str(getattr(handler, "__module__", "")).startswith("submitit.")


class StopOnSignal(Callback):
    """On SIGINT or SIGTERM, finish the batch, write a checkpoint and exit with 128 + signal.

    On the last batch of an epoch the epoch is finished, too: its end chooses the best checkpoint
    and writes the last one, and a state between the two is neither in the epoch nor behind it. A
    second signal, more than a second later, does not wait. The signal by which Slurm tells submitit
    of the end of a job's time reaches submitit behind the checkpoint.

    Args:
        path: where the checkpoint goes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signals = Receiver(lambda number: None, interrupt)
        self._before: dict[int, Any] = {}
        self._launchers: dict[int, Any] = {}
        self._of_launcher: int | None = None

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
        handlers = {number: signal.getsignal(number) for number in _OF_LAUNCHERS}
        self._launchers = {number: own for number, own in handlers.items() if _is_submitit(own)}
        for number in self._launchers if self._before else ():
            self._before[number] = signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._of_launcher = number

    @property
    def _wants_stop(self) -> bool:
        return self._signals.number is not None or self._of_launcher is not None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop here if a signal has come, unless the epoch ends here."""
        if self._wants_stop and may_save(trainer, outputs, batch_idx):
            trainer.save_checkpoint(self._path)
            self._leave(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop here if a signal has come at the end of the epoch before, which wrote its own."""
        if self._wants_stop and self._path.is_file():
            self._leave(trainer)

    def _leave(self, trainer: Trainer) -> None:
        number = self._signals.number or self._of_launcher
        assert number is not None  # noqa: S101 - narrows the type
        name, how = signal.Signals(number).name, how_to_resume(self._path.parents[1])
        log.warning("interrupted by %s at step %d; go on with %s", name, trainer.global_step, how)
        if self._signals.number is not None:
            raise SystemExit(128 + number)
        self._of_launcher = None
        try:
            self._launchers[number](number, None)  # ends the job, or has it started again
        except Exception as error:
            reason = str(error).rstrip(".")
            raise TrainingError(f"interrupted by {name} ({reason}); go on with {how}") from error

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop here if a signal has come after the last batch; from now on they are not held up."""
        self.teardown(trainer, pl_module, "fit")
        if self._wants_stop:
            self._leave(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the signals back."""
        give_back(self._before)
        self._before = {}
