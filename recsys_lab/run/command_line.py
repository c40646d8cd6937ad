"""What `python train.py WORDS` does, for every command that trains."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.errors import CompactHydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from recsys_lab.compute.process import prepare_process
from recsys_lab.config.configuration import register_resolvers
from recsys_lab.config.overrides import explain_overrides
from recsys_lab.results.run_log import explain_folder

_PACKAGE = Path(__file__).parents[1]
CONF = next((x for x in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if x.is_dir()), _PACKAGE)


@hydra.main(version_base="1.3", config_path=str(CONF.resolve()), config_name="config")
def _main(cfg: DictConfig) -> float | None:
    """Run the experiment that the configuration describes; returns the monitored metric."""
    from recsys_lab.run.experiment import run  # late, so that a typo is answered at once

    return run(cfg)


def train(words: Sequence[str]) -> None:
    """Compose the configuration of the words of a command line, and run it.

    Raises:
        SystemExit: it cannot be composed, or the run failed; the message is printed.
    """
    prepare_process()
    register_resolvers()
    if complaint := explain_overrides(words, CONF):
        sys.exit(complaint)
    sys.argv = [sys.argv[0], *words]  # where Hydra reads them
    os.environ["HYDRA_FULL_ERROR"] = "1"  # it raises what it would print with its traceback
    try:
        _main()
    except KeyboardInterrupt:  # before the experiment has begun
        sys.exit(130)
    except CompactHydraException as error:  # printed as Hydra does
        cause = error.__cause__
        sys.exit(f"{error}\n{cause}" if isinstance(cause, OmegaConfBaseException) else str(error))
    except OSError as error:  # of the run folder and of the files that Hydra writes there
        sys.exit(explain_folder(error))
