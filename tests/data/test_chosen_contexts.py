"""Goals of sessions and negatives of the market, by hand and against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.catalog.event_split import EventSplit, EventSplitOptions, split_events
from recsys_lab.data.batch import PairBatch, WindowBatch
from recsys_lab.data.chosen_contexts import MarketSampler, chosen_contexts
from recsys_lab.data.event_sequences import event_sequences
from recsys_lab.data.modules import SequenceDataModule
from recsys_lab.data.sequences import StoredSequences
from recsys_lab.models.blocks import score_block
from recsys_lab.readers.account import CatalogError
from tests.event_cases import KINDS, log_of, pairs_by, random_rows

OPTIONS = {
    "window": 1,
    "shrink_windows": False,
    "subsample_threshold": 0.0,
    "num_negatives": 2,
    "num_shared": 4,
    "negative_exponent": 0.5,
    "walks_per_batch": 6,
    "walks_per_group": 3,
    "num_workers": 0,
    "market": None,
    "num_market_negatives": 2,
    "num_node_contexts": 2,
    "num_rejected_types": 0,
    "num_rejected": 0,
}
NUM_ITEMS = 40


def split_of(rows: list, by: str = "time") -> EventSplit:
    shares = {"val_fraction": 0.15, "test_fraction": 0.15} if by == "time" else {}
    options = EventSplitOptions(by, "session", ["buy"], False, ["uniform"], 0, **shares)
    return split_events(log_of(rows), NUM_ITEMS, pairs_by("session"), options)


def sequences(split: EventSplit, max_length: int = 5, repeats: int = 1) -> StoredSequences:
    return event_sequences(
        split, max_length, by="session", seed=0, goal_kinds=["buy"], goal_repeats=repeats
    )


def rows_of(source: StoredSequences) -> list[tuple[tuple[int, ...], int]]:
    """The items of every row with its goal, in order."""
    items, goals = source.draw(0, 0, source.count), source.goals(0, 0, source.count)
    assert goals is not None
    return sorted((tuple(r[r >= 0].tolist()), int(g)) for r, g in zip(items, goals, strict=True))


def by_hand() -> EventSplit:
    view, buy = 0, 1
    return split_of([
        ("a", 1, 0, view), ("a", 2, 1, view), ("a", 3, 2, view), ("a", 4, 3, buy),
        ("a", 5, 4, view),
        ("b", 6, 0, view), ("b", 7, 1, view),
        ("c", 8, 0, buy), ("c", 1, 1, view), ("c", 2, 2, buy),
        ("d", 1, 90, view), ("d", 9, 91, buy),
        ("e", 2, 95, view), ("e", 9, 96, buy),
    ])  # fmt: skip


def test_goals_of_three_sessions() -> None:
    assert rows_of(sequences(by_hand(), 3)) == [
        ((1, 2, 3), 4), ((4, 5), 4), ((6, 7), -1), ((8, 1, 2), 2),
    ]  # fmt: skip


def test_sessions_with_a_goal_come_several_times() -> None:
    once, thrice = rows_of(sequences(by_hand(), 3)), rows_of(sequences(by_hand(), 3, repeats=3))
    assert thrice == sorted(row for row in once for _ in range(3 if row[1] >= 0 else 1))


@given(seed=st.integers(0, 10_000), by=st.sampled_from(["time", "leave_one_out"]))
@settings(max_examples=40, deadline=None)
def test_goals_against_a_loop_and_nothing_held_out_is_trained(seed: int, by: str) -> None:
    try:
        split = split_of(random_rows(seed, users=12, count=150), by)
        source = sequences(split, 4)
    except CatalogError:  # too few events for a part
        return
    events = split.events
    expected = []
    for session in np.unique(events.session):
        places = np.flatnonzero((events.session == session) & (split.part == 0))
        bought = [int(events.item[p]) for p in places if KINDS[events.kind[p]] == "buy"]
        goal = bought[-1] if bought else -1
        if len(places) > 1:
            expected.append((sorted(events.item[places].tolist()), goal, session))
    found = rows_of(source)
    assert sorted(i for row, _ in found for i in row) == sorted(i for e in expected for i in e[0])
    pieces = sum(-(-len(items) // 4) for items, _, _ in expected)
    assert len(found) == pieces
    counted = sorted(g for items, g, _ in expected for _ in range(-(-len(items) // 4)))
    assert sorted(goal for _, goal in found) == counted


def module(source: StoredSequences, negatives: str = "in_batch") -> SequenceDataModule:
    return SequenceDataModule(source, 0, **OPTIONS, negatives=negatives)


@pytest.mark.parametrize("seed", range(4))
def test_positives_against_an_enumeration_of_pairs(seed: int) -> None:
    """Pairs within a window, and each place with the goal of its session, by double loops."""
    source = sequences(split_of(random_rows(seed, users=12, count=150)), 4)
    expected = np.zeros((NUM_ITEMS, NUM_ITEMS))
    for row, goal in rows_of(source):
        for place, center in enumerate(row):
            for other in (place - 1, place + 1):
                if 0 <= other < len(row):
                    expected[center, row[other]] += 1
            if goal >= 0 and center != goal:
                expected[center, goal] += 1
    for negatives in ("in_batch", "shared", "per_pair"):
        data = module(source, negatives)
        found = np.zeros_like(expected)
        for number in range(data.num_batches):
            batch = data.draw(0, number)
            if isinstance(batch, PairBatch):
                np.add.at(found, (batch.centers, batch.contexts), batch.weights)
                continue
            block = score_block(batch)
            rows, columns = block.centers[:, :, None], block.contexts[:, None, :]
            shape = block.positive.shape
            np.add.at(found, (rows.expand(shape), columns.expand(shape)), block.positive)
        np.testing.assert_allclose(found, expected)


def test_negatives_come_from_the_market_of_the_center() -> None:
    markets = np.array([0, 0, 0, 0, 1, 1, 1, -1, 2], np.int32)
    chance = np.array([4.0, 1, 1, 2, 1, 1, 0, 1, 1])
    sampler = MarketSampler(markets, chance / chance.sum())
    rng = np.random.default_rng(0)
    drawn = sampler.draw(np.repeat([0, 4, 7, 8, -1], 4000), rng).reshape(5, -1)
    shares = np.bincount(drawn[0], minlength=9) / 4000
    np.testing.assert_allclose(shares[:4], [0.5, 0.125, 0.125, 0.25], atol=0.03)
    assert set(drawn[1]) == {4, 5}  # item 6 does not occur
    assert set(drawn[3]) == {8}
    assert (drawn[[2, 4]] == -1).all()


def test_market_negatives_of_a_group_by_a_loop() -> None:
    rng = np.random.default_rng(3)
    markets = rng.integers(-1, 3, NUM_ITEMS).astype(np.int32)
    items = rng.integers(0, NUM_ITEMS, (5, 3, 4))
    items[1, 2, 2:] = -1
    items[2, 0] = -1
    goals = rng.integers(-1, NUM_ITEMS, (5, 3))
    sampler = MarketSampler(markets, np.full(NUM_ITEMS, 1 / NUM_ITEMS))
    for goal in (None, goals):
        chosen = chosen_contexts(items, goal, sampler, 2, rng)
        first = 0 if goal is None else 3
        assert chosen is not None
        assert chosen.items.shape == (5, first + 6)
        for g, w, p in np.ndindex(items.shape):
            center, row = items[g, w, p], chosen.negative[g, w * 4 + p].numpy()
            own = {*items[g, w].tolist(), -1 if goal is None else goals[g, w]}
            counts = np.zeros(len(row))
            for x, item in enumerate(chosen.items[g].tolist()):
                if x >= first and center >= 0 and item >= 0 and item not in own:
                    counts[x] = markets[item] == markets[center]
            np.testing.assert_allclose(row, 2 * counts / max(counts.sum(), 1), rtol=1e-6)


def test_a_batch_is_a_function_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    source = sequences(split_of(random_rows(0, users=12, count=150)), 4)
    data = module(source)
    data._markets = MarketSampler(np.arange(NUM_ITEMS) % 2, data._sampler.probabilities)
    one, again, other = (data.draw(1, number) for number in (1, 1, 0))
    assert all(isinstance(batch, WindowBatch) for batch in (one, again, other))
    assert all((a == b).all() for a, b in zip(one.chosen, again.chosen, strict=True))
    assert not (one.chosen.items == other.chosen.items).all()


def test_what_goes_together() -> None:
    split = by_hand()
    with pytest.raises(ValueError, match="goal_kinds are of sessions, got by=user"):
        event_sequences(split, 3, by="user", seed=0, goal_kinds=["buy"], goal_repeats=1)
    with pytest.raises(ValueError, match="goal_repeats=2 has no effect without goal_kinds"):
        event_sequences(split, 3, by="session", seed=0, goal_kinds=None, goal_repeats=2)
    with pytest.raises(CatalogError, match="goal_kinds names the kind 'rent'; the kinds of"):
        event_sequences(split, 3, by="session", seed=0, goal_kinds=["rent"], goal_repeats=1)
    for name, value in (("market", "brand"), ("num_rejected", 2)):
        with pytest.raises(ValueError, match=f"{name}={value} does not go with negatives=per_pair"):
            SequenceDataModule(
                sequences(split), 0, **{**OPTIONS, name: value}, negatives="per_pair"
            )
