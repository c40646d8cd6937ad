"""Ranks counted by operations of torch are those of the compiled kernel."""

import numpy as np
import pytest
from evaluation_cases import random_pairs

from recsys_lab.evaluation import rank_counts
from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.scorers import QueryScorer, VectorScorer


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("both_ways", [False, True])
def test_the_same_ranks(seed: int, both_ways: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_counts, "CHUNK_BYTES", 4 * 20 * 3)  # three rows at a time
    monkeypatch.setattr(rank_counts, "CHUNK_ROWS", 1)
    rng = np.random.default_rng(seed)
    queries, keys = rng.integers(-1, 2, (2, 20, 3)).astype(np.float32)  # many scores tie
    scorer = VectorScorer(
        queries, keys, rng.integers(0, 2, 20), both_ways, scorable=rng.random(20) < 0.8
    )
    pairs = random_pairs(20, seed)
    expected = evaluate_ranking(scorer, pairs)
    monkeypatch.setattr(QueryScorer, "on_gpu", True)
    monkeypatch.setattr(QueryScorer, "score_rows", None)
    monkeypatch.setattr(QueryScorer, "score_tile", None)
    found = evaluate_ranking(scorer, pairs)
    assert np.array_equal(found.rank, expected.rank)
    assert found.metrics() == expected.metrics()
