"""Every job of a command line is checked before the first one runs."""

import sys
import time

from lightning_fabric.utilities.exceptions import MisconfigurationException

from recsys_lab.config.configuration import check_configuration
from recsys_lab.config.overrides import Jobs
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.models.task import TrainingError
from recsys_lab.run.experiment import check_run, quieten_libraries

_TELL_EVERY = 2.0  # seconds


def check_jobs(jobs: Jobs) -> None:
    """Check all that can be known of the jobs without reading data; nothing is written.

    Raises:
        ConfigurationError: naming the key and, in a sweep, what the job is.
    """
    quieten_libraries()
    told = time.monotonic()
    for number, (chosen, cfg) in enumerate(jobs):
        try:
            check_run(check_configuration(cfg))
        except (ConfigurationError, TrainingError, MisconfigurationException, ValueError) as error:
            job = f" (in the job {chosen})" if chosen else ""
            raise ConfigurationError(f"{error}{job}") from error
        if number + 1 < len(jobs) and time.monotonic() - told > _TELL_EVERY:
            told = time.monotonic()
            sys.stderr.write(f"checked {number + 1:,} of {len(jobs):,} jobs\n")
