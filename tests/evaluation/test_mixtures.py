"""The sum of two scores, and the weight that is chosen for it."""

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.evaluation.mixtures import WEIGHTS, Mixture, best_weight
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
    mixture = Mixture(QueryScorer(one, keys), QueryScorer(other, keys, scorable=scorable), 0.5)
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
