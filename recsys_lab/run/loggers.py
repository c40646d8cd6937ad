"""Where a run logs its metrics beside `curve.csv`, by Lightning's loggers under the same names."""

import os
from pathlib import Path

from pytorch_lightning.loggers import CSVLogger, Logger

from recsys_lab.run.boards import BoardLogger
from recsys_lab.run.logger_runs import MLFlow, Wandb, mlflow_uri, run_of

_MLFLOW = Path("outputs", "mlflow.db")  # of all runs that are started here
_PATIENCE = 120.0  # seconds at the end of a run for wandb to send what is left; it stays in files
_SERVER = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


def tensorboard(folder: Path) -> BoardLogger:
    """TensorBoard's events, in the run folder."""
    return BoardLogger(folder)


def csv(folder: Path) -> Logger:
    """`csv/metrics.csv` in the run folder, as Lightning writes it."""
    return CSVLogger(folder, name="", version="csv")


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
