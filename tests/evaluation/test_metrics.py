import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import precision_recall_curve, roc_auc_score

from recsys_lab.evaluation.metrics import (
    auc_roc,
    hit_rate,
    mean_reciprocal_rank,
    ndcg,
    precision_recall,
    target_ranks,
)

LOWEST, HIGHEST = np.finfo(np.float32).min, np.finfo(np.float32).max


def scores():
    """Heavily tied scores of one class, float32 extremes among them."""
    values = st.sampled_from([-2.0, -0.5, 0.0, 0.5, 1.0, float(HIGHEST), float(LOWEST)])
    return st.integers(1, 40).flatmap(lambda n: arrays(np.float32, n, elements=values))


def both(positive, negative):
    return np.r_[np.ones(len(positive)), np.zeros(len(negative))], np.r_[positive, negative].astype(
        np.float64
    )


def auc_by_counting(positive, negative):
    won = [1.0 if a > b else 0.5 if a == b else 0.0 for a in positive for b in negative]
    return sum(won) / len(won)


@given(scores(), scores())
@settings(max_examples=150, deadline=None)
def test_auc_matches_sklearn_and_counting_under_ties(positive, negative):
    value = auc_roc(positive, negative)
    assert value == pytest.approx(auc_by_counting(positive, negative), abs=1e-12)
    assert value == pytest.approx(roc_auc_score(*both(positive, negative)), abs=1e-12)
    assert auc_roc(negative, positive) == pytest.approx(1.0 - value, abs=1e-12)


@pytest.mark.parametrize(
    ("positive", "negative", "expected"),
    [
        ([0.9, 0.4], [0.1], 1.0),
        ([0.9, 0.4], [0.5], 0.5),
        ([0.5, 0.9], [0.5], 0.75),  # one tie, one win
        ([0.3], [0.3], 0.5),  # batch of one
        ([-20.0], [3.0], 0.0),  # far outside [0, 1]: no sigmoid, no clipping
        ([np.inf, 0.0], [-np.inf, np.inf], 0.625),  # tie, win, loss, win
    ],
)
def test_auc_by_hand(positive, negative, expected):
    assert auc_roc(np.array(positive), np.array(negative)) == expected


def test_auc_tells_neighbouring_float32_apart():
    low = np.float32(1e30)
    high = np.nextafter(low, np.float32(np.inf))
    assert auc_roc(np.array([high]), np.array([low])) == 1.0


@pytest.mark.parametrize("metric", [auc_roc, precision_recall])
def test_single_class_and_nan_are_refused(metric):
    some, none = np.array([0.1, 0.2, 0.3]), np.array([])
    with pytest.raises(ValueError, match="no negative scores"):
        metric(some, none)
    with pytest.raises(ValueError, match="no positive scores"):
        metric(none, some)
    with pytest.raises(ValueError, match="2 of 3 positive scores are NaN"):
        metric(np.array([np.nan, 1.0, np.nan]), some)
    with pytest.raises(ValueError, match="1 of 2 negative scores are NaN"):
        metric(some, np.array([np.nan, 1.0]))


@given(scores(), scores())
@settings(max_examples=100, deadline=None)
def test_precision_recall_matches_sklearn(positive, negative):
    expected = precision_recall_curve(*both(positive, negative))
    thresholds, precision, recall = precision_recall(positive, negative)
    np.testing.assert_allclose(precision, expected[0], atol=1e-12)
    np.testing.assert_allclose(recall, expected[1], atol=1e-12)
    np.testing.assert_array_equal(thresholds, expected[2])


def test_precision_recall_by_hand():
    thresholds, precision, recall = precision_recall(np.array([3.0, 1.0]), np.array([2.0]))
    assert thresholds.tolist() == [1.0, 2.0, 3.0]
    assert precision.tolist() == [2 / 3, 1 / 2, 1.0, 1.0]
    assert recall.tolist() == [1.0, 0.5, 0.5, 0.0]


@given(st.integers(1, 8), st.integers(1, 12), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_target_ranks_match_sorting(num_queries, num_candidates, seed):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 4, num_queries).astype(float)
    others = rng.integers(0, 4, (num_queries, num_candidates)).astype(float)
    kept = rng.random(others.shape) < 0.7
    for q, rank in enumerate(target_ranks(target, others, kept)):
        row = sorted([*others[q][kept[q]].tolist(), target[q]], reverse=True)
        places = [place for place, score in enumerate(row, 1) if score == target[q]]
        assert rank == np.mean(places)


def test_target_ranks_by_hand():
    others = np.array([[3.0, 2.0, 2.0], [-np.inf, 5.0, np.nan]])
    kept = np.array([[True, True, True], [True, True, False]])
    assert target_ranks(np.array([2.0, np.inf]), others, kept).tolist() == [3.0, 1.0]
    with pytest.raises(ValueError, match="1 scores are NaN"):
        target_ranks(np.array([2.0, 1.0]), others)


def test_ranking_metrics_by_hand():
    ranks = np.array([1.0, 3.0, 10.5, 11.0])
    assert hit_rate(ranks, 10) == 0.5  # a mid-rank of 10.5 is no hit at 10
    assert hit_rate(ranks, 11) == 1.0
    assert ndcg(ranks, 10) == pytest.approx((1.0 + 0.5) / 4)
    assert mean_reciprocal_rank(ranks) == pytest.approx((1 + 1 / 3 + 1 / 10.5 + 1 / 11) / 4)


@pytest.mark.parametrize(
    "metric", [lambda r: hit_rate(r, 10), lambda r: ndcg(r, 10), mean_reciprocal_rank]
)
@pytest.mark.parametrize("ranks", [[], [0.5], [np.nan]])
def test_impossible_ranks_are_refused(metric, ranks):
    with pytest.raises(ValueError, match=r"no queries|ranks start at 1"):
        metric(np.array(ranks))


def test_k_below_one_is_refused():
    with pytest.raises(ValueError, match="k must be >= 1, got 0"):
        hit_rate(np.array([1.0]), 0)
