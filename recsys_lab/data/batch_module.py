"""The base of the LightningDataModules: batches by epoch and number."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from pytorch_lightning import LightningDataModule

from recsys_lab.data.batch import Batch, pinned
from recsys_lab.data.loader import BatchLoader

Draw = Callable[[int, int], Batch]  # epoch, number -> batch


class Deal(NamedTuple):
    """The batches of an epoch that one of several ranks trains.

    Attributes:
        rank: 0 .. size - 1.
        size: number of ranks.
    """

    rank: int
    size: int

    def count(self, num_batches: int) -> int:
        """How many of an epoch's batches the rank has; rank 0 never has fewer than others."""
        return len(range(self.rank, num_batches, self.size))

    def number(self, place: int, num_batches: int) -> int:
        """Number in the epoch of the rank's batch at a place.

        Ranks take turns, since batches may alternate in kind.
        """
        first = place * self.size
        if first + self.size > num_batches:
            return first + self.rank
        return first + (self.rank + place) % self.size


class BatchDataModule(LightningDataModule):
    """A data module whose batches are a pure function of (seed, epoch, batch number)."""

    num_batches: int
    frequencies: np.ndarray  # (N,) share of each item in what is trained
    num_workers: int
    deal: Deal | None = None  # where ranks share an epoch

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
        dealt = self.deal or Deal(0, 1)
        on_device = self.draw_on(self.trainer.strategy.root_device) if on_gpu else None  # type: ignore[union-attr]
        own = on_device or draw
        return BatchLoader(
            lambda epoch, place: own(epoch, dealt.number(place, self.num_batches)),
            dealt.count(self.num_batches),
            0 if on_device else self.num_workers,
            epoch,
        )
