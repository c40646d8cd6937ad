"""The progress bar of training."""

from contextlib import ExitStack
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import TQDMProgressBar
from tqdm.contrib.logging import logging_redirect_tqdm

from recsys_lab.run.learning_curve import LearningCurve


class TrainingBar(TQDMProgressBar):
    """A progress bar with loss, AUC and speed, as the learning curve last found them.

    Lines of the log are printed above it.
    """

    def __init__(self, curve: LearningCurve) -> None:
        super().__init__(refresh_rate=10)
        self._curve = curve
        self._above = ExitStack()

    def on_train_start(self, *objects: Any) -> None:
        """Show the bar."""
        super().on_train_start(*objects)
        self._above.enter_context(logging_redirect_tqdm())

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Remove the bar, so that the reason is the last line."""
        if self._train_progress_bar is not None:
            self.train_progress_bar.leave = False
            self.train_progress_bar.close()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Print lines of the log as before."""
        self._above.close()

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """What stands at the end of the bar."""
        if not self._curve.rows:
            return {}
        row = self._curve.rows[-1]
        shown = {"loss": f"{row['train/loss']:.3f}"}
        auc = next((v for n, v in row.items() if n.startswith("val/auc/") and v is not None), None)
        if auc is not None:
            shown["auc"] = f"{auc:.4f}"
        return shown | {"items/s": f"{row['train/items_per_second']:,.0f}"}
