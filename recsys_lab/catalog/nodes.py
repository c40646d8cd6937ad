"""What has a vector in a run: the items, and beside them users, types and labels."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
import polars as pl

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.event_parts import TRAIN
from recsys_lab.catalog.event_split import EventSplit, Part
from recsys_lab.catalog.event_types import EventTypes, find_item_types, find_user_types
from recsys_lab.catalog.split import Split
from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count, Distinct, FieldName
from recsys_lab.readers.account import CatalogError

log = logging.getLogger(__name__)

USER, USER_TYPE, ITEM_TYPE = "user", "user_type", "item_type"
_CATEGORY = "category"  # the field of all levels, category_0, category_1, ..


@checked
@dataclass(frozen=True)
class NodeOptions:
    """What has a vector beside the items.

    Attributes:
        users: every user of an event log that is split by its events.
        user_types: rules of types of users (`type_rules.user_rules`), from the coarsest to the
            finest; none: there are no such types.
        item_types: the same of types of items (`type_rules.item_rules`).
        min_events: types of fewer training events lose their last rule.
        labels: fields of the catalogue, such as category, whose values are nodes.
        graph: what graph neural networks propagate over: "items", the training pairs of items;
            "interactions", the training events between items and users; "both" together; "auto",
            interactions where users are nodes, and items elsewhere.
    """

    users: bool = False
    user_types: Annotated[Sequence[str], Distinct()] = ()
    item_types: Annotated[Sequence[str], Distinct()] = ()
    min_events: Count = 10
    labels: Annotated[Sequence[FieldName], Distinct()] = ()
    graph: Literal["auto", "items", "interactions", "both"] = "auto"


@dataclass(frozen=True)
class Group:
    """T nodes of one kind, which stand one behind the other.

    Attributes:
        name: "user", "user_type", "item_type", or the name of a field.
        names: (T,) texts.
        counts: (T,) int64, how often training meets each.
        first: id of the first node; the nodes are first .. first + T - 1.
        of_events: (E,) int32, the node of each event, -1 for none; None where events have none.
        of_users: (U,) int32, the node of each user after the whole log, -1 for none; or None.
        of_queries: by part, (Q,) int32, the node of each query before its targets, -1 for none.
        of_items: (N,) int32, the node of each item after training, -1 for none; or None.
        of_shown: (S,) int32, the node of each item that was shown with a training event, -1 for
            none; or None.
    """

    name: str
    names: pl.Series
    counts: np.ndarray
    first: int
    of_events: np.ndarray | None = None
    of_users: np.ndarray | None = None
    of_queries: Mapping[Part, np.ndarray] = field(default_factory=dict)
    of_items: np.ndarray | None = None
    of_shown: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def rows(self) -> slice:
        """Where the nodes of the group stand among all nodes."""
        return slice(self.first, self.first + len(self))


@dataclass(frozen=True)
class Nodes:
    """All nodes of a run: items first, then group by group.

    Attributes:
        item_counts: (N,) int64, how often training meets each item.
        seen: (N,) bool, items that occur in training.
        groups: the others; there may be none.
        graph: see `NodeOptions`; never "auto".
    """

    item_counts: np.ndarray
    seen: np.ndarray
    groups: tuple[Group, ...] = ()
    graph: str = "items"

    @property
    def with_events(self) -> tuple[Group, ...]:
        """The groups whose nodes have events, such as users."""
        return tuple(group for group in self.groups if group.of_events is not None)

    def __len__(self) -> int:
        return self.num_items + sum(len(group) for group in self.groups)

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.item_counts)

    @cached_property
    def counts(self) -> np.ndarray:
        """(V,) int64, how often training meets each node."""
        return np.concatenate([self.item_counts, *(group.counts for group in self.groups)])

    @cached_property
    def trained(self) -> np.ndarray:
        """(V,) bool, the nodes that training meets."""
        return np.concatenate([self.seen, *(group.counts > 0 for group in self.groups)])

    def group(self, name: str) -> Group:
        """The group of a name.

        Raises:
            CatalogError: there is none.
        """
        for group in self.groups:
            if group.name == name:
                return group
        has = ", ".join(group.name for group in self.groups) or "items alone"
        raise CatalogError(f"no {name} has a vector in this run, which has {has}: {_remedy(name)}")

    @property
    def labels(self) -> tuple[Group, ...]:
        """The groups that are the values of a field."""
        return tuple(group for group in self.groups if group.of_events is None)

    @property
    def hash(self) -> str:
        """What decides the nodes beside the items; empty where there are none."""
        if not self.groups:
            return ""
        digest = hashlib.sha256(self.graph.encode())
        for group in self.groups:
            digest.update(f"{group.name} {len(group)} {group.first}\n".encode())
            digest.update("\n".join(group.names).encode())
            if group.of_events is not None:
                digest.update(np.ascontiguousarray(group.of_events).data)
        return digest.hexdigest()[:16]


def _remedy(name: str) -> str:
    remedies = {
        USER: "set nodes.users=true",
        USER_TYPE: "name rules in nodes.user_types",
        ITEM_TYPE: "name rules in nodes.item_types",
    }
    return remedies.get(name, f"add {name} to nodes.labels")


def holds_labels(field: str, label: str) -> bool:
    """Whether a field of an item holds the labels of another field.

    It is the same field, or both are of categories.
    """
    return field == label or (_CATEGORY in (field, label) and _is_category(field, label))


def _is_category(*names: str) -> bool:
    return all(name == _CATEGORY or name.startswith(f"{_CATEGORY}_") for name in names)


def item_nodes(split: Split | EventSplit) -> Nodes:
    """The items alone."""
    counts = np.bincount(split.train.ids.ravel(), minlength=split.num_items)
    return Nodes(counts, split.seen)


def find_nodes(split: Split | EventSplit, catalog: ItemCatalog, options: NodeOptions) -> Nodes:
    """The nodes that the options name; what they say of users comes from training events alone.

    Raises:
        CatalogError: the split is not one of events, or there is no such field.
    """
    nodes = item_nodes(split)
    groups: list[Group] = []
    asked = {
        "users=true": options.users,
        f"user_types=[{','.join(options.user_types)}]": options.user_types,
        f"item_types=[{','.join(options.item_types)}]": options.item_types,
    }
    if any(asked.values()):
        if not isinstance(split, EventSplit):
            raise CatalogError(
                f"{next(name for name, is_asked in asked.items() if is_asked)} needs an event log "
                "that is split by its events: use catalog=events with split=leave_one_out, "
                "split=time or split=given"
            )
        # An item that is alone in its sessions has no pairs, and users who have it.
        with_events = np.bincount(split.events.item[split.part == TRAIN], minlength=len(nodes))
        met = np.where(nodes.item_counts > 0, nodes.item_counts, with_events)
        nodes = Nodes(met, nodes.seen)
        groups += _groups_of_events(split, catalog, options, len(nodes))
    for name in options.labels:
        first = len(nodes) + sum(map(len, groups))
        groups.append(_label_group(name, catalog, nodes.seen, first))
    if groups:
        said = ", ".join(f"{len(group):,} of {group.name}" for group in groups)
        log.info("nodes beside the %s items: %s", f"{len(nodes):,}", said)
    return _with_graph(Nodes(nodes.item_counts, nodes.seen, tuple(groups)), options)


def _with_graph(nodes: Nodes, options: NodeOptions) -> Nodes:
    if nodes.with_events:
        graph = "interactions" if options.graph == "auto" else options.graph
        return replace(nodes, graph=graph)
    if options.graph in ("interactions", "both"):
        raise CatalogError(
            f"graph={options.graph} needs nodes that have events: set nodes.users=true"
        )
    return nodes


def _groups_of_events(
    split: EventSplit, catalog: ItemCatalog, options: NodeOptions, first: int
) -> list[Group]:
    """Users and types, whose nodes begin at `first`."""
    groups = [_user_group(split, first)] if options.users else []
    for name, find, rules in (
        (USER_TYPE, find_user_types, options.user_types),
        (ITEM_TYPE, find_item_types, options.item_types),
    ):
        if rules:
            types = find(split, catalog, rules, options.min_events)
            groups.append(_type_group(name, types, first + sum(map(len, groups))))
    return groups


def _type_group(name: str, types: EventTypes, first: int) -> Group:
    def nodes(found: np.ndarray) -> np.ndarray:
        return np.where(found >= 0, first + found, -1).astype(np.int32)

    def if_any(found: np.ndarray | None) -> np.ndarray | None:
        return None if found is None else nodes(found)

    return Group(
        name,
        types.names,
        types.counts,
        first,
        of_events=nodes(types.of_events),
        of_users=if_any(types.of_users),
        of_queries={part: nodes(found) for part, found in types.of_queries.items()},
        of_items=if_any(types.of_items),
        of_shown=if_any(types.of_shown),
    )


def _user_group(split: EventSplit, first: int) -> Group:
    events = split.events
    names = events.users["user"]
    counts = np.bincount(events.user[split.part == TRAIN], minlength=len(names))
    begins = np.searchsorted(split.query, np.arange(split.num_queries))
    asking = first + events.user[np.minimum(begins, len(events) - 1)]
    return Group(
        USER,
        names,
        counts,
        first,
        of_events=first + events.user,
        of_users=first + np.arange(len(names), dtype=np.int32),
        of_queries={"val": asking, "test": asking},
    )


def _label_group(name: str, catalog: ItemCatalog, seen: np.ndarray, first: int) -> Group:
    values = catalog.field(name)
    if not values.labels:
        raise CatalogError(f"labels name {name!r}, of which no item of the catalogue has a value")
    has = np.repeat(seen, np.diff(values.offsets))
    counts = np.bincount(values.codes[has], minlength=values.cardinality)
    return Group(name, pl.Series(name, values.labels, dtype=pl.String), counts, first)
