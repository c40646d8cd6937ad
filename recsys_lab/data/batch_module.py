"""The base of the LightningDataModules: batches by epoch and number."""

from collections.abc import Callable

import numpy as np
import torch
from pytorch_lightning import LightningDataModule

from recsys_lab.data.batch import Batch, pinned
from recsys_lab.data.loader import BatchLoader

Draw = Callable[[int, int], Batch]  # epoch, number -> batch


class BatchDataModule(LightningDataModule):
    """A data module whose batches are a pure function of (seed, epoch, batch number)."""

    num_batches: int
    frequencies: np.ndarray  # (N,) share of each item in what is trained
    num_workers: int

    def draw(self, epoch: int, number: int) -> Batch:
        """Batch `number` of an epoch."""
        raise NotImplementedError

    def draw_on(self, device: torch.device) -> Draw | None:
        """What draws the batches of `draw` on a GPU; None: threads of the CPU draw them."""
        return None

    def train_dataloader(self) -> BatchLoader:
        """All batches of the trainer's current epoch; of epoch 0 without one or to overfit."""

        def epoch() -> int:
            if self.trainer is None or self.trainer.overfit_batches:  # type: ignore[attr-defined]
                return 0
            return self.trainer.current_epoch

        def draw(epoch: int, number: int) -> Batch:
            batch = self.draw(epoch, number)
            return pinned(batch) if on_gpu else batch

        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        if on_gpu and (on_device := self.draw_on(self.trainer.strategy.root_device)):  # type: ignore[union-attr]
            return BatchLoader(on_device, self.num_batches, 0, epoch)
        return BatchLoader(draw, self.num_batches, self.num_workers, epoch)
