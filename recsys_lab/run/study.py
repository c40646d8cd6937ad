"""The study of a search: an Optuna study in a file of the sweep's folder."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys_lab.config.targets import ConfigurationError
from recsys_lab.results.search_results import STUDY

if TYPE_CHECKING:
    import optuna

_NAME = "search"
_WAIT = 60.0  # seconds, for other processes that write
_MIN_TRIALS = 10  # for an importance that means something
_STARTUP = 5  # trials before the first one is pruned


def optuna_library() -> Any:
    """Optuna, which logs warnings alone.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigurationError(
            "hparams_search=optuna needs Optuna: pip install 'recsys-lab[sweep]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def open_study(folder: Path, *, pruning: bool = False) -> "optuna.Study":
    """The study in a folder, a new one if there is none; the larger the value the better."""
    optuna = optuna_library()
    from sqlalchemy import URL

    folder.mkdir(parents=True, exist_ok=True)
    url = URL.create("sqlite", database=str(folder.resolve() / STUDY))
    storage = optuna.storages.RDBStorage(
        url.render_as_string(), engine_kwargs={"connect_args": {"timeout": _WAIT}}
    )
    pruners = optuna.pruners
    study: Any = optuna.create_study(
        storage=storage,
        study_name=_NAME,
        direction="maximize",
        load_if_exists=True,
        pruner=pruners.MedianPruner(_STARTUP, 1) if pruning else pruners.NopPruner(),
    )
    return study


def ask(study: "optuna.Study", space: Mapping[str, Any], seed: int) -> None:
    """Draw the next trial; what it is depends on the seed, its number and the trials before it.

    The sampler starts anew for each trial: with a state of its own, a study that goes on would
    draw its first values again.
    """
    number = len(study.get_trials(deepcopy=False))
    state = np.random.SeedSequence([seed, number]).generate_state(1)[0]
    study.sampler = optuna_library().samplers.TPESampler(seed=int(state))
    study.ask(dict(space))


def importance(folder: Path) -> dict[str, float]:
    """Share of each searched option in the differences between trials, the largest first.

    By Optuna's own measure (PED-ANOVA); empty for fewer than ten finished trials, or one option.
    """
    if not (folder / STUDY).is_file():
        return {}
    optuna, study = optuna_library(), open_study(folder)
    complete = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    if len(complete) < _MIN_TRIALS or len(complete[0].params) < 2:
        return {}
    found: dict[str, float] = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )
    return found
