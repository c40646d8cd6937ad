"""Histories, the scorers that sum over them, and the baselines, against dense computations."""

import logging
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys_lab.evaluation import item_similarities, query_baselines
from recsys_lab.evaluation.baselines import BASELINES, TrainingData
from recsys_lab.evaluation.histories import (
    Histories,
    HistoryWeights,
    before_each,
    pooled_vectors,
)
from recsys_lab.evaluation.history_scorers import HistoryScorer
from recsys_lab.evaluation.item_similarities import (
    ease_weights,
    nearest_items,
    next_item_weights,
)
from recsys_lab.evaluation.query_baselines import QUERY_BASELINES, QueryData, baselines_for
from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.scorers import QueryScorer, cosine_scorer
from recsys_lab.evaluation.slices import EvaluationPairs, Queries

N = 15


def histories_of(rows, times=None, weights=None):
    offsets = np.cumsum([0, *map(len, rows)])
    return Histories(offsets, np.array(list(chain(*rows)), np.int32), N, times, weights)


def random_histories(seed, num_queries=30):
    """Items repeat within a query; the second query has none, and items 13 and 14 never occur."""
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, 13, rng.integers(1, 9)).tolist() for _ in range(num_queries)]
    rows[1] = []
    return rows


@given(
    st.lists(st.lists(st.integers(0, N - 1), max_size=6), min_size=1, max_size=5),
    st.sampled_from([1, 0.5, 0.7]),
    st.sampled_from([None, 1, 3]),
)
@settings(max_examples=60, deadline=None)
def test_weights_are_those_of_the_loop(rows, decay, last):
    kinds = np.arange(1, 1 + sum(map(len, rows)), dtype=np.float32)
    expected, event = np.zeros((len(rows), N)), 0
    for query, row in enumerate(rows):
        for place, item in enumerate(row):
            age = len(row) - 1 - place
            if last is None or age < last:
                expected[query, item] += decay**age * kinds[event]
            event += 1
    found = HistoryWeights(decay, last)(histories_of(rows, weights=kinds))
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6)
    assert found.has_canonical_format
    assert (found.data > 0).all()


def test_wrong_histories_are_refused():
    with pytest.raises(ValueError, match=r"item 15 is not in \[0, 15\)"):
        histories_of([[3, 15]])
    with pytest.raises(ValueError, match="offsets must ascend from 0 to 2"):
        Histories(np.array([0, 1]), np.array([1, 2]), N)
    with pytest.raises(ValueError, match="times must be"):
        histories_of([[1, 2]], times=np.ones(3))
    with pytest.raises(ValueError, match="decay must be"):
        HistoryWeights(decay=1.5)
    with pytest.raises(ValueError, match="last must be"):
        HistoryWeights(last=0)


def test_vectors_are_pooled_and_scored():
    rng = np.random.default_rng(0)
    rows, vectors = random_histories(0), rng.normal(size=(N, 4)).astype(np.float32)
    weights = HistoryWeights(0.5)(histories_of(rows))
    pooled = pooled_vectors(weights, vectors)
    dense = weights.toarray()
    np.testing.assert_allclose(pooled[0], dense[0] @ vectors / dense[0].sum(), rtol=1e-5)
    assert not pooled[1].any()  # a query without history
    keys, bias = rng.normal(size=(N, 4)).astype(np.float32), rng.normal(size=N)
    has_history = np.array([bool(row) for row in rows])
    scorer = QueryScorer(pooled, keys, bias, np.arange(N) != 3, has_history)
    expected = pooled @ keys.T + bias
    expected[:, 3] = expected[1] = np.nan
    queries, items = (ids.ravel() for ids in np.indices(expected.shape))
    found = scorer.score_pairs(queries, items).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    rows_found = scorer.score_rows(np.array([2, 1, 0]))
    np.testing.assert_allclose(rows_found, expected[[2, 1, 0]], rtol=1e-4, atol=1e-5)
    assert rows_found.dtype == np.float32
    assert cosine_scorer(scorer) is None


def test_wrong_vectors_are_refused():
    with pytest.raises(ValueError, match=r"queries \(3, 2\) and keys \(5, 4\) must agree"):
        QueryScorer(torch.ones(3, 2), torch.ones(5, 4))
    with pytest.raises(ValueError, match=r"answerable must be \(3,\)"):
        QueryScorer(torch.ones(3, 2), torch.ones(5, 2), answerable=torch.ones(5))
    with pytest.raises(ValueError, match="keys hold NaN"):
        QueryScorer(torch.ones(3, 2), torch.full((5, 2), torch.nan))


