"""Ranks of targets by single clicks, by hand and against loops."""

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.evaluation.click_ranks import (
    Clicks,
    asked_by,
    click_interval,
    click_metrics,
    clicks_before,
)
from recsys_lab.evaluation.history_scorers import HistoryScorer, SameForAll
from recsys_lab.evaluation.scorers import VectorScorer

SEEN = np.array([1, 1, 1, 1, 1, 0, 1], bool)


def rows(*lists: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.cumsum([0, *map(len, lists)]), np.array([x for one in lists for x in one], np.int32)


def by_hand() -> Clicks:
    return clicks_before(
        rows([0, 1, 0, 0, 2], [5, 3, 4], [1], [], [6]),
        rows([0, 1, 2, 2, 5], [3, 6, 6, 0], [2, 4], [0, 1], [1]),
        np.array([2, 3, 5, 0, 1]),  # the third is not seen, the last was shown alone
        SEEN,
    )


def test_clicks_are_distinct_seen_and_not_the_target() -> None:
    clicks = by_hand()
    assert clicks.target_number.tolist() == [0, 0, 1]
    assert clicks.item.tolist() == [0, 1, 4]
    assert clicks.place.tolist() == [1, 2, 1]
    assert clicks.target.tolist() == [2, 2, 3]
    assert clicks.offsets.tolist() == [0, 2, 4, 6]
    assert clicks.candidates.tolist() == [0, 1, 0, 1, 0, 6]
    assert clicks.chance.tolist() == [2, 2, 2]


def test_ranks_by_hand() -> None:
    similarity = np.zeros((7, 7), np.float32)
    similarity[0, [0, 1, 2]] = 3, 1, 2  # the target 2 is second of 0, 1, 2
    similarity[1, [0, 1, 2]] = 1, 3, 3  # it shares the first two places
    similarity[4, [3, 0, 6]] = 0, 1, np.nan  # second; a candidate has no score
    clicks = by_hand()
    scorer = HistoryScorer(sparse.csr_matrix((2, 7), dtype=np.float32), similarity)
    asked = asked_by(scorer, clicks)
    assert asked is not None
    ranks = clicks.ranks(asked)
    assert ranks.tolist() == [2, 1.5, 2]
    found = click_metrics("test", ranks, clicks)
    assert found == pytest.approx(
        {"test/click_rank/all": 5.5 / 3, "test/click_rank/1": 2.0, "test/click_rank/2": 1.5}
    )
    interval = click_interval("test", ranks, clicks, 200, 0)
    # the two targets have means of 1.75 and 2; a replicate takes one, the other or both
    assert interval == pytest.approx(
        {"interval/test/click_rank/all/low": 1.75, "interval/test/click_rank/all/high": 2.0}
    )


def test_clicks_and_ranks_against_loops() -> None:
    rng = np.random.default_rng(0)
    num_items, count = 12, 60
    seen = rng.random(num_items) < 0.8
    history = [rng.integers(0, num_items, rng.integers(0, 40)).tolist() for _ in range(count)]
    shown = [rng.integers(0, num_items, rng.integers(0, 6)).tolist() for _ in range(count)]
    targets = rng.integers(0, num_items, count)
    vectors = rng.normal(size=(num_items, 3))
    expected = []
    for number, (clicked, cards, target) in enumerate(zip(history, shown, targets, strict=True)):
        others = {item for item in cards if seen[item] and item != target}
        places = list(dict.fromkeys(i for i in clicked[::-1] if seen[i] and i != target))[:17]
        if seen[target] and others:
            for place, item in enumerate(places, 1):
                above = sum(
                    vectors[item] @ vectors[x] > vectors[item] @ vectors[target] for x in others
                )
                expected.append((number, place, item, target, 1 + above))
    clicks = clicks_before(rows(*history), rows(*shown), targets, seen)
    asked = asked_by(VectorScorer(vectors, vectors), clicks)
    assert asked is not None
    found = zip(
        clicks.target_number,
        clicks.place,
        clicks.item,
        clicks.target,
        clicks.ranks(asked),
        strict=True,
    )
    assert [tuple(map(int, row)) for row in found] == expected
    popularity = SameForAll(np.arange(num_items))
    assert asked_by(popularity, clicks) is popularity


def test_no_clicks() -> None:
    none = clicks_before(rows([]), rows([1, 2]), np.array([1]), SEEN)
    assert len(none) == 0
