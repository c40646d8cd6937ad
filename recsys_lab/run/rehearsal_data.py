"""Forty items, their pairs and their events, on which a run is rehearsed."""

from dataclasses import replace

import numpy as np
import polars as pl
import torch

from recsys_lab.catalog.catalog import Field, ItemCatalog
from recsys_lab.catalog.event_split import EventSplit, EventSplitOptions, split_events
from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.split import HeldOut, Split
from recsys_lab.config.configuration import section_of
from recsys_lab.data.batch import FieldCodes, Items
from recsys_lab.readers.items import complete_items
from recsys_lab.readers.pair_options import PairOptions
from recsys_lab.readers.records import Events
from recsys_lab.run.parts import Experiment
from recsys_lab.run.run_data import RunData, neighbours_in, node_graph

_ITEMS = 40
_USERS, _EVENTS_OF_USER = 20, 6


class _FewItems(ItemCatalog):
    def field(self, name: str, *, price_bins: int = 1) -> Field:
        """One value for each item, whatever the field."""
        return Field(name, ["any"], np.arange(_ITEMS + 1), np.zeros(_ITEMS, np.int32))


def few_items() -> ItemCatalog:
    """Items whose fields have one value."""
    return _FewItems(complete_items(pl.Series("item", [f"{n:02d}" for n in range(_ITEMS)])))


def few_items_split(experiment: Experiment) -> Split | EventSplit:
    """A ring of items with chords, of which some are held out; or a split of events."""
    if isinstance(experiment.split, EventSplitOptions):
        source = section_of(experiment.configuration, "data.source") or {}
        return _few_events_split(experiment.split, tuple(source.get("goal_kinds") or ("event",)))
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


def _few_events_split(options: EventSplitOptions, kinds: tuple[str, ...]) -> EventSplit:
    """Users who each step from item to item, the last steps held out; all of the first kind."""
    user = np.repeat(np.arange(_USERS), _EVENTS_OF_USER)
    step = np.tile(np.arange(_EVENTS_OF_USER), _USERS)
    events = Events(
        users=pl.DataFrame({"user": [f"{n:02d}" for n in range(_USERS)]}),
        user=user.astype(np.int32),
        item=((7 * user + 3 * step) % _ITEMS).astype(np.int32),
        session=user.astype(np.int32),
        time=step.astype(np.float64),
        kind=np.zeros(len(user), np.uint8),
        kind_names=kinds,
        weight=np.ones(len(user), np.float32),
        shown_offsets=np.arange(len(user) + 1),
        shown=(np.arange(len(user)) % _ITEMS).astype(np.int32),
    )
    plain = replace(
        options, by="leave_one_out", targets=None, val_fraction=None, test_fraction=None
    )
    pairs = PairOptions(by="session", window=5, max_distance=200)
    return split_events(events, _ITEMS, pairs, plain)


def known_few_items(data: RunData) -> Items:
    """Items whose fields have one value each, whatever their names."""
    offsets = torch.arange(len(data.nodes) + 1).clamp_max(_ITEMS)
    codes = FieldCodes(offsets, torch.zeros(_ITEMS, dtype=torch.int64), cardinality=1)
    assert data.catalog is not None  # noqa: S101 - narrows the type
    return Items(
        torch.from_numpy(data.nodes.counts),
        lambda name: codes,
        data.catalog.raw_ids,
        *neighbours_in(lambda: node_graph(data.split, data.nodes)),
        group_firsts=tuple(group.first for group in data.nodes.groups),
    )
