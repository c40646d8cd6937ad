import numpy as np
import pytest
from scipy.stats import chisquare

from recsys_lab.graph import node2vec, pair_set
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.node2vec import estimated_frequencies, node2vec_walks
from recsys_lab.graph.walks import random_walks

PAIRS = np.array([[0, 1], [0, 2], [1, 2], [1, 3], [2, 4], [3, 4]])
WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.25])
EXTREMES = [(1, 1), (0.5, 2), (4, 0.25), (0.001, 1), (1000, 1), (1, 0.001), (1, 1000), (1e-3, 1e-3)]


@pytest.fixture(scope="module")
def graph() -> ItemGraph:
    return ItemGraph.from_pairs(PAIRS[:, 0], PAIRS[:, 1], WEIGHTS, 5)


def definition(graph: ItemGraph, before: int, here: int, p: float, q: float) -> np.ndarray:
    """Transition probabilities (N,), Grover and Leskovec (2016), section 3.2."""
    matrix = graph.adjacency.toarray().astype(np.float64)
    bias = np.where(matrix[before] > 0, 1.0, 1.0 / q)
    bias[before] = 1.0 / p
    weights = bias * matrix[here]
    return weights / weights.sum()


@pytest.mark.parametrize(("p", "q"), EXTREMES)
def test_transitions_follow_the_definition(graph: ItemGraph, p: float, q: float) -> None:
    walks = node2vec_walks(graph, 8000, 6, p=p, q=q, seed=3)
    checked = 0
    for before in range(5):
        for here in graph.indices[graph.indptr[before] : graph.indptr[before + 1]]:
            steps = [
                walks[(walks[:, s] == before) & (walks[:, s + 1] == here), s + 2] for s in range(4)
            ]
            counts = np.bincount(np.concatenate(steps), minlength=5)
            expected = definition(graph, before, here, p, q)
            assert (counts[expected == 0] == 0).all()
            often = expected * counts.sum() >= 5
            if often.sum() > 1:
                cells = counts[often], expected[often] / expected[often].sum()
                assert chisquare(cells[0], cells[1] * cells[0].sum()).pvalue > 1e-4
                checked += 1
            rare = expected * counts.sum() < 5
            assert counts[rare].sum() <= 25
    assert checked >= 4


def test_p_and_q_of_one_give_the_first_order_in_distribution(graph: ItemGraph) -> None:
    codes = 5 ** np.arange(4)
    first, second = (
        np.bincount(walks @ codes, minlength=5**4)
        for walks in (
            random_walks(graph, 8000, 4, seed=0),
            node2vec_walks(graph, 8000, 4, p=1, q=1, seed=0),
        )
    )
    met = first + second >= 20
    difference = (first - second)[met] / np.sqrt((first + second)[met])
    # each difference is a standard normal, so that their squares have mean one
    assert (difference**2).mean() == pytest.approx(1, abs=5 * np.sqrt(2 / met.sum()))


def test_a_walk_is_the_same_in_whichever_block_it_is_drawn(graph: ItemGraph) -> None:
    arguments = {"p": 0.5, "q": 4.0, "seed": 1, "epoch": 2}
    whole = node2vec_walks(graph, 70, 9, **arguments)
    pieces = [
        node2vec_walks(graph, 70, 9, **arguments, first=first, count=37)
        for first in range(0, 350, 37)
    ]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert (whole != node2vec_walks(graph, 70, 9, **arguments | {"epoch": 3})).any()
    starts = np.bincount(whole[:, 0], minlength=5)
    assert (starts == 70).all()


def test_steps_are_pairs_and_the_shortest_walk_has_two_items(graph: ItemGraph) -> None:
    walks = node2vec_walks(graph, 10, 2, p=1e-6, q=1e6, seed=0)
    assert walks.shape == (50, 2)
    assert (graph.adjacency.toarray()[walks[:, 0], walks[:, 1]] > 0).all()


@pytest.mark.parametrize(("p", "q"), EXTREMES)
def test_every_step_of_many_lanes_is_a_pair(p: float, q: float) -> None:
    rng = np.random.default_rng(4)
    ends = np.unique(np.sort(rng.integers(0, 300, (900, 2)), axis=1), axis=0)
    ends = ends[ends[:, 0] != ends[:, 1]]
    graph = ItemGraph.from_pairs(ends[:, 0], ends[:, 1], rng.uniform(0.1, 9, len(ends)), 300)
    walks = node2vec_walks(graph, 5, 21, p=p, q=q, seed=0)
    assert (np.bincount(walks[:, 0], minlength=300) == 5 * (graph.degrees > 0)).all()
    assert (graph.adjacency.toarray()[walks[:, :-1], walks[:, 1:]] > 0).all()


def test_full_buckets_change_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    upper = np.argwhere(np.triu(np.ones((40, 40)), 1))
    rng = np.random.default_rng(0)
    chosen = upper[rng.choice(len(upper), 300, replace=False)]
    weights = rng.uniform(0.1, 3, 300)

    def walk(q: float) -> np.ndarray:
        fresh = ItemGraph.from_pairs(chosen[:, 0], chosen[:, 1], weights, 40)
        return node2vec_walks(fresh, 50, 12, p=0.5, q=q, seed=0)

    apart = [walk(q) for q in (4.0, 0.25)]
    monkeypatch.setattr(pair_set, "_MEAN", 10**6)  # all pairs in one bucket, which is full
    for q, walks in zip((4.0, 0.25), apart, strict=True):
        np.testing.assert_array_equal(walk(q), walks)


def test_frequencies_are_those_of_the_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = ItemGraph.from_pairs(PAIRS[:, 0], PAIRS[:, 1], WEIGHTS, 7)  # two items without pairs
    estimate = estimated_frequencies(graph, 400, p=0.1, q=3, seed=0)
    walks = node2vec_walks(graph, 50, 400, p=0.1, q=3, seed=9)
    counted = np.bincount(walks.ravel(), minlength=7) / walks.size
    np.testing.assert_allclose(estimate, counted, atol=0.05)
    assert (estimate[5:] == 0).all()
    monkeypatch.setattr(node2vec, "_COUNTED_WALKS", 7)
    in_parts = estimated_frequencies(graph, 400, p=0.1, q=3, seed=0)
    np.testing.assert_array_equal(in_parts, estimate)
    assert estimate.sum() == pytest.approx(1)


@pytest.mark.parametrize(("name", "value"), [("p", 0.0), ("q", -1.0), ("p", np.inf), ("q", np.nan)])
def test_impossible_parameters_are_refused(graph: ItemGraph, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be (> 0|a finite number)"):
        node2vec_walks(graph, 1, 3, **{"p": 1.0, "q": 1.0, name: value}, seed=0)
