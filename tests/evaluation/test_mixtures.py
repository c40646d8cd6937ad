"""Sums of scores: of two with a chosen weight, and of several with fitted ones."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

from recsys_lab.evaluation import mixture_fit
from recsys_lab.evaluation.candidates import Candidates, find_candidates
from recsys_lab.evaluation.mixture_fit import fit_mixture, fit_weights
from recsys_lab.evaluation.mixtures import WEIGHTS, Form, Mixture, best_weight, sum_of_two
from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.scorers import QueryScorer
from recsys_lab.evaluation.slices import EvaluationPairs, Queries

Q, N = 60, 30


def scorer(rng: np.random.Generator, target: np.ndarray, lift: float, scale: float) -> QueryScorer:
    """Noise, in which the target is lifted."""
    table = rng.standard_normal((Q, N)) + lift * (np.arange(N) == target[:, None])
    return QueryScorer(scale * table.astype(np.float32), np.eye(N, dtype=np.float32))


def pairs_of(target: np.ndarray) -> EvaluationPairs:
    positives = np.stack([np.arange(Q), target], 1).astype(np.int32)
    known = sparse.csr_matrix((np.ones(Q, np.float32), positives.T), (Q, N))
    queries = Queries(np.ones(Q, bool), np.ones(N))
    return EvaluationPairs(N, positives, {}, known, np.ones(N, bool), queries)


def test_scores_are_summed_and_stay_missing_where_either_is() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.standard_normal((2, 3)).astype(np.float32) for _ in range(2))
    keys, scorable = np.eye(3, dtype=np.float32), np.array([True, True, False])
    second = QueryScorer(other, keys, scorable=scorable)
    mixture = sum_of_two(QueryScorer(one, keys), second, 0.5)
    expected = one + 0.5 * np.where(scorable, other, np.nan)
    np.testing.assert_allclose(mixture.score_rows(np.array([1, 0])), expected[[1, 0]], rtol=1e-6)
    heads, tails = np.array([0, 1, 1]), np.array([1, 2, 0])
    np.testing.assert_allclose(mixture.score_pairs(heads, tails), expected[heads, tails], rtol=1e-6)


def test_two_that_know_something_are_mixed_whatever_their_scale() -> None:
    rng = np.random.default_rng(1)
    target = rng.integers(0, N, Q)
    first, second = scorer(rng, target, 1.5, 1.0), scorer(rng, target, 1.5, 1e-3)
    pairs = pairs_of(target)
    weight, value = best_weight(first, second, pairs, 1e6, 0)
    assert 250 <= weight <= 4000  # of a thousand, the ratio of the units
    alone, _ = (best_weight(x, second, pairs, 1e6, 0, weights=(0.0,))[1] for x in (first, second))
    assert value > alone
    by_hand = [best_weight(first, second, pairs, 1e6, 0, weights=(w,))[1] for w in WEIGHTS]
    assert value == max(by_hand)


def test_noise_gets_no_weight() -> None:
    rng = np.random.default_rng(2)
    target = rng.integers(0, N, Q)
    first, noise = scorer(rng, target, 30.0, 1.0), scorer(rng, target, 0.0, 1.0)
    assert best_weight(first, noise, pairs_of(target), 1e6, 0) == (0.0, pytest.approx(1.0))


class Table:
    """The scores of a table; not those of vectors, so their logs count."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores.astype(np.float32)

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        return self.scores[heads, tails]

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        return self.scores[queries].copy()


