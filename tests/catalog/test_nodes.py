"""Nodes beside the items, against counts by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.event_split import EventSplit, split_events
from recsys_lab.catalog.nodes import NodeOptions, Nodes, find_nodes
from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.split import HeldOut, Split
from recsys_lab.evaluation.histories import HistoryWeights
from recsys_lab.evaluation.query_baselines import OPTIONS
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.items import complete_items
from recsys_lab.run.event_run_data import EventRunData
from tests.catalog.test_event_split import ITEMS, OTHERS, options, split_of
from tests.event_cases import Row, log_of, pairs_by

HAND: list[Row] = [("a", 1, 0, 0), ("a", 2, 1, 0), ("a", 3, 2, 0), ("a", 4, 3, 0),
                   ("b", 5, 0, 0), *OTHERS]  # fmt: skip


def catalog() -> ItemCatalog:
    brands = ["hat" if item % 2 else "shoe" for item in range(ITEMS)]
    names = pl.Series("item", [f"{item:02d}" for item in range(ITEMS)])
    return ItemCatalog(complete_items(names).with_columns(brand=pl.Series(brands)))


def nodes_of(split: EventSplit, **chosen: Any) -> Nodes:
    return find_nodes(split, catalog(), NodeOptions(**chosen))


def test_users_and_labels_stand_behind_the_items() -> None:
    """User a trains on items 1 and 2; b and the nine others on one item each, without a pair."""
    split = split_of(log_of(HAND), options("leave_one_out"))
    nodes = nodes_of(split, users=True, labels=["brand"])
    users, brands = nodes.groups
    assert (nodes.num_items, users.first, brands.first, len(nodes)) == (40, 40, 51, 53)
    assert users.names.to_list()[:3] == ["a", "b", "z0"]
    assert users.counts.tolist() == [2, *[1] * 10]
    assert nodes.counts[:40].nonzero()[0].tolist() == [1, 2, 5, *range(20, 29)]
    assert brands.names.to_list() == ["hat", "shoe"]
    assert brands.counts.tolist() == [6, 6]  # 1, 5, 21 .. 27 and 2, 20 .. 28
    assert users.of_events is not None
    assert users.of_events.tolist() == [40 + u for u in split.events.user]
    assert nodes.trained[40:].all()
    assert nodes.trained[:40].tolist() == split.seen.tolist()


def test_the_users_of_sessions() -> None:
    """Two sessions of user a are asked for by the one node of a."""
    rows: list[Row] = [("a", item, item, 0) for item in range(8)]
    log = log_of(rows + OTHERS)
    session = np.array([0, 0, 0, 0, 1, 1, 1, 1, *range(2, 11)], np.int32)
    split = split_events(
        replace(log, session=session), ITEMS, pairs_by("user"),
        options("leave_one_out", "session"),
    )  # fmt: skip
    (users,) = nodes_of(split, users=True).groups
    assert users.of_queries["test"].tolist()[:3] == [40, 40, 41]


def test_held_out_events_count_for_nothing() -> None:
    """What a user does last is another item: nothing of the nodes changes but its own event."""
    before = split_of(log_of(HAND), options("leave_one_out"))
    changed = [(u, 9 if i in (3, 4) else i, t, k) for u, i, t, k in HAND]
    after = split_of(log_of(changed), options("leave_one_out"))
    for first, second in zip(
        nodes_of(before, users=True, labels=["brand"]).groups,
        nodes_of(after, users=True, labels=["brand"]).groups,
        strict=True,
    ):
        assert first.counts.tolist() == second.counts.tolist()


def test_a_query_is_its_own_node() -> None:
    split = split_of(log_of(HAND), options("leave_one_out"))
    nodes = nodes_of(split, users=True)
    data = EventRunData(split, catalog(), HistoryWeights(vector="user"), OPTIONS, nodes)
    weights = data.history_weights("test")
    assert weights.shape == (11, 51)
    np.testing.assert_array_equal(weights.toarray(), np.eye(11, 51, 40))
    pooled = EventRunData(split, catalog(), HistoryWeights(), OPTIONS, nodes)
    assert pooled.history_weights("test").shape == (11, 51)


def test_a_vector_that_is_not_there_is_refused() -> None:
    split = split_of(log_of(HAND), options("leave_one_out"))
    with pytest.raises(CatalogError, match=r"no user has a vector.*set nodes.users=true"):
        EventRunData(split, catalog(), HistoryWeights(vector="user"), OPTIONS, nodes_of(split))


def test_users_need_events_and_labels_a_field() -> None:
    ends = np.arange(6, dtype=np.int32).reshape(3, 2)
    some = HeldOut(ItemPairs(ends[:, 0], ends[:, 1], np.ones(3, np.float32), ITEMS), {})
    split = Split(some.pairs, some, some)
    with pytest.raises(CatalogError, match="users=true needs an event log"):
        find_nodes(split, catalog(), NodeOptions(users=True))
    with pytest.raises(CatalogError, match="no field 'category_7'"):
        find_nodes(split, catalog(), NodeOptions(labels=["category_7"]))
    with pytest.raises(CatalogError, match="labels name 'category', of which no item"):
        find_nodes(split, catalog(), NodeOptions(labels=["category"]))
    (brands,) = find_nodes(split, catalog(), NodeOptions(labels=["brand"])).groups
    assert brands.counts.tolist() == [3, 3]


def test_a_name_that_stands_twice_is_refused() -> None:
    """Labels would have two groups of one name, which nothing tells apart."""
    with pytest.raises(ValueError, match="labels must be a list that names nothing twice"):
        NodeOptions(labels=["brand", "category", "brand"])
    with pytest.raises(ValueError, match="user_types must be a list that names nothing twice"):
        NodeOptions(user_types=["age", "age"])
