from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recsys_lab.catalog.cooccurrence import cooccurrence_pairs
from recsys_lab.catalog.event_split import PARTS, EventSplit, EventSplitOptions, split_events
from recsys_lab.catalog.query_negatives import uniform_query_negatives
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.records import Events
from tests.event_cases import Row, log_of, pairs_by, random_rows

ITEMS = 40
OTHERS: list[Row] = [(f"z{k}", 20 + k, 0, 0) for k in range(9)]  # give negatives, and no target
BY_USER = pairs_by("user")


def options(by: str, query: str = "user", **changes: Any) -> EventSplitOptions:
    shares = {"time": {"val_fraction": 0.2, "test_fraction": 0.2}, "given": {"val_fraction": 0.3}}
    values = {"targets": None, "filter_history": False, "negatives": ["uniform"], "seed": 0}
    return EventSplitOptions(by, query, **(values | shares.get(by, {}) | changes))


def split_of(events: Events, chosen: EventSplitOptions) -> EventSplit:
    return split_events(events, ITEMS, BY_USER, chosen)


def items_of(split: EventSplit, part: str, query: int) -> list[int]:
    offsets, places = split.histories(part)
    return split.events.item[places[offsets[query] : offsets[query + 1]]].tolist()


def test_leave_one_out_by_hand() -> None:
    """User a has four events out of order, b two of one moment, c one."""
    rows = [("a", 4, 30, 0), ("a", 1, 0, 0), ("b", 8, 5, 0), ("b", 9, 5, 0), ("a", 3, 20, 0),
            ("c", 7, 0, 0), ("a", 2, 10, 0)]  # fmt: skip
    split = split_of(log_of(rows), options("leave_one_out"))
    assert split.part.tolist() == [0, 0, 1, 2, 0, 2, 0]
    assert split.targets("val").tolist() == [[0, 3]]
    assert split.targets("test").tolist() == [[0, 4], [1, 9]]
    assert [items_of(split, "val", q) for q in range(3)] == [[1, 2], [8], [7]]
    assert [items_of(split, "test", q) for q in range(3)] == [[1, 2, 3], [8], [7]]
    assert split.train.ids.tolist() == [[1, 2]]
    assert np.flatnonzero(split.seen).tolist() == [1, 2, 7, 8]
    assert split.account.startswith(
        "split by leave_one_out: 4 training events, 1 training pairs, 1 val targets of 1 users, "
        "2 test targets of 2 users out of 3; left out 0 targets of users without a history"
    )


def test_only_some_kinds_are_held_out() -> None:
    """View 1, buy 2, view 3, buy 4, view 5: what follows the last purchase is left out."""
    rows = [("a", k, k, int(k % 2 == 0)) for k in range(1, 6)]
    rows += [("b", k, k, 0) for k in range(6, 9)]
    split = split_of(log_of(rows), options("leave_one_out", targets=["buy"]))
    assert split.part.tolist() == [0, 1, 1, 2, -1, 0, 0, 0]
    assert split.targets("val").tolist() == [[0, 2]]
    assert split.targets("test").tolist() == [[0, 4]]
    assert items_of(split, "val", 0) == [1]
    assert items_of(split, "test", 0) == [1, 2, 3]


