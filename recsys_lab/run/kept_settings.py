"""A run that is resumed with nothing left to train keeps the settings that it was trained with."""

import logging
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from recsys_lab.config.changes import flat
from recsys_lab.report.names import is_setting
from recsys_lab.results.files import write_text
from recsys_lab.results.run_folder import CONFIG

log = logging.getLogger(__name__)

_OF_TRAINING = (
    "seed", "model", "data", "optimizer", "schedule", "trainer", "curve", "monitor", "callbacks",
)  # fmt: skip
_FILES = (CONFIG, CONFIG.with_name("overrides.yaml"))


def read_settings(folder: Path) -> dict[Path, str]:
    """The files that hold the settings of a run, as they are."""
    return {name: (folder / name).read_text() for name in _FILES if (folder / name).is_file()}


def keep_settings(former: dict[Path, str], cfg: DictConfig, folder: Path) -> DictConfig:
    """Put the settings of the training back, and warn of those that were given anew.

    What the test is told stays as it was given.

    Args:
        former: what `read_settings` found before the run.
        cfg: the configuration of this run.
        folder: run folder.

    Returns:
        the configuration that the folder has now.
    """
    if CONFIG not in former:
        return cfg
    before, now = OmegaConf.create(former[CONFIG]), cfg.copy()
    assert isinstance(before, DictConfig)  # noqa: S101 - a configuration is a mapping
    old, new = (
        flat({name: OmegaConf.to_container(x)[name] for name in _OF_TRAINING if name in x})  # type: ignore[index,call-overload]
        for x in (before, now)
    )
    idle = [f"{k}={v}" for k, v in new.items() if old.get(k, v) != v and is_setting(k)]
    if not idle:
        return cfg
    log.warning("without effect, since nothing was trained: %s", ", ".join(idle))
    for section in _OF_TRAINING:
        if section in before:
            OmegaConf.update(now, section, before[section], merge=False, force_add=True)
    write_text(folder / CONFIG, OmegaConf.to_yaml(now))
    for name in former.keys() - {CONFIG}:
        write_text(folder / name, former[name])
    return now
