"""The sweeper of `hparams_search=optuna`, where Hydra looks for its plugins."""

from recsys_lab.run.study_sweeper import StudySweep


class StudySweeper(StudySweep):
    """Searches by Optuna; see `recsys_lab.run.study_sweeper`."""