def test_a_mixture_is_the_sum_of_logs_and_their_products() -> None:
    nan = np.nan
    one = Table(np.array([[0.0, 3.0, nan], [3.0, 0.0, 1.0], [nan, 1.0, 0.0]]))
    other = Table(np.array([[1.0, nan, nan], [nan, 1.0, -2.0], [nan, -2.0, 1.0]]))
    forms = Form(1.0, logs=True, center=0.5, scale=2.0), Form(-1.0)
    mixture = Mixture({"a": one, "b": other}, forms, (2.0, 3.0), np.array([[0, 0.5], [0.5, 1]]))
    a = (np.log(np.nan_to_num(one.scores) + 1) - 0.5) / 2
    b = np.fmax(other.scores, -1.0)
    expected = 2 * a + 3 * b + a * b + b * b
    expected[[0, 2], [2, 0]] = nan  # no part has a score
    np.testing.assert_allclose(mixture.score_rows(np.arange(3)), expected, rtol=1e-5)
    heads, tails = np.array([0, 1, 2]), np.array([1, 2, 0])
    found = mixture.score_pairs(heads, tails)
    np.testing.assert_allclose(found, expected[heads, tails], rtol=1e-5)
    assert mixture.score_rows(np.array([], int)).shape == (0, 3)


def item_pairs(rng: np.random.Generator, num_items: int) -> tuple[EvaluationPairs, np.ndarray]:
    """Pairs of items that are close on a line, and the closeness (N, N)."""
    place = rng.random(num_items)
    close = np.exp(-30 * np.abs(place[:, None] - place))
    chosen = np.triu(rng.random(close.shape) < 0.5 * close**2, 1)
    positives = np.argwhere(chosen)
    known = sparse.csr_matrix((chosen | chosen.T).astype(np.int8))
    return EvaluationPairs(num_items, positives, {}, known, np.ones(num_items, bool)), close


def noisy(rng: np.random.Generator, close: np.ndarray, noise: float) -> Table:
    added = noise * rng.standard_normal(close.shape)
    return Table(close * np.exp(added + added.T))


def test_weights_are_those_of_a_general_minimiser() -> None:
    rng = np.random.default_rng(3)
    pairs, close = item_pairs(rng, 350)
    parts = {"a": noisy(rng, close, 0.5), "b": noisy(rng, close, 1.0)}
    found = find_candidates(parts, pairs, 20 * 350, 0)
    assert found.weights.max() > 1  # of random candidates
    values = np.log(found.scores)
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    used = found.folds(5, 0) != 2

    def loss(weights: np.ndarray) -> float:
        """Target by target, in words."""
        total, scores = [], values @ weights
        for target in found.targets[used]:
            part = slice(*found.bounds[found.places[target] :][:2])
            is_other = ~found.is_target[part]
            others = (found.weights[part] * np.exp(scores[part]))[is_other].sum()
            total.append(np.log(others + np.exp(scores[target])) - scores[target])
        return float(np.mean(total) + 1e-3 * weights @ weights)

    expected = minimize(loss, np.zeros(2)).x
    np.testing.assert_allclose(fit_weights(found, values, used), expected, atol=2e-3)


def test_parts_that_know_something_are_better_together() -> None:
    rng = np.random.default_rng(4)
    pairs, close = item_pairs(rng, 150)
    parts = {"a": noisy(rng, close, 0.7), "b": noisy(rng, close, 0.7)}
    parts["noise"] = Table(np.exp(rng.standard_normal(close.shape)))
    found = find_candidates(parts, pairs, 1e9, 0)
    fitted = fit_mixture(parts, found, 0)
    alone = {name: values["ndcg@10"] for name, values in fitted.alone.items()}
    for name, part in parts.items():
        ranking = evaluate_ranking(part, pairs, (10,), 1e9)
        assert alone[name] == pytest.approx(ranking.mean("ndcg@10"), abs=0.02)
    crossed = max(values["ndcg@10"] for values in fitted.crossed.values())
    assert crossed > 1.03 * max(alone.values())
    assert evaluate_ranking(fitted.mixture, pairs, (10,), 1e9).mean("ndcg@10") > 0.98 * crossed
    weights = np.abs(fitted.mixture.weights)
    assert weights[2] < 0.2 * weights[:2].min()
    assert fitted.coverage == {"a": 1.0, "b": 1.0, "noise": 1.0}


