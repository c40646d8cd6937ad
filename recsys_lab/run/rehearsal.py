"""The parts of an experiment built once on forty items, so that a mistake shows before any reading.

On a large catalogue it would show after minutes.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from recsys_lab.catalog.nodes import find_nodes
from recsys_lab.config.configuration import section_of
from recsys_lab.config.rank_count import rank_count
from recsys_lab.models.optimizers import build_optimizers
from recsys_lab.models.plan import Plan, check_plan
from recsys_lab.models.updates import FLOAT32, check_precision
from recsys_lab.run.data_checks import check_trained
from recsys_lab.run.event_run_data import run_data
from recsys_lab.run.fitting import build_data, check_monitor
from recsys_lab.run.label_test import column_of
from recsys_lab.run.parts import Experiment
from recsys_lab.run.rank_jobs import check_net
from recsys_lab.run.rehearsal_data import few_items, few_items_split, known_few_items
from recsys_lab.run.run_data import RunData

_OWN = "recsys_lab."  # targets that are known to make do with few items
_FILES = ("sequence_file", "stored_walks")  # sources that look into a file of the real catalogue

Part = Callable[[Experiment, RunData], None]


def rehearse(experiment: Experiment, configuration: Mapping[str, Any]) -> None:
    """Build model, optimiser, schedule, data module, curve and trainer on a few items.

    Targets of plugins are left out, as are those that read files of the catalogue. Parts that have
    passed before, for another job of a sweep, are not built again.

    Raises:
        ValueError: a value cannot be used; the message names the argument.
    """
    data: RunData | None = None
    for part, sections in _parts(configuration).items():
        nodes = [section_of(configuration, name) for name in sections]
        targets = [str(x["_target_"]) for x in nodes if isinstance(x, Mapping) and "_target_" in x]
        known = all(name.startswith((_OWN, "torch.", "pytorch_lightning.")) for name in targets)
        key = f"{part.__name__} {json.dumps(nodes)}"
        if known and key not in _passed:
            data = data or _few_data(experiment)
            part(experiment, data)
            _passed.add(key)


def _few_data(experiment: Experiment) -> RunData:
    split, catalog = few_items_split(experiment), few_items()
    options = replace(  # by rules that these users and items have
        experiment.nodes,
        user_types=["num_events"] if experiment.nodes.user_types else [],
        item_types=["popularity"] if experiment.nodes.item_types else [],
        min_events=1,
    )
    nodes = find_nodes(split, catalog, options)
    return run_data(split, catalog, experiment.history, nodes=nodes)


_passed: set[str] = set()


def _parts(configuration: Mapping[str, Any]) -> dict[Part, tuple[str, ...]]:
    """What is built, and the sections that it depends on."""
    parts: dict[Part, tuple[str, ...]] = {
        _build_curve: ("curve", "checkpoint", "monitor", "split.negatives", "nodes", "history"),
        _call_schedule: ("schedule",),
        _build_trainer: ("trainer", "schedule"),
    }
    # vectors of a file are those of the catalogue's items, not of the rehearsal's
    if configuration["vectors"] is None and not section_of(configuration, "model.start"):
        parts[_build_model] = (
            "model", "optimizer", "trainer.accelerator", "trainer.precision", "nodes",
            "trainer.strategy", "trainer.devices", "trainer.num_nodes",
        )  # fmt: skip
    source = section_of(configuration, "data.source") or {}
    if not str(source.get("_target_")).endswith(_FILES):
        parts[_build_data] = ("data", "data.source", "nodes", "model")
    return parts


def _build_curve(experiment: Experiment, data: RunData) -> None:
    pairs, histories = data.evaluation_pairs("val"), data.history_weights("val")
    labels = {column_of(group.name): lambda scorer: 0.0 for group in data.nodes.labels}
    curve = experiment.curve(pairs=pairs, histories=histories, labels=labels, folder=Path(), seed=0)
    check_monitor(experiment.monitor, curve)
    experiment.checkpoint(folder=Path(), monitor=experiment.monitor)


def _call_schedule(experiment: Experiment, data: RunData) -> None:
    for progress in (0.0, 0.5, 1.0):
        experiment.schedule(progress, progress)


def _build_trainer(experiment: Experiment, data: RunData) -> None:
    trainer = experiment.trainer(
        callbacks=[], logger=False, plugins=[], default_root_dir=Path(), enable_checkpointing=False
    )
    check_plan(Plan(trainer.max_epochs, trainer.max_steps), experiment.schedule)


def _build_model(experiment: Experiment, data: RunData) -> None:
    net = experiment.model(items=known_few_items(data))
    if not any(True for _ in net.parameters()):
        return  # nothing is trained
    build_optimizers(experiment.optimizer, net)
    check_net(net, rank_count(experiment.configuration["trainer"]))
    precision = section_of(experiment.configuration, "trainer.precision")
    check_precision(net, FLOAT32 if precision in (None, 32) else precision)


def _build_data(experiment: Experiment, data: RunData) -> None:
    module, configuration = build_data(data, experiment), experiment.configuration
    if not configuration.get("vectors") and not section_of(configuration, "model.start"):
        net = experiment.model(items=known_few_items(data))
        if any(True for _ in net.parameters()):
            check_trained(module, data.nodes, net)