def test_sessions_are_cut_whole_in_time() -> None:
    """Four sessions of one user; of a session that is held out the last target counts."""
    ends = {0: 4, 100: 2, 200: 4, 300: 3}
    rows = [("a", s // 10 + k, s + k, 0) for s, n in ends.items() for k in range(n)]
    split = split_of(log_of(rows), options("time", "session", val_fraction=0.3, test_fraction=0.2))
    assert split.num_queries == 4
    assert split.part.tolist() == [0] * 6 + [1] * 4 + [2] * 3
    assert split.targets("val").tolist() == [[2, 23]]
    assert split.targets("test").tolist() == [[3, 32]]
    assert items_of(split, "val", 2) == [20, 21, 22]
    assert items_of(split, "test", 3) == [30, 31]


def test_no_training_session_reaches_beyond_the_cut() -> None:
    """The cut is at 7, the time of b's purchase; a bought at 0 and went on viewing until 9."""
    rows = [("a", 1, 0, 0), ("a", 2, 1, 1), ("a", 3, 5, 0), ("a", 4, 9, 0)]
    rows += [("b", 5, 6, 0), ("b", 6, 7, 1), ("c", 7, 7, 0), ("c", 8, 8, 1)]
    chosen = options("time", "session", targets=["buy"], val_fraction=0.25, test_fraction=0.25)
    split = split_of(log_of(rows), chosen)
    assert split.part.tolist() == [0, 0, 0, -1, 1, 1, 2, 2]
    assert split.targets("val").tolist() == [[1, 6]]
    assert split.targets("test").tolist() == [[2, 8]]


def test_repeats_are_no_targets_where_the_history_is_filtered() -> None:
    rows = [("a", i, k, 0) for k, i in enumerate([1, 2, 3, 1])]
    rows += [("b", i, k, 0) for k, i in enumerate([1, 2, 3, 4])]
    events = log_of(rows + OTHERS)
    both = split_of(events, options("leave_one_out"))
    filtered = split_of(events, options("leave_one_out", filter_history=True))
    assert both.targets("test").tolist() == [[0, 1], [1, 4]]
    assert filtered.targets("test").tolist() == [[1, 4]]
    assert filtered.account.endswith("and 1 that stand in the history")


def test_given_parts_without_times() -> None:
    """Sets of items: a share of each training set becomes validation, one item stays."""
    rows = [(f"u{u}", 10 * u + k, 0, 0) for u in range(4) for k in range(10)]
    rows += [("u4", 5, 0, 0), ("u4", 6, 0, 0)]
    given_parts = [int(item % 10 >= 8) * 2 for _, item, *_ in rows[:-2]] + [0, 2]
    split = split_of(log_of(rows, times=False, parts=given_parts), options("given"))
    assert split.targets("test").tolist() == [
        *([u, 10 * u + k] for u in range(4) for k in (8, 9)), [4, 6]
    ]  # fmt: skip
    counts = np.bincount(split.targets("val")[:, 0], minlength=5)
    assert set(counts[:4].tolist()) <= {2, 3}  # of eight
    assert counts[4] == 0
    for user in range(4):
        train = split.events.item[(split.part == 0) & (split.query == user)].tolist()
        assert items_of(split, "val", user) == train
        assert items_of(split, "test", user) == list(range(10 * user, 10 * user + 8))
    assert not np.array_equal(split.part, split_of(split.events, options("given", seed=1)).part)
    most = split_of(split.events, options("given", val_fraction=0.8))
    assert set(most.query[most.part == 0].tolist()) == set(range(5))


def test_given_validation_is_taken_as_it_is() -> None:
    rows: list[Row] = [("a", k, k, 0) for k in range(5)]
    split = split_of(log_of(rows + OTHERS, parts=[0, 0, 0, 1, 2] + [0] * 9), options("given"))
    assert split.part[:5].tolist() == [0, 0, 0, 1, 2]
    assert split.targets("val").tolist() == [[0, 3]]


CASES = st.tuples(
    st.sampled_from(["leave_one_out", "time", "given"]),
    st.sampled_from(["user", "session"]),
    st.sampled_from([None, ["buy"]]),
    st.booleans(),
)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), CASES)
def test_nothing_of_the_future(seed: int, case: tuple[Any, ...]) -> None:
    by, query, targets, filtered = case
    rows = random_rows(seed)
    parts = None
    if by == "given":
        parts = [2 * int(time > 90) for _, _, time, _ in rows]
    events = log_of(rows, parts=parts)
    chosen = options(by, query, targets=targets, filter_history=filtered)
    try:
        split = split_of(events, chosen)
    except CatalogError as error:
        assume("has no target" not in str(error))
        raise
    place = np.arange(len(events))
    for name, held in PARTS.items():
        offsets, places = split.histories(name)
        pairs = split.targets(name).tolist()
        target_places = np.flatnonzero(split.is_target & (split.part == held))
        assert sorted({(split.query[k], events.item[k]) for k in target_places}) == [
            tuple(pair) for pair in pairs
        ]
        for k in target_places:
            history = places[offsets[split.query[k]] : offsets[split.query[k] + 1]]
            assert len(history)
            assert (split.query[history] == split.query[k]).all()
            assert (place[history] < k).all()
            assert (events.time[history] <= events.time[k]).all()
            assert targets is None or events.kind[k] == 1
            assert not filtered or events.item[k] not in events.item[history]
            # What is trained on of this query comes before what is predicted of it.
            trained = place[(split.part == 0) & (split.query == split.query[k])]
            assert (trained < k).all()
            assert set(trained.tolist()) <= set(history.tolist())
    train = split.part == 0
    if by == "time":
        first_held_out = events.time[split.is_target].min()
        assert events.time[train].max() < first_held_out
        ends = [events.time[split.part == p] for p in (1, 2)]
        assert query == "session" or ends[0].max() < ends[1].min()
    again = cooccurrence_pairs(events, ITEMS, BY_USER, train)
    np.testing.assert_array_equal(split.train.ids, again.ids)
    np.testing.assert_array_equal(split.train.weights, again.weights)
    assert np.flatnonzero(split.seen).tolist() == sorted(set(events.item[train].tolist()))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["user", "session"]), st.sampled_from([None, 1]))
