"""Stopping a run by signal without losing what it has trained."""

import logging
import signal
from pathlib import Path
from types import FrameType
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from recsys_lab.run.step_limit import ends_epoch

log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopOnSignal(Callback):
    """On SIGINT or SIGTERM, finish the batch, write a checkpoint and exit with 128 + signal.

    On the last batch of an epoch the epoch is finished, too: its end chooses the best checkpoint
    and writes the last one, and a state between the two is neither in the epoch nor behind it. A
    second signal ends the process at once.

    Args:
        path: where the checkpoint goes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._received: int | None = None
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals over."""
        self._received = None
        self._before = {number: signal.signal(number, self._receive) for number in _SIGNALS}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None:
            raise SystemExit(128 + number)
        self._received = number

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop here if a signal has come, unless the epoch ends here."""
        if self._received is not None and not ends_epoch(trainer, batch_idx):
            trainer.save_checkpoint(self._path)
            self._leave(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop here if a signal has come at the end of the epoch before, which wrote its own."""
        if self._received is not None and self._path.is_file():
            self._leave(trainer)

    def _leave(self, trainer: Trainer) -> None:
        assert self._received is not None  # noqa: S101 - narrows the type
        log.warning(
            "stopped by %s at step %d; go on with resume=%s",
            signal.Signals(self._received).name,
            trainer.global_step,
            self._path.parents[1],
        )
        raise SystemExit(128 + self._received)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop here if a signal has come after the last batch."""
        if self._received is not None:
            raise SystemExit(128 + self._received)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