def test_targets_are_ranked_by_weights_of_other_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    pairs, close = item_pairs(rng, 60)
    parts = {"a": noisy(rng, close, 0.7), "b": noisy(rng, close, 0.7)}
    masks: list[np.ndarray] = []

    def spy(candidates: Candidates, values: np.ndarray, used: np.ndarray) -> np.ndarray:
        masks.append(used)
        return fit_weights(candidates, values, used)

    monkeypatch.setattr(mixture_fit, "fit_weights", spy)
    fit_mixture(parts, find_candidates(parts, pairs, 1e9, 0), 0)
    assert len(masks) == 11
    assert masks[-1].all()
    for start in (0, 5):
        assert (np.sum([~mask for mask in masks[start : start + 5]], axis=0) == 1).all()


def test_the_order_of_products_is_that_of_features() -> None:
    rng = np.random.default_rng(7)
    values, w = rng.standard_normal((20, 3)), rng.standard_normal(9)
    products = mixture_fit._products(w[3:], 3)
    expected = values @ w[:3] + np.einsum("nk,kl,nl->n", values, products, values)
    np.testing.assert_allclose(mixture_fit.features(values, True) @ w, expected)


def test_both_ends_of_a_pair_are_in_one_fold_and_known_items_are_no_candidates() -> None:
    rng = np.random.default_rng(5)
    pairs, close = item_pairs(rng, 60)
    found = find_candidates({"a": noisy(rng, close, 0.5)}, pairs, 1e9, 0)
    query, item = found.queries[found.places], found.items
    fold = {}
    for target, number in zip(found.targets, found.folds(5, 0), strict=True):
        pair = frozenset((int(query[target]), int(item[target])))
        assert fold.setdefault(pair, number) == number
    assert len(fold) == len(pairs.positives)
    assert set(fold.values()) == set(range(5))
    ends = np.stack([query, item], axis=1)
    assert np.array_equal(pairs.are_known(ends), found.is_target)
    assert not (query == item).any()
    # of so few items all are candidates
    assert (found.weights == 1).all()
    others = 60 - 1 - np.diff(pairs.known.indptr)[found.queries]
    assert np.array_equal(np.bincount(found.places[~found.is_target]), others)


def test_random_candidates_count_for_the_rest() -> None:
    rng = np.random.default_rng(6)
    pairs, close = item_pairs(rng, 700)
    found = find_candidates({"a": noisy(rng, close, 0.5)}, pairs, 30 * 700, 0)
    others = 700 - 1 - np.diff(pairs.known.indptr)[found.queries]
    counted = np.bincount(found.places, np.where(found.is_target, 0, found.weights))
    np.testing.assert_allclose(counted, others, rtol=1e-5)
    other = noisy(rng, close, 2.0)  # whose best are mostly no candidates
    query, target = found.queries[found.places], found.items
    ranks = found.ranks(other.scores[query, target])
    ranking = evaluate_ranking(other, pairs, (10,), 30 * 700)
    exact = {
        (int(q), int(t)): r
        for q, t, r in zip(*(ranking.query, ranking.target), ranking.rank, strict=True)
    }
    true = [exact.get((int(query[t]), int(target[t])), np.nan) for t in found.targets]
    ratio = ranks[np.isfinite(true)] / np.array(true)[np.isfinite(true)]
    assert abs(np.log(ratio).mean()) < 0.1


def test_scores_of_vectors_count_as_they_are_and_those_of_others_by_their_logs() -> None:
    rng = np.random.default_rng(8)
    pairs, close = item_pairs(rng, 60)
    table = noisy(rng, close, 0.5)
    vectors = QueryScorer(table.scores - 0.5, np.eye(60, dtype=np.float32))  # of both signs
    candidates = find_candidates({"vectors": vectors, "table": table}, pairs, 1e9, 0)
    one, other = fit_mixture({"vectors": vectors, "table": table}, candidates, 0).mixture.forms
    scores = candidates.scores[:, 0]
    lowest = np.quantile(scores, 0.01)
    raised = np.maximum(scores, lowest)
    assert one == pytest.approx((lowest, False, raised.mean(), raised.std()), rel=1e-3)
    floor = 0.03 * np.median(candidates.best[:, 1])
    logs = np.log(candidates.scores[:, 1] + floor)
    assert other == pytest.approx((floor, True, logs.mean(), logs.std()), rel=1e-3)