def test_leave_one_out_holds_out_the_last_two(seed: int, query: str, kind: int | None) -> None:
    """Each query of the rows as they stand in the file, sorted by Python."""
    rows = random_rows(seed)
    events = log_of(rows)
    targets = None if kind is None else ["buy"]
    try:
        split = split_of(events, options("leave_one_out", query, targets=targets))
    except CatalogError as error:
        assume("has no target" not in str(error))
        raise
    expected: dict[str, list[list[int]]] = {"val": [], "test": []}
    for number in range(split.num_queries):
        own = np.flatnonzero(split.query == number)
        lines = [(events.time[k], k, int(events.item[k]), events.kind[k]) for k in own]
        later = [line for line in sorted(lines)[1:] if kind is None or line[3] == kind]
        for name, line in zip(("test", "val"), reversed(later), strict=False):
            expected[name].append([number, line[2]])
    assert split.targets("test").tolist() == expected["test"]
    assert split.targets("val").tolist() == expected["val"]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["leave_one_out", "time"]),
    st.sampled_from(["user", "session"]),
    st.sampled_from([24, 40]),
)
def test_negatives_are_not_met(seed: int, by: str, query: str, num_items: int) -> None:
    """With 24 items some users have met nearly all of them, so that lists are drawn from."""
    events = log_of(random_rows(seed, items=num_items, count=120))
    chosen = options(by, query, negatives=["uniform", "degree_matched"], filter_history=True)
    try:
        split = split_of(events, chosen)
    except CatalogError as error:
        assume("has no target" not in str(error) and "are needed" not in str(error))
        raise
    met = set(zip(split.query.tolist(), events.item.tolist(), strict=True))
    for name in PARTS:
        targets = split.targets(name)
        assert split.negatives[name]
        for protocol, drawn in split.negatives[name].items():
            found = [tuple(pair) for pair in drawn.tolist()]
            assert len(set(found)) == len(found) == len(targets), protocol
            assert not met & set(found)
            assert sorted(drawn[:, 0]) == sorted(targets[:, 0])
            if protocol == "degree_matched":
                assert sorted(drawn[:, 1]) == sorted(targets[:, 1])


