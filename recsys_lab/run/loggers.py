"""Where a run logs its metrics beside `curve.csv`, by Lightning's loggers under the same names."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger, MLFlowLogger, WandbLogger

from recsys_lab.results.files import write_text
from recsys_lab.run.boards import BoardLogger

_MLFLOW = Path("outputs", "mlflow.db")  # of all runs that are started here
_RUNS = "logger_runs.json"  # of a run folder: the ids of its runs elsewhere
_PATIENCE = 120.0  # seconds at the end of a run for wandb to send what is left; it stays in files
_SERVER = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


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


def tensorboard(folder: Path) -> BoardLogger:
    """TensorBoard's events, in the run folder."""
    return BoardLogger(folder)


def csv(folder: Path) -> Logger:
    """`csv/metrics.csv` in the run folder, as Lightning writes it."""
    return CSVLogger(folder, name="", version="csv")


def mlflow_uri(tracking_uri: str | None) -> str | None:
    """Where runs of MLflow are kept, if it is named."""
    return tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")


def mlflow(folder: Path, *, experiment_name: str, tracking_uri: str | None) -> Logger:
    """A run of MLflow that is named by the run folder; hr@10 is hr_at_10 there.

    Args:
        folder: run folder.
        experiment_name: of MLflow.
        tracking_uri: where its runs are kept; None: as `MLFLOW_TRACKING_URI` says, or a file.
    """
    for name, value in _SERVER.items():  # MLflow waits minutes for a server that is away
        os.environ.setdefault(name, value)
    uri = mlflow_uri(tracking_uri)
    if uri is None:
        _MLFLOW.parent.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{_MLFLOW.resolve()}"
    tags = {"run_folder": str(folder)}
    return MLFlow(experiment_name, folder.name, uri, tags=tags, run_id=run_of(folder, MLFlow))


def wandb(folder: Path, *, project: str, entity: str | None, offline: bool) -> Logger:
    """A run of Weights & Biases that is named by the run folder.

    Args:
        folder: run folder; files of wandb go into it.
        project: of Weights & Biases.
        entity: team; None takes the user's own.
        offline: whether nothing is sent.
    """
    import wandb as package

    return Wandb(
        settings=package.Settings(finish_timeout=_PATIENCE),
        name=folder.name,
        save_dir=folder,
        project=project,
        entity=entity,
        offline=offline,
        id=run_of(folder, Wandb),
    )
