"""A run that is a trial of a search: its curve goes to the study, which may stop it."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from pytorch_lightning import Callback, LightningModule, Trainer

from recsys_lab.compute.counts import count_of
from recsys_lab.results.search_results import STUDY
from recsys_lab.run.parts import Experiment
from recsys_lab.run.study import open_study
from recsys_lab.run.study_sweeper import PRUNED
from recsys_lab.run.sweep_jobs import in_sweep

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)


class Trial(Callback):
    """Tells the study the monitored metric after each epoch, and stops where it says so.

    Args:
        trial: of the study.
        monitor: the metric.
    """

    def __init__(self, trial: "optuna.Trial", monitor: str) -> None:
        self._trial, self._monitor = trial, monitor
        self.reason = ""  # why training has ended

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the epoch; after the last one there is nothing to stop."""
        epoch = trainer.current_epoch + 1
        self._trial.report(float(trainer.callback_metrics[self._monitor]), epoch)
        if epoch != trainer.max_epochs and self._trial.should_prune():
            self._trial.set_user_attr(PRUNED, epoch)
            self.reason = f"pruning ({self._monitor} below the median of the trials before)"
            trainer.should_stop = True

    def watch(self, experiment: Experiment) -> Experiment:
        """The experiment with this callback in its trainer."""

        def trainer(**objects: Any) -> Trainer:
            return experiment.trainer(**objects | {"callbacks": [*objects["callbacks"], self]})

        return replace(experiment, trainer=trainer)

    def end(self, best: float | None) -> None:
        """Log what the trial came to."""
        epoch = self._trial.user_attrs.get(PRUNED)
        how = "" if epoch is None else f", pruned after {count_of(epoch, 'epoch')}"
        value = "none" if best is None else f"{best:.4f}"
        log.info("not tested: trial %d, %s %s%s", self._trial.number, self._monitor, value, how)


def current_trial(monitor: str) -> Trial | None:
    """The trial that this run is; None for other runs, and for the test of the best trial."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.cwd, hydra.sweep.dir)
    if not in_sweep() or "n_trials" not in hydra.sweeper or not (folder / STUDY).is_file():
        return None
    import optuna

    study = open_study(folder, pruning=bool(hydra.sweeper.pruning))
    frozen = study.trials[int(hydra.job.num)]
    if frozen.state != optuna.trial.TrialState.RUNNING:
        return None
    return Trial(optuna.trial.Trial(study, frozen._trial_id), monitor)
