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
from recsys_lab.catalog.type_rules import UserRule, item_rules, user_rules
from recsys_lab.catalog.type_table import TypeTable, type_table

log = logging.getLogger(__name__)


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
    """

    names: pl.Series
    counts: np.ndarray
    of_events: np.ndarray
    of_users: np.ndarray | None = None
    of_queries: Mapping[Part, np.ndarray] = field(default_factory=dict)
    of_items: np.ndarray | None = None


def find_user_types(
    split: EventSplit, catalog: ItemCatalog, rules: Sequence[str], min_events: int
) -> EventTypes:
    """Types of users by rules from the coarsest to the finest.

    The type at a training event comes from the user's training events before it; where the order of
    events says nothing, from all of them. That of a query comes from its history, and where queries
    are sessions also from the training events of its user before it. Types of fewer than
    `min_events` training events lose their last rules (`type_table`).

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
    table = _table("user_types", rules, found, codes, min_events)
    of_queries = {
        part: np.concatenate(
            [table.find(_codes(found, line)[line.ends]) for line in lines(split, part)]
        )
        for part, lines in dict.fromkeys(PARTS, timelines.of_queries).items()
    }
    now = timelines.of_users(split)
    return EventTypes(
        _names("user_type", rules, found, table),
        table.counts,
        _spread(table.find(codes), places, len(split.part)),
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
    found = item_rules(rules, split, catalog)
    places = np.flatnonzero(split.part == TRAIN)
    codes = np.stack([rule.at_training(places) for rule in found.values()], axis=1)
    table = _table("item_types", rules, found, codes, min_events)
    now = np.stack([rule.of_items() for rule in found.values()], axis=1)
    return EventTypes(
        _names("item_type", rules, found, table),
        table.counts,
        _spread(table.find(codes), places, len(split.part)),
        of_items=table.find(now),
    )


def _codes(rules: Mapping[str, UserRule], line: Timeline) -> np.ndarray:
    """What rules say at each entry, (n, R)."""
    return np.stack([rule.codes(line) for rule in rules.values()], axis=1)


def _table(
    argument: str, rules: Sequence[str], found: Mapping, codes: np.ndarray, min_events: int
) -> TypeTable:
    table = type_table(codes, [len(rule.labels) for rule in found.values()], min_events)
    log.info(
        "%s by %s: %s types of at least %s training events; of %s events %s have a coarser type "
        "and %s none",
        argument, ", ".join(rules), f"{len(table.counts):,}", min_events, f"{len(codes):,}",
        f"{table.num_coarser:,}", f"{table.num_without:,}",
    )  # fmt: skip
    return table


def _names(name: str, rules: Sequence[str], found: Mapping, table: TypeTable) -> pl.Series:
    labels = [rule.labels for rule in found.values()]
    return pl.Series(name, table.names(list(found), labels), dtype=pl.String)


def _spread(types: np.ndarray, places: np.ndarray, num_events: int) -> np.ndarray:
    found = np.full(num_events, -1, np.int32)
    found[places] = types
    return found
