"""The sweeper of `hparams_search=optuna`, where Hydra looks for its plugins."""

from recsys_lab.run.search import Search


class StudySweeper(Search):
    """Searches by Optuna; see `recsys_lab.run.search`."""
