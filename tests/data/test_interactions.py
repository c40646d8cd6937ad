"""Batches of users with their items and of items with their labels, against loops over events."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys_lab.catalog.catalog import Field
from recsys_lab.catalog.event_split import EventSplit, EventSplitOptions, split_events
from recsys_lab.catalog.nodes import NodeOptions, find_nodes, item_nodes
from recsys_lab.data.interactions import InteractionDataModule
from recsys_lab.readers.account import CatalogError
from tests.event_cases import log_of, pairs_by, random_rows

N = 24
OPTIONS = {
    "pairs": ["user_item"], "batch_size": 7, "num_negatives": 3, "negative_exponent": 0.75,
    "use_weights": True, "num_workers": 0,
}  # fmt: skip
LABELS = Field(
    "category", ["a", "b", "c"], np.arange(0, 2 * N + 1, 2), np.tile([0, 1, 1, 2], N // 2)
)


class _Catalog:
    def field(self, name: str) -> Field:
        assert name == LABELS.name
        return LABELS


def split_of(seed: int = 0) -> EventSplit:
    events = log_of(random_rows(seed, users=6, items=N, count=120))
    options = EventSplitOptions(
        by="leave_one_out", query="user", targets=None, filter_history=False,
        negatives=["uniform"], seed=0,
    )  # fmt: skip
    return split_events(events, N, pairs_by("user"), options)


SPLIT = split_of()
USERS = SPLIT.events.users["user"]
NODES = find_nodes(SPLIT, _Catalog(), NodeOptions(users=True, labels=["category"]))  # type: ignore[arg-type]


def module(seed: int = 0, **changes: object) -> InteractionDataModule:
    return InteractionDataModule(SPLIT, NODES, _Catalog(), seed, **(OPTIONS | changes))


def weights_by_loop(split: EventSplit = SPLIT) -> Counter[tuple[int, int]]:
    """The summed weight of the training events of each (user, item)."""
    found: Counter[tuple[int, int]] = Counter()
    for place in np.flatnonzero(split.part == 0):
        user, item = int(split.events.user[place]), int(split.events.item[place])
        found[user, item] += float(split.events.weight[place])
    return found


def epoch(data: InteractionDataModule, number: int = 0) -> list[tuple[int, int, float, int]]:
    """Center, context, weight and low-rank positive of all pairs of an epoch."""
    rows = []
    for batch in (data.draw(number, k) for k in range(data.num_batches)):
        columns = batch.centers, batch.contexts, batch.weights, batch.low_rank
        rows += list(zip(*(column.tolist() for column in columns), strict=True))
    return rows


def test_an_epoch_holds_each_user_with_each_training_item_once() -> None:
    expected = weights_by_loop()
    mean = sum(expected.values()) / len(expected)
    found = {(u - N, i): w * mean for u, i, w, _ in epoch(module())}
    assert found.keys() == expected.keys()
    assert len(epoch(module())) == len(expected)
    for key, weight in expected.items():
        assert found[key] == pytest.approx(weight, rel=1e-5)
    assert {w for *_, w, _ in epoch(module(use_weights=False))} == {1.0}


def test_held_out_events_change_nothing() -> None:
    held, events = SPLIT.part != 0, SPLIT.events
    assert 0 < held.sum() < len(events)
    moved = replace(events, item=np.where(held, (events.item + 1) % N, events.item))
    other = InteractionDataModule(replace(SPLIT, events=moved), NODES, _Catalog(), 0, **OPTIONS)
    assert epoch(other) == epoch(module())


def test_batches_are_a_function_of_seed_epoch_and_number() -> None:
    data = module()
    for number in (3, 0):  # in any order
        for own, other in zip(data.draw(1, number), module().draw(1, number), strict=True):
            assert torch.equal(torch.as_tensor(own), torch.as_tensor(other))
    assert epoch(data) != epoch(data, 1)
    assert epoch(data) != epoch(module(seed=1))
    assert sorted(row[:3] for row in epoch(data)) == sorted(row[:3] for row in epoch(data, 1))


@pytest.mark.parametrize("pairs", [["user_item"], ["item_label"], ["user_item", "item_label"]])
def test_negatives_are_of_the_group_of_the_context(pairs: list[str]) -> None:
    data, met = module(pairs=pairs), {"item": 0, "label": 0}
    for number in range(data.num_batches):
        batch = data.draw(0, number)
        for context, negatives in zip(batch.contexts, batch.negatives, strict=True):
            is_item = bool(context < N)
            low, high = (0, N) if is_item else (N + len(USERS), len(NODES))
            assert ((negatives >= low) & (negatives < high)).all()
            met["item" if is_item else "label"] += 1
    assert (met["item"] > 0) == ("user_item" in pairs)
    assert (met["label"] > 0) == ("item_label" in pairs)


def test_negatives_follow_the_number_of_pairs_of_an_item() -> None:
    data = module(num_negatives=400, negative_exponent=1.0)
    drawn = np.zeros(N)
    for number in range(data.num_batches):
        drawn += np.bincount(data.draw(0, number).negatives.ravel(), minlength=N)
    pairs = np.bincount([item for _, item in weights_by_loop()], minlength=N)
    np.testing.assert_allclose(drawn / drawn.sum(), pairs / pairs.sum(), atol=0.01)


def test_labels_are_those_of_the_items_of_training() -> None:
    expected = [
        (item, N + len(USERS) + int(code))
        for item in np.flatnonzero(SPLIT.seen).tolist()
        for code in LABELS.codes[2 * item : 2 * item + 2]
    ]
    rows = epoch(module(pairs=["item_label"]))
    assert sorted(row[:2] for row in rows) == sorted(expected)
    assert {row[2:] for row in rows} == {(1.0, -1)}


def test_low_rank_positives_are_items_that_the_user_has_less_often() -> None:
    weights, drawn = weights_by_loop(), Counter()
    for number in range(60):
        for user, item, _, low in epoch(module(use_weights=False), number):
            lower = {i for (u, i), w in weights.items() if u == user - N and w < weights[u, item]}
            assert low in lower or (low == -1 and not lower)
            drawn[user, item, low] += 1
    of_first = [count for (user, *_, low), count in drawn.items() if low >= 0 and user == N]
    assert len(of_first) > 20
    assert min(of_first) > 0  # every one is drawn in the end
    possible = sum(
        w > other for (u, _), w in weights.items() for (v, _), other in weights.items() if u == v
    )
    assert len([key for key in drawn if key[2] >= 0]) == pytest.approx(possible, rel=0.02)


def test_missing_nodes_are_named() -> None:
    items = item_nodes(SPLIT)
    with pytest.raises(CatalogError, match=r"nodes\.users=true"):
        InteractionDataModule(SPLIT, items, _Catalog(), 0, **OPTIONS)
    with pytest.raises(CatalogError, match=r"nodes\.labels=\[category\]"):
        InteractionDataModule(SPLIT, items, _Catalog(), 0, **OPTIONS | {"pairs": ["item_label"]})
