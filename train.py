"""Train and evaluate one experiment: `python train.py --help` lists the choices."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from recsys_lab.compute.process import prepare_process
from recsys_lab.config.configuration import register_resolvers
from recsys_lab.config.overrides import explain_overrides


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float | None:
    """Run the experiment that the configuration describes; returns the monitored metric."""
    from recsys_lab.run.experiment import run  # late, so that a typo is answered at once

    return run(cfg)


if __name__ == "__main__":
    prepare_process()
    register_resolvers()
    if complaint := explain_overrides(sys.argv[1:], Path(__file__).parent / "conf"):
        sys.exit(complaint)
    try:
        main()
    except KeyboardInterrupt:  # before the experiment has begun
        sys.exit(130)
