"""Exact search against sorting all scores; small integers make sums exact and ties frequent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.vectors import search
from recsys_lab.vectors.search import NO_ROW, top_k


def sorted_all(queries, keys, k, allowed=None, exclude=None):
    """The same lists by a stable sort of every score."""
    scores = queries.astype(np.float64) @ keys.T.astype(np.float64)
    if allowed is not None:
        scores[:, ~allowed] = np.nan
    if exclude is not None:
        for q, row in enumerate(exclude):
            if row != NO_ROW:
                scores[q, row] = np.nan
    rows = np.full((len(queries), k), NO_ROW)
    values = np.full((len(queries), k), np.nan)
    for q in range(len(queries)):
        order = [j for j in np.argsort(-scores[q], kind="stable") if not np.isnan(scores[q, j])]
        rows[q, : len(order)] = order[:k]
        values[q, : len(order)] = scores[q, order[:k]]
    return rows, values


def assert_same_lists(found, expected):
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert found[0].dtype == np.int32
    assert found[1].dtype == np.float32


def integers(rng, *shape):
    return rng.integers(-3, 4, shape).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    num_queries=st.integers(0, 12),
    num_keys=st.integers(0, 700),
    k=st.integers(1, 40),
    share=st.sampled_from([None, 0.0, 0.02, 0.3, 0.9]),
    is_own=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_lists_are_those_of_a_sort(num_queries, num_keys, k, share, is_own, seed):
    rng = np.random.default_rng(seed)
    queries, keys = integers(rng, num_queries, 4), integers(rng, num_keys, 4)
    allowed = None if share is None else rng.random(num_keys) < share
    exclude = rng.integers(-1, num_keys, num_queries) if is_own else None
    found = top_k(queries, keys, k, allowed, exclude)
    assert_same_lists(found, sorted_all(queries, keys, k, allowed, exclude))


@pytest.mark.parametrize("num_queries", [1, 7, 23])
def test_blocks_of_queries_and_keys_change_nothing(monkeypatch, num_queries):
    rng = np.random.default_rng(0)
    queries, keys = integers(rng, num_queries, 3), integers(rng, 500, 3)
    allowed = np.arange(500) % 100 > rng.random(500) * 100  # dense and sparse blocks
    expected = sorted_all(queries, keys, 9, allowed, np.arange(num_queries))
    monkeypatch.setattr(search, "_MAX_QUERIES", 5)
    monkeypatch.setattr(search, "_SCORES_PER_BLOCK", 1)
    monkeypatch.setattr(search, "_MIN_KEYS", 37)
    assert_same_lists(top_k(queries, keys, 9, allowed, np.arange(num_queries)), expected)


def test_hand_made_case():
    keys = np.array([[1, 0], [0, 5], [1, 0]], np.float32)
    query = np.array([[2, 0]], np.float32)
    rows, scores = top_k(query, keys, 4)
    assert rows.tolist() == [[0, 2, 1, NO_ROW]]
    assert scores[0, :3].tolist() == [2.0, 2.0, 0.0]
    assert np.isnan(scores[0, 3])
    rows, _ = top_k(query, keys, 2, allowed=np.array([True, True, False]), exclude=np.array([0]))
    assert rows.tolist() == [[1, NO_ROW]]


def test_scores_of_minus_infinity_count_and_those_of_nan_do_not():
    keys = np.array([[np.nan], [-np.inf], [1.0]], np.float32)
    rows, scores = top_k(np.ones((1, 1), np.float32), keys, 3)
    assert rows.tolist() == [[2, 1, NO_ROW]]
    assert scores[0, :2].tolist() == [1.0, -np.inf]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((2, 3), (5, 3), 0), "k must be >= 1, got 0"),
        (((2, 3), (5, 4), 1), r"queries \(2, 3\) and keys \(5, 4\)"),
        (((2, 3), (5, 3), 1, (4,)), r"allowed must be \(5,\), got \(4,\)"),
        (((2, 3), (5, 3), 1, None, (3,)), r"exclude must be \(2,\), got \(3,\)"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    queries, keys, k, *masks = arguments
    arrays = [None if shape is None else np.zeros(shape, np.bool_) for shape in masks]
    with pytest.raises(ValueError, match=message):
        top_k(np.zeros(queries, np.float32), np.zeros(keys, np.float32), k, *arrays)