def test_the_last_free_items_are_drawn_from_a_list() -> None:
    known, candidates = np.arange(968), np.arange(1000)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        drawn = uniform_query_negatives(np.zeros(31, np.int32), candidates, known, 1000, rng)
        assert len(np.unique(drawn[:, 1])) == 31
        assert drawn[:, 1].min() >= 968


def test_uniform_negatives_are_uniform() -> None:
    """A user who has met 3 of 8 items: each of the other five is drawn as often."""
    rows = [("a", k, k, 0) for k in range(3)] + [("b", k, k, 0) for k in range(8)]
    events, counts = log_of(rows), np.zeros(8, int)
    chosen = options("leave_one_out", targets=None)
    with pytest.raises(CatalogError, match="that has not met 0 of 8 items"):
        split_of(events, chosen)
    rows += [("b", 8, 9, 0), ("c", 9, 0, 0), ("c", 10, 0, 0)]
    events, counts = log_of(rows), np.zeros(11, int)
    for seed in range(300):
        drawn = split_of(events, replace(chosen, seed=seed)).negatives["test"]["uniform"]
        counts += np.bincount(drawn[drawn[:, 0] == 0, 1], minlength=11)
    assert counts[:3].tolist() == [0, 0, 0]
    assert counts.sum() == 300
    assert 18 < counts[3:].min() <= counts[3:].max() < 65


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["leave_one_out", "time"]))
def test_the_order_of_lines_changes_nothing(seed: int, by: str) -> None:
    rng = np.random.default_rng(seed)
    rows = [(user, item, float(time), kind) for (user, item, _, kind), time
            in zip(random_rows(seed), rng.permutation(90), strict=True)]  # fmt: skip
    shuffled = [rows[k] for k in rng.permutation(len(rows))]
    one, other = (split_of(log_of(lines), options(by)) for lines in (rows, shuffled))
    for name in ("query", "part", "is_target"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for part in PARTS:
        np.testing.assert_array_equal(one.targets(part), other.targets(part))
        for protocol, drawn in one.negatives[part].items():
            np.testing.assert_array_equal(drawn, other.negatives[part][protocol])
    np.testing.assert_array_equal(one.train.weights, other.train.weights)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"by": "time", "times": False}, "by=time needs the time of each event .* split=leave_one"),
        ({"by": "given"}, "by=given needs a log that says the part of each event"),
        ({"by": "time", "targets": ["click"]}, "targets names the kind 'click'; .* 'view', 'buy'"),
        ({"by": "leave_one_out", "count": 1}, "the val part of the split has no target"),
    ],
)
def test_what_a_log_lacks_is_named(changes: dict[str, Any], message: str) -> None:
    count = changes.pop("count", 9)
    rows: list[Row] = [(f"u{u}", k, k, k % 2) for u in range(3) for k in range(count)]
    rows += [("v", 1, 0, 0), ("v", 2, 0, 0), *OTHERS]
    changes = {"by": "leave_one_out", "times": True} | changes
    events = log_of(rows, times=changes.pop("times"))
    with pytest.raises(CatalogError, match=message):
        split_of(events, options(**changes))


def test_training_events_that_form_no_pair_are_named() -> None:
    rows = [("a", k, 100 * k, 0) for k in range(5)]
    with pytest.raises(CatalogError, match=r"training events give no pair .* set pairs\.by=user,"):
        split_events(log_of(rows), ITEMS, pairs_by("session"), options("leave_one_out"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"by": "time", "val_fraction": None}, "val_fraction is needed by by=time"),
        ({"by": "leave_one_out", "val_fraction": 0.1}, "val_fraction has no effect with by=leave"),
        ({"by": "given", "test_fraction": 0.1}, "test_fraction has no effect with by=given"),
        ({"by": "time", "val_fraction": 0.6, "test_fraction": 0.5}, "must be below 1, got 1.1"),
    ],
)
def test_shares_that_do_not_fit_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options(**values)
