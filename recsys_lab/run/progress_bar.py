"""The progress bar of training."""

import logging
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar

from recsys_lab.compute.counts import count_of
from recsys_lab.models.task import EmbeddingTask
from recsys_lab.run.learning_curve import LearningCurve
from recsys_lab.run.progress import Progress

log = logging.getLogger(__name__)


class TrainingBar(ProgressBar):
    """One bar over all epochs, with loss and metric as the curve last found them, and speed.

    The speed is that of `fit/items_per_second`: the mean of the run, scoring included.

    Args:
        curve: the learning curve.
        monitor: name of the metric, such as "val/ndcg@10".
    """

    def __init__(self, curve: LearningCurve, monitor: str) -> None:
        super().__init__()
        self._curve = curve
        self._monitor = monitor
        self._progress: Progress | None = None
        self._has_trained = False

    def disable(self) -> None:
        """For Lightning, which calls this in all processes but the first."""
        self._end()

    def on_train_start(  # type: ignore[override]
        self, trainer: Trainer, pl_module: EmbeddingTask
    ) -> None:
        """Show the bar."""
        if trainer.is_global_zero and not trainer.should_stop:
            planned = pl_module.plan and pl_module.plan.steps(int(trainer.num_training_batches))
            self._progress = Progress("training", planned, done=trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move it."""
        if self._progress is not None:
            epochs = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
            what = f"epoch {trainer.current_epoch + 1}{epochs}"
            self._progress.update(trainer.global_step, what, **self._figures())

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove it."""
        if self._progress is not None:
            self._end()
            self._has_trained = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what the bar showed last, when the curve has stopped its clock."""
        if self._has_trained:
            shown = ", ".join(f"{name}={text}" for name, text in self._figures().items())
            log.info("trained %s: %s", count_of(trainer.global_step, "step"), shown)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Remove it, so that the reason is the last line."""
        self._end()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remove it, whatever has happened."""
        self._end()

    def _end(self) -> None:
        if self._progress is not None:
            self._progress.close()
            self._progress = None

    def _figures(self) -> dict[str, str]:
        """What stands at the end of the bar."""
        rows = self._curve.rows
        if not rows:
            return {}
        found = [row[self._monitor] for row in rows if row.get(self._monitor) is not None]
        return {
            **({self._monitor: f"{found[-1]:.4f}"} if found else {}),
            "loss": f"{rows[-1]['train/loss']:.3f}",
            "items/s": f"{self._curve.items_per_second:,.0f}",
        }
