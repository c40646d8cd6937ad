"""What `python train.py WORDS` does, for every command that trains."""

import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig

from recsys_lab.compute.process import prepare_process
from recsys_lab.config.configuration import register_resolvers
from recsys_lab.config.overrides import explain_overrides
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.run.resuming import with_earlier_words

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
    try:
        words = with_earlier_words(words, CONF)
    except (ConfigurationError, ValueError) as error:
        sys.exit(str(error))
    if complaint := explain_overrides(words, CONF):
        sys.exit(complaint)
    sys.argv = [sys.argv[0], *words]  # where Hydra reads them
    try:
        _main()
    except KeyboardInterrupt:  # before the experiment has begun
        sys.exit(130)
