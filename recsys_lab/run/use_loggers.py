"""What a run tells its loggers beside the curve: its configuration and its results."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger

from recsys_lab.run import loggers as room
from recsys_lab.run.boards import BoardLogger

_PACKAGES = ("mlflow", "wandb")  # and the extras, named as their loggers


def check_installed(sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse loggers whose package is not installed.

    Raises:
        ValueError: naming the extra.
    """
    for section in sections.values():
        name = str(section["_target_"]).removeprefix(f"{room.__name__}.")
        if name in _PACKAGES and find_spec(name) is None:
            raise ValueError(
                f"logger={name} needs a package that is not installed: "
                f"pip install 'recsys-lab[{name}]'"
            )


def start(
    builds: Sequence[Callable[..., Logger]], folder: Path, configuration: Mapping[str, Any]
) -> list[Logger]:
    """The loggers of a run; those other than TensorBoard's get the configuration.

    Raises:
        ValueError: one of them cannot be used, such as one that needs a login.
    """
    try:
        loggers = [build(folder=folder) for build in builds]
        for logger in _others(loggers):
            logger.log_hyperparams(dict(configuration))
    except Exception as error:  # whatever the packages raise
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(
            f"logger= cannot be used ({reason}); logger=tensorboard writes into the run folder, "
            "and logger.wandb.offline=true needs no login"
        ) from error
    return loggers


def log_results(used: Sequence[Logger], metrics: Mapping[str, Any], step: int) -> None:
    """Log the test of the model by other loggers than TensorBoard's, which has its own way."""
    found = {
        name: float(value)
        for name, value in metrics.items()
        if name.startswith("test/") and isinstance(value, int | float)
    }
    for logger in _others(used):
        logger.log_metrics(found, step)
        logger.finalize("success")


def _others(used: Sequence[Logger]) -> Iterator[Logger]:
    return (logger for logger in used if not isinstance(logger, BoardLogger))
