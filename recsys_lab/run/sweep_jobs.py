"""A job of a sweep in a folder that holds an earlier run: skipped, gone on with, or refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from recsys_lab.config.changes import flat
from recsys_lab.config.job_names import NO_RESULT
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.results.run_folder import CONFIG
from recsys_lab.results.run_metrics import FILE_NAME, read_metrics

_MOST = 3  # differences that are named


class OtherRun(ConfigurationError):
    """The folder of a job holds a run with other options."""


def in_sweep() -> bool:
    """Whether the run that Hydra has configured is a job of a sweep."""
    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def check_folder(cfg: DictConfig, folder: Path) -> None:
    """Refuse a job whose folder holds a run with other options; nothing is written there.

    Raises:
        OtherRun: naming options that differ.
    """
    if not (folder / CONFIG).is_file():
        return
    try:
        stored = _settings(OmegaConf.load(folder / CONFIG))
    except (OSError, ValueError, OmegaConfBaseException, YAMLError) as error:
        reason = str(error).partition("\n")[0]
        raise OtherRun(
            f"{folder / CONFIG} cannot be read ({reason}): remove that folder, or choose another "
            "with hydra.sweep.dir="
        ) from error
    now = _settings(cfg)
    names = [x for x in dict.fromkeys([*stored, *now]) if stored.get(x) != now.get(x)]
    if names:
        shown = [f"{name}={_text(stored, name)}, not {_text(now, name)}" for name in names[:_MOST]]
        more = f"; and {len(names) - _MOST} more" if len(names) > _MOST else ""
        raise OtherRun(
            f"{folder} holds a run with other options ({'; '.join(shown)}{more}), which is kept: "
            "choose another folder with hydra.sweep.dir="
        )


def is_finished(folder: Path) -> bool:
    """Whether a folder holds the metrics of a run that came to its end."""
    try:
        return (folder / FILE_NAME).is_file() and bool(read_metrics(folder))
    except (OSError, ValueError):  # damaged: the run goes on from its checkpoint
        return False


def _settings(configuration: Any) -> Mapping[str, Any]:
    plain = OmegaConf.to_container(configuration, resolve=False)
    if not isinstance(plain, dict):
        raise ValueError("it holds no configuration")
    values = flat({str(name): value for name, value in plain.items()})
    return {name: value for name, value in values.items() if name not in NO_RESULT}


def _text(values: Mapping[str, Any], name: str) -> str:
    return "null" if values.get(name) is None else str(values[name])
