"""Where a run logs its metrics beside `curve.csv`, by Lightning's loggers under the same names."""

import os
from collections.abc import Mapping
from pathlib import Path

from pytorch_lightning.loggers import CSVLogger, Logger, MLFlowLogger, WandbLogger

from recsys_lab.run.boards import BoardLogger

_MLFLOW = Path("outputs", "mlflow.db")  # of all runs that are started here


class _MLFlow(MLFlowLogger):
    """Names metrics as MLflow takes them; Lightning would drop the sign with a warning."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        super().log_metrics({k.replace("@", "_at_"): v for k, v in metrics.items()}, step)


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
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    if uri is None:
        _MLFLOW.parent.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{_MLFLOW.resolve()}"
    return _MLFlow(experiment_name, folder.name, uri, tags={"run_folder": str(folder)})


def wandb(folder: Path, *, project: str, entity: str | None, offline: bool) -> Logger:
    """A run of Weights & Biases that is named by the run folder.

    Args:
        folder: run folder; files of wandb go into it.
        project: of Weights & Biases.
        entity: team; None takes the user's own.
        offline: whether nothing is sent.
    """
    return WandbLogger(
        name=folder.name, save_dir=folder, project=project, entity=entity, offline=offline
    )
