"""Every job of a command line is checked before the first one runs."""

import sys
import time
from importlib.util import find_spec

from omegaconf import DictConfig

from recsys_lab.compute.counts import count_of
from recsys_lab.config.configuration import (
    SECTIONS,
    check_configuration,
    check_outline,
    section_of,
)
from recsys_lab.config.overrides import Jobs
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.config.written_types import check_written
from recsys_lab.run.input_files import check_files
from recsys_lab.run.ray_launcher import check_launcher

_TELL_EVERY = 2.0  # seconds


def check_outlines(jobs: Jobs) -> None:
    """Check what can be known of the jobs before the imports of seconds.

    Raises:
        ConfigurationError: naming the key and, in a sweep, what the job is.
    """
    sweeper = "" if jobs.hydra is None else str(jobs.hydra.sweeper.get("_target_"))
    if sweeper.endswith("StudySweeper") and find_spec("optuna") is None:
        from recsys_lab.run.study import optuna_library

        optuna_library()  # which is refused
    on_ray = False
    if jobs.is_sweep and jobs.hydra is not None:
        on_ray = check_launcher(jobs.hydra.launcher)
    elif jobs.hydra is not None:
        _tell_unused_launcher(jobs.hydra)
    for chosen, cfg in jobs:
        try:
            configuration = check_outline(cfg)
            for section in SECTIONS:
                check_written(section, section_of(configuration, section))
            if on_ray and configuration["test"] and section_of(configuration, "evaluation.ray"):
                raise ConfigurationError(
                    "evaluation.ray does not go with hydra/launcher=ray, whose jobs hold the CPUs "
                    "that would rank: leave it out, or add test=false and test with evaluate="
                )
            check_files(configuration)
        except ConfigurationError as error:
            raise _of_job(error, chosen) from error


def _tell_unused_launcher(hydra: DictConfig) -> None:
    """Warn that a launcher is ignored without a sweep; Hydra does not."""
    if not str(hydra.launcher.get("_target_")).endswith("BasicLauncher"):
        name = hydra.runtime.choices.get("hydra/launcher")
        sys.stderr.write(
            f"hydra/launcher={name} is ignored: it launches the jobs of a sweep (-m)\n"
        )


def check_jobs(jobs: Jobs) -> None:
    """Check all that can be known of the jobs without reading data; nothing is written.

    Raises:
        ConfigurationError: naming the key and, in a sweep, what the job is.
    """
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    from recsys_lab.models.task import TrainingError
    from recsys_lab.run.experiment import check_run, quieten_libraries

    quieten_libraries()
    told = time.monotonic()
    for number, (chosen, cfg) in enumerate(jobs):
        try:
            check_run(check_configuration(cfg))
        except (ConfigurationError, TrainingError, MisconfigurationException, ValueError) as error:
            raise _of_job(error, chosen) from error
        if number + 1 < len(jobs) and time.monotonic() - told > _TELL_EVERY:
            told = time.monotonic()
            sys.stderr.write(f"checked {number + 1:,} of {count_of(len(jobs), 'job')}\n")


def _of_job(error: Exception, chosen: str) -> ConfigurationError:
    return ConfigurationError(f"{error} (in the job {chosen})" if chosen else str(error))
