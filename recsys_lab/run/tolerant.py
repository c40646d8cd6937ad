"""A logger that a run can do without."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pytorch_lightning.loggers import Logger

from recsys_lab.run.logger_runs import Wandb

log = logging.getLogger(__name__)


class Tolerant(Logger):
    """Passes everything on to a logger until that fails, as when its server is away.

    The run then goes on without it, after one warning.

    Args:
        logger: one of Lightning's.
        has_curve: whether it has the curve so far of a run that goes on.
    """

    def __init__(self, logger: Logger, *, has_curve: bool = False) -> None:
        super().__init__()
        self.logger = logger
        self.has_curve = has_curve
        self._is_broken = False

    def __getattr__(self, name: str) -> Any:
        """What a logger has beyond the base class, such as `watch` of wandb's."""
        return getattr(self.__dict__["logger"], name)

    @property
    def name(self) -> str | None:
        """Its name."""
        return self.logger.name

    @property
    def version(self) -> int | str | None:
        """Its version, such as the id of a run."""
        return self.logger.version

    @property
    def save_dir(self) -> str | None:
        """Where it writes files."""
        return self.logger.save_dir

    @property
    def root_dir(self) -> str | None:
        """Where it writes files of all runs."""
        return self.logger.root_dir

    @property
    def log_dir(self) -> str | None:
        """Where it writes files of this run."""
        return self.logger.log_dir

    @property
    def experiment(self) -> Any:
        """What Lightning's logger stands for, such as a client."""
        return self.logger.experiment  # type: ignore[attr-defined]  # which every logger has

    def log_hyperparams(self, *values: Any, **named: Any) -> None:
        """Log the configuration."""
        self._attempt(lambda: self.logger.log_hyperparams(*values, **named))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log values by name."""
        self._attempt(lambda: self.logger.log_metrics(dict(metrics), step))

    def save(self) -> None:
        """Bring what was logged to its place."""
        self._attempt(self.logger.save)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Log a checkpoint, for loggers that do so."""
        self._attempt(lambda: self.logger.after_save_checkpoint(checkpoint_callback))

    def finalize(self, status: str) -> None:
        """Say how training ended; a run that failed has no test."""
        self._attempt(lambda: self.logger.finalize(status))
        if status != "success":
            self.end(status)

    def end(self, status: str) -> None:
        """End it for good, also after it has failed."""
        if isinstance(logger := self.logger, Wandb):
            self._attempt(lambda: logger.end(status))
            with suppress(Exception):  # of what has failed before
                logger.end(status)

    def _attempt(self, write: Callable[[], object]) -> None:
        if self._is_broken:
            return
        try:
            write()
        except Exception as error:  # whatever its package raises
            self._is_broken = True
            log.warning(
                "%s shows no more of this run, which goes on: %s",
                type(self.logger).__name__.removesuffix("Logger"),
                reason(error),
            )


def reason(error: Exception) -> str:
    """The first line of an error, or of what the system said below it."""
    cause: BaseException = error
    while (below := cause.__cause__ or cause.__context__) is not None:
        cause = below
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
