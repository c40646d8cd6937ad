"""Events for TensorBoard, which a run can do without."""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric.loggers.logger import _DummyExperiment as Nothing
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter

from recsys_lab.results.write_errors import explain

log = logging.getLogger(__name__)

_other_threads: list[Callable[[threading.ExceptHookArgs], object]] = []


def _report_threads(found: threading.ExceptHookArgs) -> None:
    """Report errors of threads, but not those of TensorBoard's: the next call raises them."""
    if type(found.thread).__name__ != "_AsyncWriterThread" or found.exc_type is not OSError:
        _other_threads[-1](found)


class BoardLogger(TensorBoardLogger):
    """Writes the events of a run; where they cannot be written, the run goes on with a warning.

    Args:
        folder: run folder.
    """

    def __init__(self, folder: Path) -> None:
        # What was logged in the folder before gives way to the curve of a run that goes on.
        super().__init__(folder, name="", version="", default_hp_metric=False, purge_step=0)
        self._is_broken = False
        if threading.excepthook is not _report_threads:
            _other_threads.append(threading.excepthook)
            threading.excepthook = _report_threads

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a point to the curve of each metric."""
        self._attempt(lambda: super(BoardLogger, self).log_metrics(metrics, step))

    def add_panels(self, panels: Mapping[str, np.ndarray], step: int) -> None:
        """Add pictures (height, width, 3), under names that come after those of the curves."""

        def add() -> None:
            for name, pixels in panels.items():
                self._board.add_image(f"val_figures/{name}", pixels, step, dataformats="HWC")

        self._attempt(add)

    def add_pr_curve(
        self, name: str, labels: np.ndarray, probabilities: np.ndarray, step: int
    ) -> None:
        """Add a curve of precision against recall of pairs (n,)."""
        self._attempt(lambda: self._board.add_pr_curve(name, labels, probabilities, step))

    def save(self) -> None:
        """Bring the events to the disk; the run folder holds the configuration elsewhere."""
        self._attempt(lambda: self._board.flush())

    def finalize(self, status: str) -> None:
        """Write what is left and close the file."""
        self._attempt(lambda: super(BoardLogger, self).finalize(status))

    @property
    def experiment(self) -> Any:
        """TensorBoard's writer; one that does nothing where no events can be written."""
        self._attempt(lambda: self._board)
        return Nothing() if self._is_broken else self._board

    @property
    def _board(self) -> SummaryWriter:
        board: SummaryWriter = super().experiment
        return board

    def _attempt(self, write: Callable[[], object]) -> None:
        if self._is_broken:
            return
        try:
            write()
        except (OSError, ValueError) as error:  # Lightning makes a ValueError of any error
            cause = error if isinstance(error, OSError) else error.__cause__
            if not isinstance(cause, OSError):
                raise
            self._is_broken = True
            if cause.filename is None:
                cause = OSError(cause.errno, cause.strerror, self.log_dir)
            log.warning("TensorBoard shows no more of this run: %s", explain(cause))