@pytest.mark.parametrize("is_dense", [True, False])
def test_scores_of_histories_are_products_of_matrices(is_dense):
    rng = np.random.default_rng(1)
    similarity = np.where(rng.random((N, N)) < 0.4, rng.random((N, N)), 0).astype(np.float32)
    weights = HistoryWeights()(histories_of(random_histories(1)))
    scorer = HistoryScorer(weights, similarity if is_dense else sparse.csr_matrix(similarity))
    expected = (weights @ similarity).astype(np.float64)
    expected[1] = np.nan
    asked = rng.permutation(len(expected))
    np.testing.assert_allclose(scorer.score_rows(asked), expected[asked], rtol=1e-5)
    queries, items = (ids.ravel() for ids in np.indices(expected.shape))
    np.testing.assert_allclose(
        scorer.score_pairs(queries, items), expected[queries, items], rtol=1e-5
    )


def binary(rows):
    dense = np.zeros((len(rows), N))
    for query, row in enumerate(rows):
        dense[query, row] = 1
    return dense


@pytest.mark.parametrize("small", [1, 4, 256])
def test_ease_is_the_closed_form(small, monkeypatch):
    monkeypatch.setattr(item_similarities, "_SMALL", small)
    monkeypatch.setattr(item_similarities, "_ROWS", 4)
    monkeypatch.setattr(item_similarities, "_PART", 3)
    dense = binary(random_histories(2))
    inverse = np.linalg.inv(dense.T @ dense + 3.0 * np.eye(N))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    found = ease_weights(sparse.csr_matrix(dense), 3.0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert not found[13:].any()  # items without events


def test_what_was_before_each_event():
    found, items = before_each(histories_of([[3, 5, 3, 7], [2], [], [4, 4]]), 0.5, longest=2)
    assert items.tolist() == [5, 3, 7, 4]
    rows = [dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)) for row in found]
    assert rows == [{3: 1}, {5: 1, 3: 0.5}, {3: 1, 5: 0.5}, {4: 1}]
    twice, _ = before_each(histories_of([[3, 3, 5]]), 0.5, longest=9)
    assert twice.toarray()[1, 3] == 1.5


@pytest.mark.parametrize(("rows_at_a_time", "sparse_below"), [(4, 0.0), (4, 2.0), (1024, 0.1)])
def test_next_item_weights_are_the_best_with_a_diagonal_of_zero(
    rows_at_a_time, sparse_below, monkeypatch
):
    """The loss of each column falls at no other column of weights, by the normal equations."""
    monkeypatch.setattr(item_similarities, "_ROWS", rows_at_a_time)
    monkeypatch.setattr(item_similarities, "_SPARSE", sparse_below)
    rows, penalty, share = random_histories(4), 2.0, 0.3
    matrix = binary(rows)
    past, following = before_each(histories_of(rows), 0.6, longest=3)
    found = next_item_weights(sparse.csr_matrix(matrix), past, following, penalty, share)
    inputs = np.vstack([share**0.5 * matrix, (1 - share) ** 0.5 * past.toarray()])
    wanted = np.vstack([share**0.5 * matrix, (1 - share) ** 0.5 * np.eye(N)[following]])
    for item in range(N):
        others = np.arange(N) != item
        left = inputs[:, others]
        gram = left.T @ left + penalty * np.eye(N - 1)
        expected = np.linalg.solve(gram, left.T @ wanted[:, item])
        np.testing.assert_allclose(found[others, item], expected, rtol=1e-3, atol=1e-5)
    assert not np.diag(found).any()


def test_order_decides_where_it_counts():
    train = histories_of([[0, 1], [0, 1], [2, 0]])
    data = QueryData(train, histories_of([[0]]), HistoryWeights(0.7))
    scores = QUERY_BASELINES["slist"].build(data).score_rows(np.array([0]))[0]
    assert scores[1] > scores[2] > 0
    assert QUERY_BASELINES["slist"].build(QueryData(train, train, HistoryWeights(1))) is None


