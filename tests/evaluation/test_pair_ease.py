import numpy as np
import pytest
from scipy import sparse

from recsys_lab.evaluation import item_similarities, pair_ease
from recsys_lab.evaluation.pair_ease import ease_of_pairs


def graph_of(num_items, seed):
    """A random symmetric graph whose last item has no pair; weights are not 1."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((num_items, num_items)) < 0.2, 1) * 2.5
    upper[:, -1] = 0
    return sparse.csr_matrix((upper + upper.T).astype(np.float32))


def dense_ease(graph, penalty, row, column):
    """Steck (2019), equation 8, of the scaled adjacency matrix; both ways."""
    edges = (graph.toarray() > 0).astype(float)
    degree = np.maximum(edges.sum(1), 1)
    x = edges * degree[:, None] ** -row * degree[None, :] ** -column
    gram = x.T @ x
    inverse = np.linalg.inv(gram + penalty * np.trace(gram) / len(gram) * np.eye(len(gram)))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    scores = x @ weights
    return scores + scores.T


@pytest.mark.parametrize(("row", "column"), [(0.0, 0.0), (0.5, 0.0), (0.25, 0.4)])
def test_matches_the_closed_form(row, column, monkeypatch):
    monkeypatch.setattr(pair_ease, "_ROWS", 7)
    monkeypatch.setattr(item_similarities, "_ROWS", 7)
    monkeypatch.setattr(item_similarities, "_SMALL", 8)
    graph = graph_of(40, seed=1)
    expected = dense_ease(graph, 0.8, row, column)
    scorer = ease_of_pairs(graph, 0.8, row, column)
    np.testing.assert_allclose(scorer.score_rows(np.arange(40)), expected, atol=2e-6)
    heads, tails = np.triu_indices(40, 1)
    np.testing.assert_array_equal(
        scorer.score_pairs(heads, tails), scorer.score_rows(tails)[np.arange(len(heads)), heads]
    )
    assert (scorer.score_rows(np.array([39])) == 0).all()  # without a pair


def test_three_items_by_hand():
    # 0 - 1 - 2: A^T A = [[1, 0, 1], [0, 2, 0], [1, 0, 1]], whose diagonal has a mean of 4 / 3
    path = sparse.csr_matrix(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32))
    scorer = ease_of_pairs(path, penalty=0.75, row_exponent=0.0)
    # plus 1 on the diagonal its inverse is [[2, 0, -1], [0, 1, 0], [-1, 0, 2]] / 3, so item 0 is
    # restored by half of item 2, and item 1 by none: 1/2 for the pairs of 1, in one of two ways
    np.testing.assert_allclose(
        scorer.score_rows(np.arange(3)), [[0, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0]], atol=1e-6
    )


def test_without_pairs_all_tie():
    scorer = ease_of_pairs(sparse.csr_matrix((3, 3), dtype=np.float32))
    assert (scorer.score_rows(np.arange(3)) == 0).all()


def test_options_are_checked():
    with pytest.raises(ValueError, match="penalty must be > 0"):
        ease_of_pairs(graph_of(5, 0), penalty=0.0)
