"""Embeddings for the folder of a run that has none: of an earlier version, or switched off."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from recsys_lab.config.configuration import check_configuration, register_resolvers
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.results.run_folder import CONFIG, read_run
from recsys_lab.run.command_line import CONF
from recsys_lab.run.experiment import assemble
from recsys_lab.run.fitting import load
from recsys_lab.run.resuming import best_of
from recsys_lab.vectors.errors import VectorsError

_SINCE: dict[str, Any] = {  # keys that older runs do not have
    "embeddings": True,
    "users": True,
    "max_memory_gb": None,
    "prepare": "local",
    "ray_address": None,
    "vectors": None,
    "projector": 0,
    "resume_with_changes": False,
    "resume": None,
    "evaluate": None,
    "test": True,
    "logger": {},
    "callbacks": {},
    "skip_finished": True,
    "nodes": {
        "_target_": "recsys_lab.catalog.nodes.NodeOptions",
        "users": False,
        "user_types": [],
        "item_types": [],
        "min_events": 10,
        "labels": [],
        "graph": "auto",
    },
    "history": {
        "_target_": "recsys_lab.evaluation.histories.HistoryWeights",
        "decay": 0.7,
        "last": None,
        "vector": "pooled",
    },
    "baselines": {
        "_target_": "recsys_lab.evaluation.query_baselines.BaselineOptions",
        "nearest": 100,
        "ease_penalty": 50.0,
        "slist_penalty": 20.0,
        "slist_share": 0.5,
        "query_exponent": 0.0,
        "max_dense_items": 25_000,
        "refit": False,
    },
    "exchange": {
        "_target_": "recsys_lab.models.exchange.ExchangeOptions",
        "every_n_batches": None,
        "precision": 32,
    },
    "evaluation": {
        "mixture": [],
        "max_choice_items": 50_000,
        "max_ease_items": 4_000,
        "max_local_ease_items": 0,
        "ray": None,
    },
    "checkpoint": {
        "_target_": "recsys_lab.run.best_checkpoint.BestCheckpoint",
        "every_n_steps": None,
        "every_n_minutes": None,
    },
}


def embed(folder: str | Path) -> Path:
    """Write the embeddings of a finished run from its best checkpoint; returns their folder.

    The catalogue is read as the run read it; relative paths start at the current folder.

    Raises:
        VectorsError: the folder holds no finished run.
        ConfigurationError: its configuration cannot be used.
        CatalogError: its catalogue cannot be read.
        TrainingError: the checkpoint does not belong to this catalogue or model.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise VectorsError(
            f"{folder} is not the folder of a run: name a folder such as outputs/train/runs/..."
        )
    run = read_run(folder)
    if run.problem:
        raise VectorsError(f"{folder} is not the folder of a finished run: {run.problem}")
    experiment = assemble(stored_configuration(folder))
    prepared = experiment.prepare()
    return load(prepared, experiment, folder, best_of(folder)).save_embeddings(run.metrics)


def stored_configuration(folder: Path) -> dict[str, Any]:
    """The configuration of a run, of an earlier version, too; checked.

    Raises:
        ConfigurationError: it cannot be used.
    """
    register_resolvers()
    run = read_run(folder)
    if not run.config:
        raise ConfigurationError(f"{folder}: {run.problem}")
    try:
        # Not the resolved values: a path may hold what looks like an interpolation.
        return check_configuration(_completed(OmegaConf.load(folder / CONFIG)))
    except ConfigurationError as error:
        raise ConfigurationError(f"{folder / CONFIG}: {error}") from error
    except Exception as error:  # a section that is missing, or of another kind
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise ConfigurationError(
            f"{folder / CONFIG} is not the configuration of a run ({reason})"
        ) from error


def _completed(config: DictConfig | ListConfig) -> DictConfig:
    """A stored configuration with the options that came later."""
    stored = OmegaConf.merge(_SINCE, config)
    for section in ("catalog", "data", "data.source", "model"):  # with their defaults
        node = OmegaConf.select(stored, section)
        for path in sorted(CONF.joinpath(*section.split(".")).glob("*.yaml")):
            default = OmegaConf.to_container(OmegaConf.load(path))
            assert isinstance(default, dict)  # noqa: S101 - narrows the type
            if OmegaConf.is_dict(node) and default.get("_target_") == node.get("_target_"):
                default.pop("defaults", None)
                OmegaConf.update(stored, section, OmegaConf.merge(default, node), merge=False)
                break
    assert isinstance(stored, DictConfig)  # noqa: S101 - narrows the type
    return stored