def test_the_last_item_needs_an_order(caplog):
    caplog.set_level(logging.INFO)
    data = QueryData(histories_of([[0, 1]]), histories_of([[0]]), HistoryWeights(1))
    last_item = QUERY_BASELINES["last_item"].build
    assert last_item(data).score_rows(np.array([0]))[0, 1] > 0  # whatever the weights
    assert last_item(replace(data, ordered=False)) is None
    assert "last item's neighbours is left out: events have no order" in caplog.text


@pytest.mark.parametrize("k", [1, 4, 100])
@pytest.mark.parametrize("seed", range(3))
def test_nearest_items_are_those_of_the_dense_cosine(seed, k):
    dense = binary(random_histories(seed))
    lengths = np.linalg.norm(dense, axis=0)
    cosine = dense.T @ dense / np.maximum(np.outer(lengths, lengths), 1e-9)
    np.fill_diagonal(cosine, 0)
    expected = np.zeros((N, N))
    for item in range(N):
        order = sorted(range(N), key=lambda other: (-round(cosine[item, other], 9), other))
        expected[item, order[:k]] = cosine[item, order[:k]]
    found = nearest_items(sparse.csr_matrix(dense), k)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6, atol=1e-9)
    assert (np.diff(found.indptr) <= k).all()


def test_baselines_by_hand(monkeypatch):
    monkeypatch.setattr(query_baselines, "_RECENT", 0.5)
    rows = [[0, 1], [0, 1, 2], [2, 0]]
    train = histories_of(rows, times=np.array([0, 6, 1, 2, 3, 9, 10], float))
    data = QueryData(train, histories_of([[1], [0, 2], []]), HistoryWeights(0.5), repeats=True)
    built = {name: entry.build(data) for name, entry in baselines_for(data).items()}
    found = {name: scorer.score_rows(np.arange(3))[:, :4] for name, scorer in built.items()}
    assert found["popularity"].tolist() == [[3, 2, 2, 0]] * 3
    assert found["recency"].tolist() == [[1, 1, 1, 0]] * 3  # at 6, 9 and 10
    expected = [[0, 1, 0, 0], [0.99, 0, 1, 0], [np.nan] * 4]
    np.testing.assert_allclose(found["repeated"], expected, rtol=1e-6)
    near = {(0, 1): 2 / 6**0.5, (0, 2): 2 / 6**0.5, (1, 2): 0.5}
    near |= {pair[::-1]: value for pair, value in near.items()}
    expected = [
        [near[1, 0], 0, near[1, 2], 0],
        [near[2, 0], near[2, 1], 0, 0],
        [np.nan] * 4,
    ]
    np.testing.assert_allclose(found["last_item"], expected, rtol=1e-6)
    row = [near[2, 0], near[2, 1] + 0.5 * near[0, 1], 0.5 * near[0, 2], 0]
    np.testing.assert_allclose(found["item_knn"][1], row, rtol=1e-6)
    ease = ease_weights(sparse.csr_matrix(binary(rows)), 50.0)
    np.testing.assert_allclose(found["ease"][1], (ease[2] + 0.5 * ease[0])[:4], rtol=1e-5)


def test_the_penalty_is_chosen_on_validation(monkeypatch):
    """By what the scorers of all penalties have there, and not where a matrix is large."""
    rows = random_histories(5)
    train, histories = histories_of(rows), histories_of([row[:2] for row in rows])
    known = sparse.csr_matrix(binary(rows))
    positives = np.stack(known.nonzero(), 1).astype(np.int32)
    met = Queries(np.ones(len(rows), bool), np.ones(N))
    pairs = EvaluationPairs(N, positives, {}, known, np.ones(N, bool), met)
    data = QueryData(train, histories, validation=(histories, pairs))
    values = {}
    for penalty in query_baselines._PENALTIES:
        scorer = HistoryScorer(data.weights(histories), ease_weights(data.matrix, penalty))
        values[penalty] = evaluate_ranking(scorer, pairs).mean("ndcg@10")
    assert len(set(values.values())) > 1
    best = max(values, key=values.get)
    expected = HistoryScorer(data.weights(histories), ease_weights(data.matrix, best))
    found = QUERY_BASELINES["ease"].build(data)
    np.testing.assert_allclose(found.similarity, expected.similarity, rtol=1e-4, atol=1e-6)
    monkeypatch.setattr(query_baselines, "_MAX_CHOICE_ITEMS", N - 1)
    usual = QUERY_BASELINES["ease"].build(data).similarity
    np.testing.assert_allclose(usual, ease_weights(data.matrix, 50.0), rtol=1e-4, atol=1e-6)


