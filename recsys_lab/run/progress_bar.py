"""The progress bar of training."""

from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import TQDMProgressBar

from recsys_lab.run.learning_curve import LearningCurve


class TrainingBar(TQDMProgressBar):
    """A progress bar with loss, AUC and speed, as the learning curve last found them."""

    def __init__(self, curve: LearningCurve) -> None:
        super().__init__(refresh_rate=10)
        self._curve = curve

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
