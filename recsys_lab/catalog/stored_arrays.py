"""Pairs, splits and events as named arrays, which is how prepared folders hold them."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys_lab.catalog.event_split import EventSplit, Part
from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.split import HeldOut, Split
from recsys_lab.readers.records import Events, LabelledPairs

Arrays = dict[str, np.ndarray]
_PAIR_FIELDS = ("heads", "tails", "weights")
_HELD: tuple[Part, Part] = ("val", "test")
_FACTS = ("num_queries", "filter_history", "ordered", "account")  # of a split of events
_NO_ARRAYS = ("users", "kind_names")  # fields of events that are stored in another way


def load_arrays(path: Path) -> Arrays:
    """The arrays of a file of numpy."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def pair_arrays(pairs: ItemPairs, name: str) -> Arrays:
    """Arrays of pairs, under a name."""
    return {f"{name}/{field}": getattr(pairs, field) for field in _PAIR_FIELDS}


def read_pairs(arrays: Arrays, name: str, num_items: int) -> ItemPairs:
    """The pairs that are stored under a name."""
    heads, tails, weights = (arrays[f"{name}/{field}"] for field in _PAIR_FIELDS)
    return ItemPairs(heads, tails, weights, num_items)


def labelled_arrays(given: dict[str, LabelledPairs]) -> Arrays:
    """Arrays of the evaluation pairs that came with a catalogue."""
    return {
        f"{name}/{field}": value
        for name, labelled in given.items()
        for field, value in vars(labelled).items()
    }


def holds_labelled(path: Path) -> bool:
    """Whether a file of pairs holds evaluation pairs that came with the catalogue, too."""
    with np.load(path, allow_pickle=False) as archive:
        return any(f"{part}/heads" in archive.files for part in _HELD)


def read_labelled(arrays: Arrays) -> dict[str, LabelledPairs]:
    """The evaluation pairs that came with a catalogue, by part."""
    names = ("heads", "tails", "labels")
    return {
        part: LabelledPairs(*(arrays[f"{part}/{name}"] for name in names))
        for part in _HELD
        if f"{part}/heads" in arrays
    }


def split_arrays(split: Split | EventSplit) -> Arrays:
    """Arrays of a split; of one of events, without the events themselves."""
    arrays = pair_arrays(split.train, "train")
    if isinstance(split, EventSplit):
        arrays |= {name: getattr(split, name) for name in ("query", "part", "is_target")}
        arrays |= {f"{name}/in_history": split.in_history[name] for name in _HELD}
        negatives = split.negatives
    else:
        arrays |= pair_arrays(split.val.pairs, "val") | pair_arrays(split.test.pairs, "test")
        negatives = {"val": split.val.negatives, "test": split.test.negatives}
    for name, drawn in negatives.items():
        arrays |= {f"{name}/negatives/{protocol}": ids for protocol, ids in drawn.items()}
    return arrays


def read_split(arrays: Arrays, num_items: int) -> Split:
    """The split of pairs that is stored."""
    held = {
        name: HeldOut(read_pairs(arrays, name, num_items), _negatives(arrays, name))
        for name in _HELD
    }
    return Split(read_pairs(arrays, "train", num_items), held["val"], held["test"])


def event_split_facts(split: EventSplit) -> dict[str, Any]:
    """What of a split of events is no array, as JSON values."""
    return {name: getattr(split, name) for name in _FACTS}


def read_event_split(
    arrays: Arrays, facts: dict[str, Any], events: Events, num_items: int
) -> EventSplit:
    """The split of events that is stored."""
    return EventSplit(
        events=events,
        query=arrays["query"],
        part=arrays["part"],
        is_target=arrays["is_target"],
        in_history={name: arrays[f"{name}/in_history"] for name in _HELD},
        train=read_pairs(arrays, "train", num_items),
        negatives={name: _negatives(arrays, name) for name in _HELD},
        **{name: facts[name] for name in _FACTS},
    )


def _negatives(arrays: Arrays, part: str) -> Arrays:
    prefix = f"{part}/negatives/"
    return {
        name.removeprefix(prefix): ids for name, ids in arrays.items() if name.startswith(prefix)
    }


def event_arrays(events: Events) -> Arrays:
    """Arrays of events, without what the log does not have."""
    named = {field.name: getattr(events, field.name) for field in fields(events)}
    return {n: array for n, array in named.items() if n not in _NO_ARRAYS and array is not None}


def read_events(arrays: Arrays, users: pl.DataFrame, kind_names: list[str]) -> Events:
    """The events that are stored."""
    return Events(users=users, kind_names=tuple(kind_names), **{"time": None, **arrays})  # type: ignore[arg-type]
