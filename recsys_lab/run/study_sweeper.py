"""`hparams_search=optuna`: trials that Optuna chooses, each a job of a sweep; then the test.

A trial maximises the monitored metric on validation pairs and is not tested. The best one is
tested at the end, in its folder. The study is a file in the sweep's folder: a search that is run
again there goes on with the trials that were stopped, and on to the number of trials in total.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from recsys_lab.compute.counts import count_of
from recsys_lab.config.job_names import NO_RESULT
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.run.study import ask, open_study, optuna_library
from recsys_lab.run.sweep_end import SweepEnd

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

PRUNED = "pruned"  # attribute of a trial that its run has stopped
_SEARCHED = "searched"  # attribute of a study


class StudySweep(Sweeper):
    """Runs the trials of a study.

    Args:
        n_trials: of the study in total.
        n_jobs: trials that are launched together.
        seed: of the sampler.
        pruning: whether trials with a poor curve are stopped.
        params: options and what is searched of them, beside those of the command line.
    """

    def __init__(
        self, n_trials: int, n_jobs: int, seed: int, pruning: bool, params: Mapping[str, Any]
    ) -> None:
        self._n_trials, self._n_jobs, self._seed, self._pruning = n_trials, n_jobs, seed, pruning
        self._params = params

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra passes."""
        self._loader = hydra_context.config_loader
        self._folder = Path(config.hydra.sweep.dir)
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the trials that are left, then the test of the best one.

        Raises:
            ConfigurationError: the study cannot be made, or no trial has succeeded.
        """
        if self._n_trials < 1 or self._n_jobs < 1:
            raise ConfigurationError(
                f"hydra.sweeper.n_trials and hydra.sweeper.n_jobs must be >= 1, got "
                f"{self._n_trials} and {self._n_jobs}"
            )
        words = [*(f"{key}={value}" for key, value in self._params.items()), *arguments]
        overrides = OverridesParser.create(config_loader=self._loader).parse_overrides(words)
        last = {one.get_key_element(): one for one in overrides}  # as Hydra does
        space = {key: _distribution(one) for key, one in last.items() if one.is_sweep_override()}
        fixed = {
            key: one.get_value_element_as_str() for key, one in last.items() if key not in space
        }
        if not space:
            raise ConfigurationError(
                "hparams_search=optuna needs options to search: give intervals or several values, "
                "such as 'optimizer.lr=tag(log,interval(0.02,1))' data.window=2,3,5"
            )
        study = open_study(self._folder, pruning=self._pruning)
        self._check_same(study, space, fixed)
        while batch := self._next(study, space):
            self._run(study, batch, fixed)
        return self._test(study, fixed)

    def _check_same(
        self, study: "optuna.Study", space: Mapping[str, Any], fixed: Mapping[str, str]
    ) -> None:
        """Refuse to go on with trials of other options, whose values are not comparable."""
        kept = {key: value for key, value in fixed.items() if key not in NO_RESULT}
        searched = {key: str(value) for key, value in space.items()} | kept
        before = study.user_attrs.setdefault(_SEARCHED, searched)
        names = [x for x in {**before, **searched} if before.get(x) != searched.get(x)]
        if names:
            name = names[0]
            SweepEnd.current = None  # what it holds is not of these options
            raise ConfigurationError(
                f"{self._folder} holds a search of other options ({name}: {before.get(name)}, not "
                f"{searched.get(name)}): choose another folder with hydra.sweep.dir="
            )
        study.set_user_attr(_SEARCHED, searched)

    def _next(self, study: "optuna.Study", space: Mapping[str, Any]) -> list[Any]:
        """The trials to run next: those that were stopped, or new ones; none at the end."""
        running = [optuna_library().trial.TrialState.RUNNING]
        for _ in range(self._n_jobs):
            left = study.get_trials(deepcopy=False, states=running)
            if len(left) < self._n_jobs and len(study.get_trials(deepcopy=False)) < self._n_trials:
                ask(study, space, self._seed)
        left = study.get_trials(deepcopy=False, states=running)
        return [one for place, one in enumerate(left) if one.number == left[0].number + place]

    def _run(self, study: "optuna.Study", batch: Sequence[Any], fixed: Mapping[str, str]) -> None:
        """Launch trials of successive numbers, and tell the study what they came to."""
        states = optuna_library().trial.TrialState
        words = [_words(trial, fixed) for trial in batch]
        for trial, done in zip(
            batch, self._launcher.launch(words, initial_job_idx=batch[0].number), strict=True
        ):
            if done.status != JobStatus.COMPLETED or done.return_value is None:
                study.tell(trial.number, state=states.FAIL)
            elif study.trials[trial.number].user_attrs.get(PRUNED):
                study.tell(trial.number, state=states.PRUNED)
            else:
                study.tell(trial.number, done.return_value)

    def _test(self, study: "optuna.Study", fixed: Mapping[str, str]) -> Any:
        trials = study.get_trials(deepcopy=False)
        if not any(one.value is not None and one.state.name == "COMPLETE" for one in trials):
            raise ConfigurationError(f"none of {count_of(len(trials), 'trial')} has succeeded")
        best = study.best_trial
        number = count_of(len(trials), "trial")
        log.info("the best of %s is %d, which is tested", number, best.number)
        launched = self._launcher.launch([_words(best, fixed)], initial_job_idx=best.number)
        return launched[0].return_value


def _words(trial: Any, fixed: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in {**fixed, **trial.params}.items()]


def _distribution(override: Override) -> Any:
    """What is searched of an option: an interval, a range, or values without an order.

    Raises:
        ConfigurationError: it cannot be searched.
    """
    found, value = optuna_library().distributions, override.value()
    try:
        if isinstance(value, IntervalSweep):
            return _interval(value.start, value.end, is_log="log" in value.tags)
        if isinstance(value, RangeSweep) and not value.shuffle:
            values = list(value.range())
            is_whole = all(isinstance(x, int) for x in values)
            if len(values) > 1 and values[1] > values[0]:
                kind = found.IntDistribution if is_whole else found.FloatDistribution
                return kind(values[0], values[-1], step=values[1] - values[0])
        return found.CategoricalDistribution(list(override.sweep_string_iterator()))
    except ValueError as error:
        raise ConfigurationError(f"cannot search {override.input_line}: {error}") from error


def _interval(low: Any, high: Any, *, is_log: bool) -> Any:
    """Whole numbers between whole bounds, as in Hydra's plugin for Optuna."""
    found = optuna_library().distributions
    if isinstance(low, int) and isinstance(high, int):
        return found.IntDistribution(low, high, log=is_log)
    return found.FloatDistribution(float(low), float(high), log=is_log)
