"""EASE from the closest items, against the dense formula and ridge regressions of numpy."""

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.evaluation import local_ease
from recsys_lab.evaluation.baselines import BASELINES, TrainingData
from recsys_lab.evaluation.local_ease import LocalEase
from recsys_lab.evaluation.scorers import ListedScorer
from tests.evaluation.test_pair_ease import dense_ease, graph_of


def close_graph(num_items):
    """A random graph in which all items have a common neighbour, but for the last one."""
    rng = np.random.default_rng(3)
    upper = np.triu(rng.random((num_items, num_items)) < 0.7, 1)
    upper[:, -1] = False
    return sparse.csr_matrix((upper | upper.T).astype(np.float32))


def local_by_numpy(graph, penalty, row, column, neighbours):
    """A ridge regression for each column, on the columns that alone lessen its error most."""
    edges = (graph.toarray() > 0).astype(float)
    degree = np.maximum(edges.sum(1), 1)
    x = edges * degree[:, None] ** -row * degree[None, :] ** -column
    gram = x.T @ x
    ridge = penalty * np.trace(gram) / len(gram)
    weights = np.zeros_like(gram)
    for j in range(len(gram)):
        gain = gram[:, j] ** 2 / (np.diag(gram) + ridge)
        gain[j] = 0
        near = np.argsort(-gain, kind="stable")[:neighbours]
        near = near[gain[near] > 0]
        inside = gram[np.ix_(near, near)] + ridge * np.eye(len(near))
        weights[near, j] = np.linalg.solve(inside, gram[near, j])
    scores = x @ weights
    return scores + scores.T


@pytest.mark.parametrize(("row", "column"), [(0.0, 0.0), (0.5, 0.0), (0.25, 0.4)])
def test_with_all_items_it_is_the_closed_form(row, column):
    graph = close_graph(40)
    scorer = LocalEase(graph, 0.8, row, column, neighbours=39)
    found = scorer.score_rows(np.arange(40))
    np.testing.assert_allclose(found, dense_ease(graph, 0.8, row, column), atol=2e-6)
    assert (found[39] == 0).all()  # without a pair


@pytest.mark.parametrize(("row", "column"), [(0.5, 0.0), (0.25, 0.4)])
def test_with_few_items_it_is_a_ridge_regression_on_the_closest(row, column, monkeypatch):
    monkeypatch.setattr(local_ease, "_COLUMNS", 7)
    graph = graph_of(41, seed=2)
    expected = local_by_numpy(graph, 0.8, row, column, 5)
    scorer = LocalEase(graph, 0.8, row, column, neighbours=5)
    assert isinstance(scorer, ListedScorer)
    assert np.diff(scorer._columns.indptr).max() == 5
    np.testing.assert_allclose(scorer.score_rows(np.arange(41)), expected, atol=2e-6)
    heads, tails = np.triu_indices(41, 1)
    found = scorer.score_pairs(heads, tails)
    np.testing.assert_allclose(found, expected[heads, tails], atol=2e-6)
    assert np.array_equal(found, scorer.score_pairs(tails, heads))


def test_three_items_by_hand():
    # as `test_pair_ease` has it: of items 0 and 2 each is restored by half of the other
    path = sparse.csr_matrix(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32))
    scorer = LocalEase(path, penalty=0.75, row_exponent=0.0, neighbours=1)
    expected = [[0, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0]]
    np.testing.assert_allclose(scorer.score_rows(np.arange(3)), expected, atol=1e-6)


@pytest.mark.parametrize("num_items", [1, 3])
def test_without_pairs_all_tie(num_items):
    scorer = LocalEase(sparse.csr_matrix((num_items, num_items), dtype=np.float32))
    assert (scorer.score_rows(np.arange(num_items)) == 0).all()
    assert (scorer.score_pairs(np.zeros(2, int), np.zeros(2, int)) == 0).all()


def test_the_baseline_of_many_items():
    graph, labels = close_graph(40), sparse.csr_matrix((40, 0))
    data = TrainingData(graph, labels, max_ease_items=39, max_local_ease_items=40)
    scorer = BASELINES["ease"].build(data)
    assert isinstance(scorer, LocalEase)
    assert data.findings.parameters["ease"]["neighbours"] == 200
    many = TrainingData(graph, labels, max_choice_items=39, max_ease_items=39)
    BASELINES["ease"].build(many)
    assert many.findings.parameters["ease"]["neighbours"] == 100
    dense = BASELINES["ease"].build(TrainingData(graph, labels, max_ease_items=40))
    np.testing.assert_allclose(
        scorer.score_rows(np.arange(40)), dense.score_rows(np.arange(40)), atol=2e-6
    )


def test_options_are_checked():
    with pytest.raises(ValueError, match="neighbours must be >= 1"):
        LocalEase(graph_of(5, 0), neighbours=0)
