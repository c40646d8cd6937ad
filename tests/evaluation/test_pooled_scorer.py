"""Scores of a history against a loop over its items."""

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.evaluation.pooled_scorer import pooled_scorer
from recsys_lab.evaluation.scorers import VectorScorer


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_a_score_is_the_weighted_mean_of_the_scores_of_the_history(
    both_ways: bool, biased: bool
) -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(2, 6, 4)).astype(np.float32)
    queries, keys = (vectors[0], vectors[1]) if both_ways else (vectors[0], vectors[0])
    bias = rng.normal(size=6).astype(np.float32) if biased else None
    scorable = np.array([True, True, True, True, True, False])
    items = VectorScorer(queries, keys, bias, both_ways, scorable)
    histories = [{0: 1.0, 2: 0.7, 5: 3.0}, {1: 2.0}, {5: 1.0}, {}]  # item 5 has no score
    weights = sparse.lil_matrix((4, 6), dtype=np.float32)
    for query, history in enumerate(histories):
        for item, weight in history.items():
            weights[query, item] = weight
    pooled = pooled_scorer(items, sparse.csr_matrix(weights))
    found = pooled.score_rows(np.arange(4))
    for query, history in enumerate(histories):
        counted = {item: weight for item, weight in history.items() if scorable[item]}
        for other in range(6):
            if not counted or not scorable[other]:
                assert np.isnan(found[query, other])
                continue
            expected = 0.0
            for item, weight in counted.items():
                own = 0.0 if bias is None else bias[item]  # the same for all candidates
                score = items.score_pairs(np.array([item]), np.array([other]))[0]
                expected += weight * (score - own) / sum(counted.values())
            assert found[query, other] == pytest.approx(expected, rel=1e-4, abs=1e-5)
