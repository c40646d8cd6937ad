"""The limit of steps, which may cut an epoch, and going on from an epoch that was cut."""

import logging
from collections.abc import Mapping
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback, Timer

from recsys_lab.models.plan import Plan, check_plan
from recsys_lab.models.task import EmbeddingTask

log = logging.getLogger(__name__)


class StepLimit(Callback):
    """Ends training after `max_steps` of the trainer, in the middle of an epoch if need be.

    Lightning's own limit changes how a run goes on from a checkpoint at the end of an epoch: it
    repeats or leaves out steps. So this callback takes the limit over.
    """

    def __init__(self) -> None:
        self._max_steps = -1

    def setup(  # type: ignore[override]
        self, trainer: Trainer, pl_module: EmbeddingTask, stage: str
    ) -> None:
        """Take the limit over, and tell the schedule what is planned.

        Raises:
            ValueError: that is open, and the schedule needs it.
        """
        self._max_steps = trainer.max_steps
        pl_module.plan = Plan(trainer.max_epochs, trainer.max_steps)
        check_plan(pl_module.plan, pl_module.schedule)
        trainer.fit_loop.epoch_loop.max_steps = -1

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on in an epoch that a limit cut, from the batch after its last one."""
        loop = checkpoint["loops"]["fit_loop"]
        batches, epochs = loop["epoch_loop.batch_progress"], loop["epoch_progress"]
        if not batches["is_last_batch"]:
            for count in (epochs["total"], epochs["current"]):
                count["processed"] = count["completed"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train nothing if the checkpoint has reached the limit."""
        self._stop_at_limit(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop behind the last step."""
        self._stop_at_limit(trainer)

    def on_train_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: EmbeddingTask
    ) -> None:
        """Say so if training ended before the planned steps were taken."""
        planned = (
            pl_module.plan.steps(int(trainer.num_training_batches)) if pl_module.plan else None
        )
        if trainer.should_stop and trainer.global_step != planned:
            log.info(
                "%s ended training at step %d%s, with a learning rate of %.3g",
                reason_of_end(trainer) or _limit_or_callback(trainer),
                trainer.global_step,
                "" if planned is None else f" of {planned}",
                pl_module.rate,
            )

    def _stop_at_limit(self, trainer: Trainer) -> None:
        if 0 <= self._max_steps <= trainer.global_step:
            trainer.fit_loop.min_epochs = trainer.fit_loop.epoch_loop.min_steps = None
            trainer.should_stop = True


def reason_of_end(trainer: Trainer) -> str:
    """Why a callback such as early stopping has ended training, or an empty text."""
    reasons = (getattr(one, "reason", "") for one in trainer.callbacks)  # type: ignore[attr-defined]
    return next((str(reason) for reason in reasons if reason), "")


def _limit_or_callback(trainer: Trainer) -> str:
    """The option that has ended training where no callback gives a reason."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    left = [one.time_remaining() for one in callbacks if isinstance(one, Timer)]
    is_over = any(seconds is not None and seconds <= 0 for seconds in left)
    return "trainer.max_time" if is_over else "a callback"


def may_save(trainer: Trainer, outputs: Mapping[str, Any], batch_idx: int) -> bool:
    """Whether a checkpoint may be written behind a batch, with what its step returned.

    Not behind the last one of an epoch, since no state is whole until the epoch's end; and where
    ranks train together only behind an exchange, when all have the same weights.
    """
    ends_epoch = trainer.should_stop or batch_idx + 1 >= trainer.num_training_batches
    return bool(outputs["is_whole"] and not ends_epoch)
