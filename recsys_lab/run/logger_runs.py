"""Runs of MLflow and of Weights & Biases, which go on where the run of a folder goes on."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, MLFlowLogger, WandbLogger

from recsys_lab.results.files import write_text

_RUNS = "logger_runs.json"  # of a run folder: the ids of its runs elsewhere


class MLFlow(MLFlowLogger):
    """Names metrics as MLflow takes them; Lightning would drop the sign with a warning.

    Parameters of a run of MLflow cannot change, so a run that goes on logs them no more.
    """

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log values by name."""
        super().log_metrics({k.replace("@", "_at_"): v for k, v in metrics.items()}, step)

    def log_hyperparams(self, params: Any) -> None:
        """Log the configuration."""
        if not self._initialized and self._run_id is not None:
            _ = self.experiment  # raises where MLflow does not know the run
        else:
            super().log_hyperparams(params)


class Wandb(WandbLogger):
    """Its run can be ended: the next job of a sweep would go on with one that is open."""

    def end(self, status: str) -> None:
        """End the run of wandb; what has not been sent is sent."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=int(status != "success"))
            self._experiment = None


def run_of(folder: Path, kind: type[Logger]) -> str | None:
    """The id of the run of MLflow or wandb that the run of a folder has; None if it has none."""
    found = _runs(folder).get(kind.__name__)
    return found if isinstance(found, str) else None


def keep_run(folder: Path, logger: Logger) -> None:
    """Keep that id for a run that goes on; other loggers need none."""
    if isinstance(logger, MLFlow | Wandb):
        ids = _runs(folder) | {type(logger).__name__: str(logger.version)}
        write_text(folder / _RUNS, json.dumps(ids, indent=2))


def forget_runs(folder: Path) -> None:
    """Let a run that begins anew have runs of its own there."""
    (folder / _RUNS).unlink(missing_ok=True)


def _runs(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / _RUNS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def mlflow_uri(tracking_uri: str | None) -> str | None:
    """Where runs of MLflow are kept, if it is named."""
    return tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
