"""Types of users and of items at each event of a log.

Grbovic and Cheng, "Real-time Personalization using Embeddings for Search Ranking at Airbnb" (KDD
2018), section 3.2: a single user does too little for a vector of their own. A type is a tuple of
what rules say, such as `age=35-44 | num_events=10-99`. It is of a moment: behaviour is what was
before an event, so that a user goes from type to type.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from recsys_lab.catalog import timelines
from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.event_parts import TRAIN
from recsys_lab.catalog.event_split import PARTS, EventSplit, Part
from recsys_lab.catalog.timelines import Timeline
from recsys_lab.catalog.type_rules import ItemRule, UserRule, item_rules, user_rules
from recsys_lab.catalog.type_table import TypeTable, type_table
from recsys_lab.readers.account import CatalogError

log = logging.getLogger(__name__)

Rule = UserRule | ItemRule


@dataclass(frozen=True)
class EventTypes:
    """T types of users, or of items, numbered from 0; -1 is none.

    Attributes:
        names: (T,) texts.
        counts: (T,) int64 training events of each.
        of_events: (E,) int32, before each training event; -1 of held-out events.
        of_users: (U,) int32 of users after the whole log; None of items.
        of_queries: of users by part, (Q,) int32, given the history of that part.
        of_items: (N,) int32 of items after all training events; None of users.
        of_shown: (S,) int32 of the items shown with training events, before each, -1 of others;
            None of users, and where the log does not say what was shown.
    """

    names: pl.Series
    counts: np.ndarray
    of_events: np.ndarray
    of_users: np.ndarray | None = None
    of_queries: Mapping[Part, np.ndarray] = field(default_factory=dict)
    of_items: np.ndarray | None = None
    of_shown: np.ndarray | None = None


def find_user_types(
    split: EventSplit, catalog: ItemCatalog, rules: Sequence[str], min_events: int
) -> EventTypes:
    """Types of users by rules from the coarsest to the finest.

    The type at a training event comes from the user's training events before it; where the order of
    events says nothing, from all of them. That of a query comes from its history, and where queries
    are sessions also from the training events of its user before it. What has fewer than
    `min_events` training events is no type of its own (`type_table`).

    Raises:
        CatalogError: there is no such rule.
    """
    found = user_rules(rules, split, catalog)
    is_train = split.part == TRAIN
    places = np.flatnonzero(is_train)
    if split.ordered:
        codes = _codes(found, timelines.of_training(split))
    else:
        line = timelines.of_users(split, is_train)
        codes = _codes(found, line)[line.ends][split.events.user[places]]
    table, types = _table("user_types", found, codes, min_events)
    of_queries = {
        part: np.concatenate(
            [table.find(_codes(found, x)[x.ends]) for x in timelines.of_queries(split, part)]
        )
        for part in PARTS
    }
    now = timelines.of_users(split)
    return EventTypes(
        _names("user_type", found, table),
        _counts(types, table),
        _spread(types, places, len(split.part)),
        of_users=table.find(_codes(found, now)[now.ends]),
        of_queries=of_queries,
    )


def find_item_types(
    split: EventSplit, catalog: ItemCatalog, rules: Sequence[str], min_events: int
) -> EventTypes:
    """Types of items, likewise; what happens to an item counts in training alone.

    Raises:
        CatalogError: there is no such rule.
    """
    found, events = item_rules(rules, split, catalog), split.events
    places = np.flatnonzero(split.part == TRAIN)

    def codes(items: np.ndarray, places: np.ndarray | None) -> np.ndarray:
        return np.stack([rule.codes(items, places) for rule in found.values()], axis=1)

    table, types = _table("item_types", found, codes(events.item[places], places), min_events)
    of_shown = None
    if events.shown is not None and events.shown_offsets is not None:
        shown_with = np.repeat(np.arange(len(events)), np.diff(events.shown_offsets))
        rows = np.flatnonzero(split.part[shown_with] == TRAIN)
        shown = table.find(codes(events.shown[rows], shown_with[rows]))
        of_shown = _spread(shown, rows, len(shown_with))
    return EventTypes(
        _names("item_type", found, table),
        _counts(types, table),
        _spread(types, places, len(split.part)),
        of_items=table.find(codes(np.arange(split.num_items), None)),
        of_shown=of_shown,
    )


def _codes(rules: Mapping[str, UserRule], line: Timeline) -> np.ndarray:
    """What rules say at each entry, (n, R)."""
    return np.stack([rule.codes(line) for rule in rules.values()], axis=1)


def _table(
    argument: str, found: Mapping[str, Rule], codes: np.ndarray, min_events: int
) -> tuple[TypeTable, np.ndarray]:
    """The types, and those of training events with codes (n, R), (n,)."""
    table = type_table(codes, [len(rule.labels) for rule in found.values()], min_events)
    if not len(table.tuples):
        raise CatalogError(
            f"no type of {argument}=[{','.join(found)}] has min_events={min_events} training "
            "events: lower it, or name fewer rules"
        )
    types = table.find(codes)
    differs = (types >= 0) & (table.tuples[types] != codes).any(axis=1)
    log.info(
        "%s by %s: %s types of at least %s training events; of %s training events %s are too rare "
        "and have a coarser type or a similar one, and %s have none",
        argument, ", ".join(found), f"{len(table.tuples):,}", min_events, f"{len(codes):,}",
        f"{int(differs.sum()):,}", f"{int((types < 0).sum()):,}",
    )  # fmt: skip
    return table, types


def _names(name: str, found: Mapping[str, Rule], table: TypeTable) -> pl.Series:
    labels = [rule.labels for rule in found.values()]
    return pl.Series(name, table.names(list(found), labels), dtype=pl.String)


def _counts(types: np.ndarray, table: TypeTable) -> np.ndarray:
    return np.bincount(types[types >= 0], minlength=len(table.tuples))


def _spread(types: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    found = np.full(size, -1, np.int32)
    found[places] = types
    return found
