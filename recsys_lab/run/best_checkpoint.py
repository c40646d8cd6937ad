"""The checkpoints that a run keeps while it trains: the best and the last."""

import logging
import time
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count, Positive
from recsys_lab.run.checkpoints import find_damage, link_or_copy
from recsys_lab.run.step_limit import may_save

log = logging.getLogger(__name__)


class BestCheckpoint(ModelCheckpoint):
    """Keeps the best and the last checkpoint of a run, also if it is resumed in another folder.

    The last one is written after every epoch, and within an epoch every few steps or minutes;
    never between the last batch of an epoch and its end, where the state is whole in neither.
    Lightning would write it only after an epoch that improves the monitored metric. Lightning also
    drops the best score when the folder changes; the first epoch after the resume would then be
    the best.

    Args:
        folder: of `best.ckpt` and `last.ckpt`.
        monitor: name of the metric; the larger the better.
        every_n_steps: batches between two checkpoints within an epoch; None writes none of these.
        every_n_minutes: the longest time without a checkpoint within an epoch; None has no limit.
        resumed: the checkpoint that training goes on from; its best one is looked for beside it.
    """

    @checked
    def __init__(
        self,
        folder: Path,
        monitor: str,
        *,
        every_n_steps: Count | None = None,
        every_n_minutes: Positive | None = None,
        resumed: Path | None = None,
    ) -> None:
        super().__init__(
            dirpath=folder,
            filename="best",
            monitor=monitor,
            mode="max",
            save_last=True,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )
        self._steps = every_n_steps
        self._seconds = float("inf") if every_n_minutes is None else 60 * every_n_minutes
        self._resumed = resumed
        self._written = 0.0  # when the last one was
        self._is_due = False

    @property
    def _best(self) -> Path:
        return Path(str(self.dirpath)) / "best.ckpt"

    @property
    def last(self) -> Path:
        """Where the newest state is."""
        return Path(str(self.dirpath)) / "last.ckpt"

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Bring the resumed checkpoint into this folder, so that the run can be resumed there."""
        if self._resumed is not None:
            link_or_copy(self._resumed, self.last)
        else:  # a run before it in the same folder is no longer one to resume
            for path in (self._best, self.last):
                path.unlink(missing_ok=True)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        self._written = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save the last checkpoint if it is time to, unless the epoch is at its end."""
        self._is_due |= time.monotonic() - self._written >= self._seconds
        self._is_due |= self._steps is not None and trainer.global_step % self._steps == 0
        if self._is_due and may_save(trainer, outputs, batch_idx):
            trainer.save_checkpoint(self.last)
            self._written, self._is_due = time.monotonic(), False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best checkpoint if this epoch is better, and the last one in any case."""
        super().on_train_epoch_end(trainer, pl_module)
        if not self._should_skip_saving_checkpoint(trainer):  # it skips what was just saved
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
        self._written, self._is_due = time.monotonic(), False

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Without a best checkpoint the last one is what is tested."""
        if not self.best_model_path and self.last.is_file():
            link_or_copy(self.last, self._best)

    def _save_last_checkpoint(
        self, trainer: Trainer, monitor_candidates: dict[str, Tensor]
    ) -> None:
        """If the best checkpoint was written in this step, make the last one a hard link to it.

        Lightning would write the same bytes again or, with its own links, leave a link to an older
        best checkpoint.
        """
        if self._last_global_step_saved == trainer.global_step and self._best.is_file():
            link_or_copy(self._best, self.last)
            self.last_model_path = str(self.last)
        else:
            super()._save_last_checkpoint(trainer, monitor_candidates)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best checkpoint so far, brought into this run's folder.

        It is looked for beside the resumed one, since the run may have been moved, and then where
        it was. Without it the best of the epochs that follow is kept, with a warning.
        """
        state, path = dict(state_dict) | {"dirpath": str(self.dirpath)}, str(self._best)
        if state["best_model_path"]:
            score, found = state["best_model_score"], self._find_best(state_dict)
            if found is not None:
                link_or_copy(found, self._best)
            else:
                log.warning(
                    "the best checkpoint of the resumed run (%s %.4f) is no longer at %s: the best "
                    "of the epochs from here on is kept",
                    self.monitor,
                    float(score),
                    self._beside(state_dict)[0],
                )
            kept = {path: score} if found is not None else {}
            path = path if kept else ""
            state |= {"best_model_path": path, "kth_best_model_path": path, "best_k_models": kept}
            if not kept:
                state |= {"best_model_score": None, "kth_value": self.kth_value}
        super().load_state_dict(state)

    def _beside(self, state: dict[str, Any]) -> list[Path]:
        """Where the best checkpoint of a resumed run may be."""
        written = Path(state["best_model_path"])
        return (
            [written] if self._resumed is None else [self._resumed.with_name("best.ckpt"), written]
        )

    def _find_best(self, state: dict[str, Any]) -> Path | None:
        """The best checkpoint of a resumed run: sound, and of the same score."""
        for path in self._beside(state):
            if not path.is_file() or find_damage(path):
                continue
            stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            own = stored.get("callbacks", {}).get(self.state_key, {})
            if own.get("best_model_score") == state["best_model_score"]:
                return path
        return None
