"""What `python train.py WORDS` does, for every command that trains."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from recsys_lab.compute.counts import count_of
from recsys_lab.compute.process import prepare_process
from recsys_lab.compute.signals import exit_at_once, follow, is_worker, lead
from recsys_lab.compute.threads import CORES
from recsys_lab.config.command_words import in_order
from recsys_lab.config.configuration import register_resolvers
from recsys_lab.config.job_names import without_constants
from recsys_lab.config.overrides import Jobs, compose_jobs
from recsys_lab.config.path_words import quoted
from recsys_lab.config.paths import anchor
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.results.run_log import explain_folder
from recsys_lab.run.rank_worker import ranks_to_lead, serve_started
from recsys_lab.run.resuming import with_earlier_words
from recsys_lab.run.sweep_end import SweepEnd
from recsys_lab.run.workers import share_cores

_PACKAGE = Path(__file__).parents[1]
CONF = next((x for x in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if x.is_dir()), _PACKAGE)


@hydra.main(version_base="1.3", config_path=str(CONF.resolve()), config_name="config")
def _main(cfg: DictConfig) -> float | None:
    """Run the experiment that the configuration describes; returns the monitored metric."""
    follow()
    if HydraConfig.get().job.chdir:
        anchor(cfg, Path(HydraConfig.get().runtime.cwd))
    from recsys_lab.run.experiment import run  # late, so that a typo is answered at once

    try:
        return run(cfg)
    except SystemExit as stop:
        if is_worker():  # whose pool would go on to the next job
            logging.shutdown()
            os._exit(stop.code if isinstance(stop.code, int) else 1)
        raise


def _share_cores(jobs: Jobs) -> None:
    if jobs.hydra is not None:
        _, first = next(iter(jobs))
        together = jobs.hydra.sweeper.get("n_jobs") or len(jobs)  # of a search
        share_cores(jobs.hydra.launcher, together, first.get("num_threads"))


def _run_jobs() -> None:
    """Run Hydra; a sweep shows what it has come to, also if jobs failed or a signal ended it."""
    try:
        _main()
    except SystemExit:
        _show_sweep(is_stopped=True)
        raise
    except Exception:
        _show_sweep()
        raise


def _show_sweep(*, is_stopped: bool = False) -> None:
    if SweepEnd.current is not None:
        SweepEnd.current.show(is_stopped=is_stopped)


def train(words: Sequence[str]) -> None:
    """Compose the configuration of the words of a command line, and run it.

    Raises:
        SystemExit: it cannot be composed, or the run failed; the message is printed.
    """
    exit_at_once()
    if serve_started():
        return
    if CORES in os.environ:  # Ray Train has started this process
        follow()
    lead()
    prepare_process()
    register_resolvers()
    with ranks_to_lead():
        _train(words)


def _train(words: Sequence[str]) -> None:
    try:
        words = in_order(with_earlier_words(in_order(words), CONF))
        if (jobs := compose_jobs(words, CONF)) is not None:
            from recsys_lab.run.job_checks import check_outlines  # late: it reads with libraries

            check_outlines(jobs)
            words = [*words, *_begin(jobs)]
            _check(jobs)
            if jobs.is_sweep:
                _share_cores(jobs)
        is_sweep = jobs is not None and jobs.is_sweep
        words = without_constants(words, CONF, is_sweep=is_sweep)
        sys.argv = [sys.argv[0], *words]  # where Hydra reads them
        os.environ["HYDRA_FULL_ERROR"] = "1"  # it raises what it would print with its traceback
        _run_jobs()
    except CompactHydraException as error:  # printed as Hydra does
        cause = error.__cause__
        sys.exit(f"{error}\n{cause}" if isinstance(cause, OmegaConfBaseException) else str(error))
    except ValueError as error:
        sys.exit(str(error))
    except OSError as error:  # of the run folder and of the files that Hydra writes there
        sys.exit(explain_folder(error))
    except RuntimeError as error:
        if not type(error).__module__.startswith("submitit."):
            raise
        sys.exit(f"a job of the sweep was lost: {str(error).splitlines()[0]}")


def _check(jobs: Jobs) -> None:
    """Check the jobs; a refusal says that the folder of the first line was not made."""
    from recsys_lab.run.job_checks import check_jobs

    try:
        check_jobs(jobs)
    except (CompactHydraException, ValueError) as error:
        raise ConfigurationError(f"{error}\nno folder was made") from error


def _begin(jobs: Jobs) -> list[str]:
    """The first line, before the imports of seconds; returns the word that keeps what it says."""
    count = f" for {_number(jobs)}" if jobs.is_sweep else ""
    if jobs.folder is None:
        sys.stderr.write(f"preparing a folder{count}\n")
        return []
    key, name = ("hydra.sweep.dir", "sweep") if jobs.is_sweep else ("hydra.run.dir", "run")
    sys.stderr.write(f"{name} folder{count}: {jobs.folder}\n")
    return [f"{key}={quoted(jobs.folder)}"]


def _number(jobs: Jobs) -> str:
    """How many jobs a sweep has, or how many trials a search."""
    if jobs.hydra is not None and (trials := jobs.hydra.sweeper.get("n_trials")):
        return f"{count_of(trials, 'trial')} in total"
    return count_of(len(jobs), "job")