def test_queries_of_many_items_count_less_for_each():
    rows = [[0, 1, 2, 3], [4], []]
    options = replace(query_baselines.OPTIONS, query_exponent=0.5)
    counted = QueryData(histories_of(rows), histories_of(rows), options=options).counted.toarray()
    np.testing.assert_allclose(counted[0, :4], counted[1, 4] / 2, rtol=1e-6)
    assert (counted**2).sum() == pytest.approx(5, rel=1e-6)
    plain = QueryData(histories_of(rows), histories_of(rows)).counted
    np.testing.assert_allclose(plain.toarray(), binary(rows), rtol=1e-6)


def test_a_baseline_that_the_data_do_not_allow_is_said(caplog):
    caplog.set_level(logging.INFO)
    options = replace(query_baselines.OPTIONS, max_dense_items=N - 1)
    data = QueryData(histories_of([[0, 1]]), histories_of([[0]]), options=options)
    assert QUERY_BASELINES["ease"].build(data) is None
    assert "EASE is left out: its dense matrix of 15 items is too large, the most is 14" in (
        caplog.text
    )
    assert QUERY_BASELINES["repeated"].build(data) is None
    assert QUERY_BASELINES["recency"].build(data) is None
    assert "events have no time" in caplog.text


def test_each_table_has_its_kind_of_data():
    empty = sparse.csr_matrix((N, N))
    assert baselines_for(TrainingData(empty, empty)) is BASELINES


def asking(rows: list[list[int]], **options: Any) -> QueryData:
    """Rows of which the last item is validation, and the one before it the last of training."""
    train, whole = histories_of([row[:-1] for row in rows]), histories_of(rows)
    positives = np.array([(q, row[-1]) for q, row in enumerate(rows)], np.int32)
    known = sparse.csr_matrix(binary(rows))
    met = Queries(np.ones(len(rows), bool), np.ones(N))
    pairs = EvaluationPairs(N, positives, {}, known, np.ones(N, bool), met)
    chosen = replace(query_baselines.OPTIONS, **options)
    before = whole if chosen.refit else None
    return QueryData(train, whole, options=chosen, validation=(train, pairs), before_test=before)


def test_refit_baselines_know_validation_and_choose_without_it():
    rows = [row for row in random_histories(6) if len(row) > 2]
    plain, refit = asking(rows), asking(rows, refit=True)
    whole = QueryData(histories_of(rows), histories_of(rows))
    for name, expected in (
        ("ease", lambda data, x: ease_weights(data.matrix, x[0])),
        ("slist", lambda data, x: next_item_weights(
            data.matrix, *before_each(data.train, 0.7, 20), penalty=x[0], share=x[1])),
    ):  # fmt: skip
        built = [QUERY_BASELINES[name].build(data).similarity for data in (plain, refit)]
        tried = plain.tried[QUERY_BASELINES[name].label]
        assert tried == refit.tried[QUERY_BASELINES[name].label]
        best = max(tried, key=tried.get)
        for found, fitted in zip(built, (plain, whole), strict=True):
            np.testing.assert_allclose(found, expected(fitted, best), rtol=1e-3, atol=1e-5)
        for choice, value in tried.items():
            scorer = HistoryScorer(plain.weights(plain.train), expected(plain, choice))
            assert evaluate_ranking(scorer, plain.validation[1]).mean("ndcg@10") == value
    near = QUERY_BASELINES["item_knn"].build(refit).similarity
    np.testing.assert_allclose(near.toarray(), nearest_items(whole.matrix, 100).toarray())
    assert QUERY_BASELINES["popularity"].build(refit).scores.sum() == plain.train.matrix().sum()


def test_parameters_that_are_said_are_not_chosen():
    rows = [row for row in random_histories(6) if len(row) > 2]
    data = asking(rows, slist_penalty=7.0)
    QUERY_BASELINES["slist"].build(data)
    assert [choice[0] for choice in data.tried["SLIST"]] == [7.0] * 3
    said = asking(rows, slist_penalty=7.0, slist_share=0.4, ease_penalty=9.0)
    for name in ("slist", "ease"):
        QUERY_BASELINES[name].build(said)
    assert not said.tried
