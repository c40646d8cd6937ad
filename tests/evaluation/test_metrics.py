import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import precision_recall_curve, roc_auc_score
from torchmetrics.classification import BinaryAUROC, BinaryPrecisionRecallCurve

from recsys_lab.evaluation.metrics import (
    auc_roc,
    precision_recall,
    ranking_metric_names,
    ranking_values,
)
from recsys_lab.results.metric_names import RANKING

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


def test_ranking_metrics_by_hand():
    ranks = np.array([1.0, 3.0, 10.5, 11.0])
    assert ranking_values("hr@10", ranks).tolist() == [1, 1, 0, 0]  # a mid-rank of 10.5 is no hit
    assert ranking_values("hr@11", ranks).tolist() == [1, 1, 1, 1]
    assert ranking_values("ndcg@10", ranks) == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert ranking_values("mrr", ranks) == pytest.approx([1, 1 / 3, 1 / 10.5, 1 / 11])
    assert ranking_metric_names([5, 9]) == ["hr@5", "hr@9", "ndcg@5", "ndcg@9", "mrr"]


@pytest.mark.parametrize("metric", ["hr", "hr@0", "hr@x", "hr@", "map@10", "mrr@5", "hr@k"])
def test_unknown_metrics_are_refused(metric):
    message = "metric must be one of hr@k, ndcg@k, mrr with k >= 1"
    with pytest.raises(ValueError, match=message):
        ranking_values(metric, np.array([1.0]))


def test_every_listed_metric_has_a_formula():
    of_lists = {"recall@20", "f1@20", "catalog_coverage@10", "novelty@10"}
    assert of_lists < {metric.name for metric in RANKING}
    for metric in [metric for metric in RANKING if metric.name not in of_lists]:
        assert ranking_values(metric.name, np.array([1.0])).tolist() == [1.0]


def test_the_auc_is_that_of_torchmetrics():
    """Scores are brought into [0, 1] first, since torchmetrics takes others for logits."""
    rng = np.random.default_rng(0)
    positive, negative = (rng.integers(0, 33, n) / 32 for n in (400, 700))  # exact, with ties
    labels, values = (torch.from_numpy(array) for array in both(positive, negative))
    area = BinaryAUROC()
    area.update(values, labels.long())
    assert auc_roc(positive, negative) == pytest.approx(float(area.compute()), abs=1e-6)
    curve = BinaryPrecisionRecallCurve()
    curve.update(values, labels.long())
    found = precision_recall(positive, negative)
    for values, expected in zip((*found[1:], found[0]), curve.compute(), strict=True):
        np.testing.assert_allclose(values, expected.numpy(), atol=1e-6)
