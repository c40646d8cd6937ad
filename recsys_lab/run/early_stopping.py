"""Ends training when the monitored metric no longer improves."""

import logging
from typing import Annotated, Any

from annotated_types import Ge
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning import callbacks as lightning

from recsys_lab.compute.checks import checked
from recsys_lab.compute.counts import count_of
from recsys_lab.compute.ranges import Count

log = logging.getLogger(__name__)


class EarlyStopping(lightning.EarlyStopping):
    """Ends training after some epochs without a better monitored metric.

    The best checkpoint is tested, as always. The learning rate follows the planned steps, not
    those that are taken: a run that ends early does not reach the schedule's last rate.

    Args:
        monitor: name of the metric; the larger the better.
        patience: epochs without a better one, after which training ends.
        min_delta: by how much a value has to be larger to be better.
    """

    @checked
    def __init__(
        self, monitor: str, *, patience: Count, min_delta: Annotated[float, Ge(0)]
    ) -> None:
        super().__init__(
            monitor,
            min_delta=min_delta,
            patience=patience,
            mode="max",
            check_on_train_epoch_end=True,
            log_rank_zero_only=True,
        )
        self.reason = ""  # why training has ended

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting; the patience is that of this run."""
        super().load_state_dict(state_dict | {"patience": self.patience})

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train nothing if the checkpoint is that of a run that has ended so."""
        if self.wait_count >= self.patience:
            self._end(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the metric of the epoch."""
        super().on_train_epoch_end(trainer, pl_module)
        if self.wait_count >= self.patience:
            self._end(trainer)

    def _end(self, trainer: Trainer) -> None:
        waited = count_of(self.wait_count, "epoch")
        self.reason = f"early stopping ({waited} without a better {self.monitor})"
        trainer.should_stop = True
