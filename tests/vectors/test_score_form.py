"""Folded vectors: their inner products are the scores."""

import numpy as np
import pytest

from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.vectors.score_form import (
    ScoreTables,
    fold,
    folded_dimension,
    recognise,
    unfold,
)

CASES = [(both_ways, biased) for both_ways in (False, True) for biased in (False, True)]


def tables(*, both_ways: bool, biased: bool, num_items: int = 40, dim: int = 7) -> ScoreTables:
    rng = np.random.default_rng(3)
    queries, keys = rng.normal(size=(2, num_items, dim)).astype(np.float32)
    bias = 5 * rng.normal(size=num_items).astype(np.float32)
    return ScoreTables(
        queries, keys if both_ways else queries, bias if biased else 0 * bias, both_ways
    )


@pytest.mark.parametrize(("both_ways", "biased"), CASES)
def test_products_are_the_scores_of_the_scorer(both_ways: bool, biased: bool) -> None:
    given = tables(both_ways=both_ways, biased=biased)
    query, key = fold(given, biased=biased)
    assert query.dtype == key.dtype == np.float32
    long = folded_dimension(7, both_ways=both_ways, biased=biased)
    assert query.shape == key.shape == (40, long)
    scores = VectorScorer(*given[:4]).score_rows(np.arange(40))
    np.testing.assert_allclose(query @ key.T, scores, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("both_ways", "biased"), CASES)
def test_unfolding_gives_the_parts_back(both_ways: bool, biased: bool) -> None:
    given = tables(both_ways=both_ways, biased=biased)
    found = unfold(fold(given, biased=biased)[1], both_ways=both_ways, biased=biased)
    for part, expected in zip(found, given, strict=True):
        np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize("biased", [False, True])
def test_a_directed_score_needs_the_queries_to_unfold(biased: bool) -> None:
    both = tables(both_ways=True, biased=biased)
    given = both._replace(both_ways=False, directed=True)
    query, key = fold(given, biased=biased)
    scores = VectorScorer(*given[:4]).score_rows(np.arange(40))
    np.testing.assert_allclose(query @ key.T, scores, rtol=0, atol=1e-5)
    assert np.abs(scores - scores.T).max() > 1
    found = unfold(key, both_ways=False, biased=biased, queries=query)
    for part, expected in zip(found, given, strict=True):
        np.testing.assert_array_equal(part, expected)
    assert given.take(slice(3)).directed


@pytest.mark.parametrize(("both_ways", "biased"), CASES)
def test_folded_tables_are_recognised(both_ways: bool, biased: bool) -> None:
    given = tables(both_ways=both_ways, biased=biased)
    query, key = fold(given, biased=biased)
    query[3] = key[3] = 0  # an item without a score
    found = recognise(query, key)
    assert found is not None
    assert (found.both_ways, found.biased) == (both_ways, biased)
    kept = np.arange(40) != 3
    for part, expected in zip(found[:3], given[:3], strict=True):
        np.testing.assert_array_equal(part[kept], expected[kept])
    query[0, 0] += 1e-6
    assert recognise(query, key) is None


def test_two_items_by_hand() -> None:
    given = ScoreTables(
        np.array([[1, 2], [3, 4]], np.float32),
        np.array([[5, 6], [7, 8]], np.float32),
        np.array([0.5, 0.25], np.float32),
        both_ways=True,
    )
    query, key = fold(given, biased=True)
    assert query.tolist() == [[0.5, 1, 2.5, 3, 0.5, 1], [1.5, 2, 3.5, 4, 0.25, 1]]
    assert key.tolist() == [[5, 6, 1, 2, 1, 0.5], [7, 8, 3, 4, 1, 0.25]]
    # (1 * 7 + 2 * 8 + 3 * 5 + 4 * 6) / 2 + .5 + .25
    assert query[0] @ key[1] == query[1] @ key[0] == 31.75
