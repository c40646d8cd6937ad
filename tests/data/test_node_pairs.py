"""Pairs of users and types at the events of sequences, and rejected items, against plain loops."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.nodes import NodeOptions, Nodes, find_nodes
from recsys_lab.data.batch import PairBatch, WindowBatch
from recsys_lab.data.chosen_contexts import chosen_contexts, draw_rejected
from recsys_lab.data.event_sequences import event_sequences
from recsys_lab.data.modules import SequenceDataModule
from tests.data.test_chosen_contexts import NUM_ITEMS, OPTIONS, random_rows, split_of

COLORS = ["blue", "green", "red"]
RULES = {"user_types": ["last_brand", "num_events"], "item_types": ["brand", "popularity"]}


def catalog() -> ItemCatalog:
    empty = [None] * NUM_ITEMS
    frame = {
        "item": [f"i{k:02d}" for k in range(NUM_ITEMS)],
        "title": empty,
        "brand": [COLORS[k % 3] for k in range(NUM_ITEMS)],
        "categories": [[] for _ in empty],
        "price": empty,
    }
    kinds = {"title": pl.String, "price": pl.Float64, "categories": pl.List(pl.List(pl.String))}
    return ItemCatalog(pl.DataFrame(frame, schema_overrides=kinds))


def split_with_shown(seed: int = 0) -> EventSplit:
    split, rng = split_of(random_rows(seed, users=12, count=150)), np.random.default_rng(seed)
    sizes = rng.integers(4, size=len(split.events))
    shown = rng.integers(NUM_ITEMS, size=sizes.sum(), dtype=np.int32)
    offsets = np.append(0, np.cumsum(sizes))
    return replace(split, events=replace(split.events, shown_offsets=offsets, shown=shown))


def nodes_of(split: EventSplit, *, users: bool = True) -> Nodes:
    return find_nodes(split, catalog(), NodeOptions(users=users, min_events=3, **RULES))


def module(split: EventSplit, nodes: Nodes | None, **options: object) -> SequenceDataModule:
    source = event_sequences(
        split, 4, by="session", seed=0, goal_kinds=None, goal_repeats=1, nodes=nodes
    )
    settings = OPTIONS | {"negatives": "in_batch", "window": 2} | options
    return SequenceDataModule(source, 0, **settings, split=split, nodes=nodes)


def group_of(nodes: Nodes, ids: np.ndarray) -> np.ndarray:
    """0 of items, k of the k-th group."""
    return np.searchsorted([group.first for group in nodes.groups], ids, side="right")


def test_batches_of_windows_and_of_pairs_take_turns() -> None:
    split = split_with_shown()
    nodes = nodes_of(split)
    plain, data = module(split, None), module(split, nodes)
    assert data.num_batches % 2 == 0
    for number in range(data.num_batches):
        batch = data.draw(1, number)
        assert isinstance(batch, WindowBatch if number % 2 == 0 else PairBatch)
    assert all(isinstance(plain.draw(1, k), WindowBatch) for k in range(plain.num_batches))
    again = module(split, nodes).draw(1, 1)
    assert all((x == y).all() for x, y in zip(data.draw(1, 1)[:4], again[:4], strict=True))
    assert data.draw(0, 1).centers.sum() != data.draw(1, 1).centers.sum()


def test_pairs_are_those_of_windows_in_proportion_to_their_weights() -> None:
    """Counts over many epochs against an enumeration of the windows of all sessions."""
    split = split_with_shown(2)
    nodes = nodes_of(split)
    data = module(split, nodes, num_node_contexts=3, shrink_windows=True)
    by_distance = {1: 1.0, 2: 0.5}
    expected = np.zeros((len(nodes), len(nodes)))
    of_event = [split.events.item, *(group.of_events for group in nodes.groups)]
    for row in data.source.events(0, 0, data.source.count):
        places = row[row >= 0]
        for p, center in enumerate(places):
            for a, b in np.ndindex(4, 4):
                weights = by_distance | ({} if a == b else {0: 1.0})
                total = sum(w * (1 if d == 0 else 2) for d, w in weights.items())
                for q, other in enumerate(places):
                    c, x = of_event[a][center], of_event[b][other]
                    if (a or b) and c >= 0 and x >= 0 and c != x:
                        expected[c, x] += 3 * weights.get(abs(p - q), 0) / total
    found, epochs = np.zeros_like(expected), 150
    for epoch in range(epochs):
        for number in range(1, data.num_batches, 2):
            batch = data.draw(epoch, number)
            np.add.at(found, (batch.centers.numpy(), batch.contexts.numpy()), 1 / epochs)
    assert (found[expected == 0] == 0).all()
    np.testing.assert_allclose(found.sum(), expected.sum(), rtol=0.01)
    error = np.sqrt(np.maximum(expected, 0.02) / epochs)
    assert (np.abs(found - expected) < 6 * error).all()
    assert (found[: len(split.seen), len(split.seen) :].sum(0) > 0).sum() > 10  # types as contexts
    assert (found[len(split.seen) :, : len(split.seen)].sum(1) > 0).sum() > 10  # and as centers


def test_negatives_are_of_the_group_of_the_context() -> None:
    split = split_with_shown(3)
    nodes = nodes_of(split)
    data = module(split, nodes, num_negatives=4)
    for number in range(1, data.num_batches, 2):
        batch = data.draw(0, number)
        contexts, negatives = (
            group_of(nodes, x.numpy()) for x in (batch.contexts, batch.negatives)
        )
        assert (negatives == contexts[:, None]).all()
        assert set(contexts.tolist()) == {0, 1, 2, 3}


def test_nothing_held_out_is_in_the_pairs() -> None:
    split = split_with_shown(4)
    nodes = nodes_of(split)
    data = module(split, nodes)
    rows = data.source.events(0, 0, data.source.count)
    assert (split.part[rows[rows >= 0]] == 0).all()
    train = (split.part == 0).sum()
    assert len(np.unique(rows[rows >= 0])) == train  # single events have pairs, too
    assert len(np.unique(module(split, None).source.events(0, 0, 10**6))) - 1 < train


def test_rejected_types_are_of_other_items_shown_then() -> None:
    split = split_with_shown(5)
    nodes = nodes_of(split)
    events, types = split.events, nodes.group("item_type")
    data = module(split, nodes, num_negatives=3, num_rejected_types=1)
    plain = module(split, nodes, num_negatives=3)
    offered: dict[int, set[int]] = {}  # types that were shown while a type was chosen
    for e in np.flatnonzero(split.part == 0):
        shown = types.of_shown[events.shown_offsets[e] : events.shown_offsets[e + 1]]
        offered.setdefault(int(types.of_events[e]), set()).update(shown.tolist())
    changed = 0
    for number in range(1, data.num_batches, 2):
        batch, other = data.draw(0, number), plain.draw(0, number)
        rows, columns = np.nonzero((batch.negatives != other.negatives).numpy())
        changed += len(rows)
        assert set(columns.tolist()) <= {0}
        centers = group_of(nodes, batch.centers.numpy()[rows])
        assert set(centers.tolist()) <= {1, 2}  # users and types of users
        for row in rows:
            context, negative = int(batch.contexts[row]), int(batch.negatives[row, 0])
            assert negative in offered[context]
            assert negative != context
    assert changed > 20


def test_rejected_items_of_three_sessions() -> None:
    """Of sessions (1, 2), (3) and (4, 5): what is shown and not in the session is a negative."""
    items = np.array([[[1, 2], [3, -1], [4, 5]]])
    rejected = np.array([[[2, 7], [-1, -1], [8, 9]]])
    rng = np.random.default_rng(0)
    found = chosen_contexts(items, None, None, 5, rng, rejected)
    assert found is not None
    assert found.items.tolist() == [[2, 7, -1, -1, 8, 9]]
    assert found.positive.sum() == 0
    none = [0.0] * 6
    first, last = [0.0, 2.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    assert found.negative[0].tolist() == [first, first, none, none, last, last]
    goals = np.array([[7, -1, -1]])
    found = chosen_contexts(items, goals, None, 5, rng, rejected)
    assert found is not None
    assert found.items.tolist() == [[7, -1, -1, 2, 7, -1, -1, 8, 9]]
    assert found.negative[0, :2].sum() == 0


def test_rejected_items_are_shown_in_the_session() -> None:
    split = split_with_shown(6)
    events = split.events
    data = module(split, None, num_rejected=3)
    rows = data.source.events(0, 0, data.source.count)
    drawn = draw_rejected(rows, events, 40, np.random.default_rng(0))
    for row, found in zip(rows, drawn, strict=True):
        own = row[row >= 0]
        shown = {int(i) for e in own for i in events.shown[slice(*events.shown_offsets[e : e + 2])]}
        assert set(found.tolist()) <= (shown or {-1})
        assert len(set(found.tolist())) > 0.4 * len(shown)
    batch = data.draw(0, 0)
    assert batch.chosen is not None
    assert batch.chosen.negative.sum() > 0


def test_what_is_missing_is_said() -> None:
    split = split_of(random_rows(0, users=12, count=150))
    with pytest.raises(ValueError, match="need a log that says what was shown"):
        module(split, nodes_of(split), num_rejected_types=1)
    with pytest.raises(ValueError, match="need a log that says what was shown"):
        module(split, None, num_rejected=1).draw(0, 0)
    with pytest.raises(ValueError, match="num_rejected_types needs types of items"):
        module(split_with_shown(), None, num_rejected_types=1)
    users = find_nodes(split_with_shown(), catalog(), NodeOptions(users=True))
    with pytest.raises(ValueError, match="num_rejected_types needs types of items: name rules"):
        module(split_with_shown(), users, num_rejected_types=1)
