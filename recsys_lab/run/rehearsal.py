"""The parts of an experiment built once on forty items, so that a mistake shows before any reading.

On a large catalogue it would show after minutes.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.split import HeldOut, Split
from recsys_lab.config.configuration import section_of
from recsys_lab.data.batch import FieldCodes, Items
from recsys_lab.models.optimizers import build_optimizers
from recsys_lab.models.plan import Plan, check_plan
from recsys_lab.models.updates import FLOAT32, check_precision
from recsys_lab.readers.items import complete_items
from recsys_lab.run.fitting import build_data, check_monitor
from recsys_lab.run.parts import Experiment
from recsys_lab.run.run_data import RunData

_ITEMS = 40
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
            data = data or RunData(_split(experiment), _catalog())
            part(experiment, data)
            _passed.add(key)


_passed: set[str] = set()


def _parts(configuration: Mapping[str, Any]) -> dict[Part, tuple[str, ...]]:
    """What is built, and the sections that it depends on."""
    parts: dict[Part, tuple[str, ...]] = {
        _build_curve: ("curve", "checkpoint", "monitor", "split.negatives"),
        _call_schedule: ("schedule",),
        _build_trainer: ("trainer", "schedule"),
    }
    if configuration["vectors"] is None:
        parts[_build_model] = (
            "model", "optimizer", "trainer.accelerator", "trainer.precision",
        )  # fmt: skip
    source = section_of(configuration, "data.source") or {}
    if not str(source.get("_target_")).endswith(_FILES):
        parts[_build_data] = ("data", "data.source")
    return parts


def _build_curve(experiment: Experiment, data: RunData) -> None:
    curve = experiment.curve(pairs=data.evaluation_pairs("val"), folder=Path(), seed=0)
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
    net = experiment.model(items=_items(data))
    build_optimizers(experiment.optimizer, net)
    precision = section_of(experiment.configuration, "trainer.precision")
    check_precision(net, FLOAT32 if precision in (None, 32) else precision)


def _build_data(experiment: Experiment, data: RunData) -> None:
    build_data(data, experiment)


def _catalog() -> ItemCatalog:
    """Items without side information."""
    return ItemCatalog(complete_items(pl.Series("item", [f"{n:02d}" for n in range(_ITEMS)])))


def _split(experiment: Experiment) -> Split:
    """A ring of items with chords, of which some are held out."""
    low = np.repeat(np.arange(_ITEMS), 4)
    high = (low + np.tile([1, 2, 5, 9], _ITEMS)) % _ITEMS
    ends = np.unique(np.sort(np.stack([low, high], 1), axis=1), axis=0).astype(np.int32)
    pairs = ItemPairs(ends[:, 0], ends[:, 1], np.ones(len(ends), np.float32), _ITEMS)
    place = np.arange(len(pairs)) % 10
    train, val, test = (pairs.take(mask) for mask in (place > 1, place == 0, place == 1))
    far = np.stack([np.arange(20), np.arange(20) + 20], 1).astype(np.int32)
    protocols: list[str] = list(experiment.split.negatives)
    if "/given/" in experiment.monitor:  # of lists of edges with pairs of their own
        protocols.append("given")
    negatives = dict.fromkeys(protocols, far)
    return Split(train, HeldOut(val, negatives), HeldOut(test, negatives))


def _items(data: RunData) -> Items:
    """Items whose fields have one value each, whatever their names."""
    codes = FieldCodes(
        torch.arange(_ITEMS + 1), torch.zeros(_ITEMS, dtype=torch.int64), cardinality=1
    )
    degrees = np.bincount(data.split.train.ids.ravel(), minlength=_ITEMS)
    assert data.catalog is not None  # noqa: S101 - narrows the type
    return Items(torch.from_numpy(degrees), lambda name: codes, data.catalog.raw_ids)
