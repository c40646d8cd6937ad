"""What a run tells its loggers beside the curve: its configuration and its results."""

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytorch_lightning.loggers import Logger

from recsys_lab.run import loggers as room
from recsys_lab.run.boards import BoardLogger
from recsys_lab.run.logger_runs import forget_runs, keep_run, mlflow_uri, run_of
from recsys_lab.run.parts import Experiment
from recsys_lab.run.tolerant import Tolerant, reason

log = logging.getLogger(__name__)

_PACKAGES = ("mlflow", "wandb")  # and the extras, named as their loggers
_PATIENCE = 5.0  # seconds for a server to answer
_PORTS = {"http": 80, "https": 443}
_NO_LOGIN = ("offline", "dryrun", "disabled")  # of WANDB_MODE


def check_usable(sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse loggers that cannot start, before any data is read.

    Raises:
        ValueError: a package, a login or a server is missing; the message has the remedy.
    """
    for section in sections.values():
        name = str(section["_target_"]).removeprefix(f"{room.__name__}.")
        if name in _PACKAGES and find_spec(name) is None:
            raise ValueError(
                f"logger={name} needs a package that is not installed: "
                f"pip install 'recsys-lab[{name}]'"
            )
        if name == "wandb" and not section["offline"]:
            _check_login()
        if name == "mlflow":
            _check_server(mlflow_uri(section["tracking_uri"]))


def _check_login() -> None:
    import wandb

    if os.environ.get("WANDB_MODE", "online") not in _NO_LOGIN and not wandb.login(prompt=False):
        raise ValueError(
            "logger=wandb needs a login: run `wandb login` or set WANDB_API_KEY; without one, "
            "logger.wandb.offline=true or WANDB_MODE=offline keeps the run in its folder"
        )


def _check_server(uri: str | None) -> None:
    parts = urlsplit(uri or "")
    if parts.scheme not in _PORTS:
        return  # files, databases
    try:
        place = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
        socket.create_connection(place, _PATIENCE).close()
    except (OSError, ValueError) as error:
        place_only = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
        raise ValueError(
            f"logger=mlflow cannot reach {place_only} ({reason(error)}): start the server, or "
            "name another one with logger.mlflow.tracking_uri= or MLFLOW_TRACKING_URI"
        ) from error


def start(experiment: Experiment, folder: Path, *, goes_on: bool) -> list[Logger]:
    """The loggers of a run; those other than TensorBoard's get the configuration.

    Args:
        experiment: names them.
        folder: run folder.
        goes_on: whether runs of MLflow and wandb go on that the folder had before.

    Raises:
        ValueError: one of them cannot be used, such as one that needs a login.
    """
    if not goes_on:
        forget_runs(folder)
    started: list[Logger] = []
    try:
        for build in experiment.loggers:
            started.append(_start(build, experiment, folder))
    except ValueError:
        end(started, "failed")
        raise
    return started


def start_for_test(experiment: Experiment, folder: Path) -> list[Logger]:
    """The loggers of a run that was not trained here, without those that cannot be used."""
    started: list[Logger] = []
    for build in experiment.loggers:
        try:
            started.append(_start(build, experiment, folder))
        except ValueError as error:
            log.warning("%s", error)
    return started


def _start(build: Callable[..., Logger], experiment: Experiment, folder: Path) -> Logger:
    try:
        logger = build(folder=folder)
        if isinstance(logger, BoardLogger):
            return logger
        has_curve = run_of(folder, type(logger)) is not None
        logger.log_hyperparams(dict(experiment.configuration))
        keep_run(folder, logger)
        return Tolerant(logger, has_curve=has_curve)
    except Exception as error:  # whatever the packages raise
        raise ValueError(
            f"logger= cannot be used ({reason(error)}); logger=tensorboard writes into the run "
            "folder, and logger.wandb.offline=true needs no login"
        ) from error


@contextmanager
def failing(used: Sequence[Logger]) -> Iterator[None]:
    """Tell the loggers that a run has failed, if it does."""
    try:
        yield
    except BaseException:
        for logger in _others(used):
            logger.finalize("failed")
        raise


def log_results(used: Sequence[Logger], metrics: Mapping[str, Any], step: int) -> None:
    """Log the test of the model by other loggers than TensorBoard's, which has its own way."""
    found = {
        name: float(value)
        for name, value in metrics.items()
        if name.startswith("test/") and isinstance(value, int | float)
    }
    for logger in _others(used):
        if found:
            logger.log_metrics(found, step)
        logger.finalize("success")
    end(used, "success")


def end(used: Sequence[Logger], status: str) -> None:
    """End the runs that other loggers than TensorBoard's keep open."""
    for logger in _others(used):
        logger.end(status)


def _others(used: Sequence[Logger]) -> Iterator[Tolerant]:
    return (logger for logger in used if isinstance(logger, Tolerant))
