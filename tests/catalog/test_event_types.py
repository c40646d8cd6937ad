"""Types of users and items against plain loops over the events before, and what they never see."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.catalog import timelines
from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.event_split import PARTS, EventSplit, EventSplitOptions, split_events
from recsys_lab.catalog.event_types import find_item_types, find_user_types
from recsys_lab.catalog.nodes import NodeOptions, find_nodes
from recsys_lab.catalog.type_table import type_table
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.records import Events
from tests.event_cases import log_of, pairs_by, random_rows

NUM_ITEMS = 40
USER_RULES = ["age", "num_events", "num_sessions", "days_active", "last_brand", "median_price"]
ITEM_RULES = ["brand", "popularity"]
COLORS = ["blue", "green", "red", None]


@cache
def catalog() -> ItemCatalog:
    prices = [None if k % 7 == 3 else float(1 + k % 10) for k in range(NUM_ITEMS)]
    return ItemCatalog(
        pl.DataFrame(
            {
                "item": [f"i{k:02d}" for k in range(NUM_ITEMS)],
                "title": [None] * NUM_ITEMS,
                "brand": [COLORS[k % 4] for k in range(NUM_ITEMS)],
                "categories": [[["a"], ["b"]][k % 2 : k % 2 + 1] for k in range(NUM_ITEMS)],
                "price": prices,
            },
            schema_overrides={"title": pl.String},
        )
    )


def events_of(rows: list, **options: Any) -> Events:
    events = log_of(rows, **options)
    ages = [["old", None, "young"][k % 3] for k in range(events.users.height)]
    days = None if events.time is None else events.time * 20_000  # a log of some weeks
    return replace(events, users=events.users.with_columns(age=pl.Series(ages)), time=days)


def split_of(events: Events, by: str = "leave_one_out", query: str = "user") -> EventSplit:
    shares = {"val_fraction": 0.15, "test_fraction": 0.15} if by == "time" else {}
    if by == "given":
        shares = {"val_fraction": 0.2}
    options = EventSplitOptions(by, query, None, False, ["uniform"], 0, **shares)
    return split_events(events, NUM_ITEMS, pairs_by("user"), options)


def power(count: int) -> str:
    return "0" if count == 0 else f"{10 ** (len(str(count)) - 1)}-{10 ** len(str(count)) - 1}"


@cache
def facts() -> tuple[list, list, np.ndarray]:
    """Brands and prices of the items, and the edges of the bins of prices."""
    items = catalog()
    return items.items["brand"].to_list(), items.items["price"].to_list(), items.price_edges()


def said_of_user(split: EventSplit, user: int, known: list[int]) -> list:
    """What the rules say after some events, by their labels."""
    events = split.events
    brands, item_prices, edges = facts()
    prices = sorted(price for k in known if (price := item_prices[int(events.item[k])]) is not None)
    median = None
    if prices:
        value = prices[(len(prices) - 1) // 2]
        place = min(int(np.searchsorted(edges, value, side="right")) - 1, len(edges) - 2)
        median = f"{edges[place]:g} to {edges[place + 1]:g}"
    last = brands[int(events.item[known[-1]])] if known else None
    return [
        events.users["age"][user],
        power(len(known)),
        power(len({int(events.session[k]) for k in known})),
        power(len({int(events.time[k] // 86_400) for k in known})),
        last,
        median,
    ]


def as_name(rules: list[str], said: list) -> str:
    return " | ".join(
        f"{r}={'unknown' if x is None else x}" for r, x in zip(rules, said, strict=True)
    )


def make(seed: int, by: str, query: str) -> EventSplit | None:
    try:
        return split_of(events_of(random_rows(seed, users=6, count=80)), by, query)
    except CatalogError:  # too few events for a part
        return None


CASES = {
    "seed": st.integers(0, 10_000),
    "by": st.sampled_from(["time", "leave_one_out"]),
    "query": st.sampled_from(["user", "session"]),
}


@given(**CASES)
@settings(max_examples=12, deadline=None)
def test_types_of_users_against_a_loop(seed: int, by: str, query: str) -> None:
    split = make(seed, by, query)
    if split is None:
        return
    events = split.events
    types = find_user_types(split, catalog(), USER_RULES, 1)
    names = types.names.to_list()
    everything = range(len(events))
    for e in everything:
        if split.part[e] != 0:
            assert types.of_events[e] == -1
            continue
        known = [
            k for k in everything[:e] if events.user[k] == events.user[e] and split.part[k] == 0
        ]
        said = said_of_user(split, int(events.user[e]), known)
        assert names[int(types.of_events[e])] == as_name(USER_RULES, said)
    assert types.counts.sum() == (split.part == 0).sum()
    for part, held in PARTS.items():
        for q in range(split.num_queries):
            own = np.flatnonzero(split.query == q)
            targets = [k for k in own if split.is_target[k] and split.part[k] == held]
            limit = targets[0] if targets else own[-1] + 1
            user = int(events.user[own[0]])
            known = [
                k for k in everything[:limit]
                if events.user[k] == user
                and (split.part[k] == 0 or (split.query[k] == q and split.in_history[part][k]))
            ]  # fmt: skip
            said = as_name(USER_RULES, said_of_user(split, user, known))
            found = int(types.of_queries[part][q])
            if said in names:
                assert names[found] == said
            else:  # the rules agree up to one of them, or there is no such user in training
                first = said.split(" | ")[0]
                assert (found < 0) or names[found].startswith(first)
    for user in range(events.users.height):
        known = [k for k in everything if events.user[k] == user]
        said = as_name(USER_RULES, said_of_user(split, user, known))
        if said in names:
            assert names[int(types.of_users[user])] == said


@given(**CASES)
@settings(max_examples=12, deadline=None)
def test_types_of_items_against_a_loop(seed: int, by: str, query: str) -> None:
    split = make(seed, by, query)
    if split is None:
        return
    events, rng = split.events, np.random.default_rng(seed)
    sizes = rng.integers(3, size=len(events))
    shown = rng.integers(NUM_ITEMS, size=sizes.sum(), dtype=np.int32)
    split = replace(
        split, events=replace(events, shown_offsets=np.append(0, np.cumsum(sizes)), shown=shown)
    )
    types = find_item_types(split, catalog(), ITEM_RULES, 1)
    names = types.names.to_list()
    train = [k for k in range(len(events)) if split.part[k] == 0]

    def said(item: int, time: float) -> str:
        before = sum(events.item[k] == item and events.time[k] < time for k in train)
        return as_name(ITEM_RULES, [facts()[0][int(item)], power(before)])

    def holds(found: int, wanted: str) -> bool:
        if wanted in names:
            return names[found] == wanted
        return found < 0 or names[found].startswith(wanted.split(" | ")[0])

    for e in range(len(events)):
        own = range(sizes[:e].sum(), sizes[: e + 1].sum())
        if split.part[e] != 0:
            assert types.of_events[e] == -1
            assert all(types.of_shown[k] == -1 for k in own)
        else:
            assert names[int(types.of_events[e])] == said(events.item[e], events.time[e])
            for k in own:
                assert holds(int(types.of_shown[k]), said(int(shown[k]), events.time[e]))
    assert all(holds(int(types.of_items[i]), said(i, np.inf)) for i in range(NUM_ITEMS))


@given(**CASES)
@settings(max_examples=12, deadline=None)
def test_held_out_events_change_nothing_in_training(seed: int, by: str, query: str) -> None:
    """Other items in held-out events leave names, counts and types of events as they are."""
    split = make(seed, by, query)
    if split is None:
        return
    items = split.events.item.copy()
    held = split.part != 0
    items[held] = np.random.default_rng(seed).integers(NUM_ITEMS, size=held.sum())
    other = replace(split, events=replace(split.events, item=items))
    options = NodeOptions(user_types=USER_RULES, item_types=ITEM_RULES, min_events=2)
    one, two = (find_nodes(x, catalog(), options) for x in (split, other))
    assert one.hash == two.hash
    assert one.counts.tolist() == two.counts.tolist()


@given(seed=st.integers(0, 10_000), query=st.sampled_from(["user", "session"]))
@settings(max_examples=12, deadline=None)
def test_what_comes_later_does_not_change_a_type(seed: int, query: str) -> None:
    """The training events of a user after one of them are taken away."""
    split = make(seed, "leave_one_out", query)
    if split is None:
        return
    rng = np.random.default_rng(seed)
    event = int(rng.choice(np.flatnonzero(split.part == 0)))
    later = (np.arange(len(split.events)) > event) & (split.events.time > split.events.time[event])
    later |= (split.events.user == split.events.user[event]) & (np.arange(len(later)) > event)
    other = replace(split, part=np.where(later & (split.part == 0), -1, split.part).astype(np.int8))
    for find, rules in ((find_user_types, USER_RULES), (find_item_types, ITEM_RULES)):
        one, two = (find(x, catalog(), rules, 1) for x in (split, other))
        assert one.names[int(one.of_events[event])] == two.names[int(two.of_events[event])]


def test_three_items_by_hand() -> None:
    rows = [("a", 0, 0, 0), ("a", 1, 1, 0), ("a", 2, 2, 0), ("a", 0, 3, 0), ("a", 1, 4, 0),
            ("b", 2, 0.5, 0), ("b", 0, 1.5, 0), ("b", 1, 2.5, 0), ("b", 2, 3.5, 0)]  # fmt: skip
    others = [("z", item, item, 0) for item in range(9, 14)]
    split = split_of(events_of(rows + others))  # the last two of each are held out
    types = find_user_types(split, catalog(), ["last_brand", "num_events"], 1)
    names = [types.names[t] if t >= 0 else None for t in types.of_events[:9].tolist()]
    begin = "last_brand=unknown | num_events=0"
    assert names == [begin, "last_brand=blue | num_events=1-9", "last_brand=green | num_events=1-9",
                     None, None, begin, "last_brand=red | num_events=1-9", None, None]  # fmt: skip
    items = find_item_types(split, catalog(), ["popularity"], 1)
    found = [items.names[t] if t >= 0 else None for t in items.of_events[:9].tolist()]
    none, some = "popularity=0", "popularity=1-9"
    assert found == [none, none, some, None, None, none, some, None, None]


def test_rare_types_fall_back() -> None:
    """Two rules with codes of two and three values; types need three entries."""
    codes = np.array([[0, 0]] * 3 + [[0, 1], [0, 2]] + [[1, 0], [1, 1], [1, 2]] + [[2, 2]] * 2)
    table = type_table(codes, [3, 3], 3)
    assert table.tuples.tolist() == [[0, 0], [1, -2]]
    assert table.names(["x", "y"], [["p", "q", "r"], ["s", "t", "u"]]) == ["x=p | y=s", "x=q"]
    assert table.find(codes).tolist() == [0] * 5 + [1] * 3 + [-1] * 2
    assert table.find(np.array([[0, -1], [1, -1], [-1, 0]])).tolist() == [0, 1, -1]


def test_an_entry_of_which_nothing_is_known_has_no_type() -> None:
    table = type_table(np.array([[-1, -1]] * 5 + [[-1, 0]] * 5), [2, 1], 3)
    assert table.find(np.array([[-1, -1], [-1, 0]])).tolist() == [-1, 0]


def test_sets_have_the_type_of_all_their_training_events() -> None:
    rows = [("a", k % 9, 0, 0) for k in range(12)] + [("b", 20 + k, 0, 0) for k in range(5)]
    parts = [0] * 10 + [2] * 2 + [0] * 4 + [2]
    split = split_of(events_of(rows, times=False, parts=parts), "given")
    types = find_user_types(split, catalog(), ["num_events"], 1)
    for user in (0, 1):
        own = (split.events.user == user) & (split.part == 0)
        name = f"num_events={power(int(own.sum()))}"
        assert {types.names[t] for t in types.of_events[own].tolist()} == {name}


def test_queries_in_pieces_are_those_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    split = make(3, "time", "session")
    assert split is not None
    whole = find_user_types(split, catalog(), USER_RULES, 2).of_queries
    monkeypatch.setattr(timelines, "_MOST_ENTRIES", 7)
    pieces = find_user_types(split, catalog(), USER_RULES, 2).of_queries
    assert len([*timelines.of_queries(split, "test")]) > 3
    assert {part: x.tolist() for part, x in whole.items()} == {
        part: x.tolist() for part, x in pieces.items()
    }


def test_a_typo_lists_the_rules() -> None:
    split = split_of(events_of(random_rows(1)))
    with pytest.raises(CatalogError, match=r"user_types names the rule 'agee' \(did you mean age"):
        find_user_types(split, catalog(), ["agee"], 1)
    with pytest.raises(CatalogError, match="the rules are brand, category, category_0, price, pop"):
        find_item_types(split, catalog(), ["colour"], 1)
    with pytest.raises(CatalogError, match="has min_events=1000 training events: lower it"):
        find_item_types(split, catalog(), ["brand"], 1000)
