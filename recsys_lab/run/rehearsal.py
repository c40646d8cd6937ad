"""The parts of an experiment built once on forty items, so that a mistake shows before any reading.

Ranges are checked where the values are used; on a large catalogue that is after minutes.
"""

from collections.abc import Mapping
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
from recsys_lab.readers.items import complete_items
from recsys_lab.run.fitting import Experiment, build_data, check_monitor
from recsys_lab.run.run_data import RunData

_ITEMS = 40
_OWN = "recsys_lab."  # targets that are known to make do with few items
_FILES = ("sequence_file", "stored_walks")  # sources that look into a file of the real catalogue


def rehearse(experiment: Experiment, configuration: Mapping[str, Any]) -> None:
    """Build model, optimiser, schedule, data module, curve and trainer on a few items.

    Targets of plugins are left out, as are those that read files of the catalogue.

    Raises:
        ValueError: a value cannot be used; the message names the argument.
    """
    targets = {
        name: str((section_of(configuration, name) or {}).get("_target_", _OWN))
        for name in ("model", "data", "data.source", "schedule", "curve")
    }
    if any(not target.startswith(_OWN) for target in targets.values()):
        return
    data = RunData(_split(experiment), _catalog())
    curve = experiment.curve(pairs=data.evaluation_pairs("val"), folder=Path(), seed=0)
    check_monitor(experiment.monitor, curve)
    experiment.checkpoint(folder=Path(), monitor=experiment.monitor)
    for progress in (0.0, 0.5, 1.0):
        experiment.schedule(progress, progress)
    trainer = experiment.trainer(
        callbacks=[], logger=False, plugins=[], default_root_dir=Path(), enable_checkpointing=False
    )
    if trainer.gradient_clip_val is not None:
        raise ValueError(
            f"gradient_clip_val is not supported, got {trainer.gradient_clip_val}: the rows of a "
            "batch are updated in place; lower lr= instead"
        )
    if configuration["vectors"] is None:
        net = experiment.model(items=_items(data))
        build_optimizers(experiment.optimizer, net)
    if not targets["data.source"].endswith(_FILES):
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
