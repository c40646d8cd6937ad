import numpy as np
import pytest
from scipy.stats import chisquare

from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.graph import walks as walks_module
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.node2vec import node2vec_walks
from recsys_lab.graph.walks import expected_frequencies, num_walks, random_walks


def transition(graph: ItemGraph) -> np.ndarray:
    """Transition probabilities (N, N) by definition."""
    weights = graph.adjacency.toarray().astype(np.float64)
    sums = weights.sum(axis=1, keepdims=True)
    return np.divide(weights, sums, out=np.zeros_like(weights), where=sums > 0)


def test_steps_follow_the_transition_probabilities(small_graph: ItemGraph) -> None:
    walks = random_walks(small_graph, 20_000, 6, seed=3)
    steps = np.stack([walks[:, :-1].ravel(), walks[:, 1:].ravel()], axis=1)
    probabilities = transition(small_graph)
    for item in small_graph.start_items:
        seen = np.bincount(steps[steps[:, 0] == item, 1], minlength=5)
        possible = probabilities[item] > 0
        assert seen[~possible].sum() == 0
        expected = probabilities[item, possible] * seen.sum()
        if possible.sum() > 1:
            assert chisquare(seen[possible], expected).pvalue > 1e-4


def test_second_step_does_not_depend_on_the_first(small_graph: ItemGraph) -> None:
    walks = random_walks(small_graph, 50_000, 3, seed=5)
    through_hub = walks[walks[:, 1] == 0]
    probabilities = transition(small_graph)[0, 1:4]
    for start in (1, 2, 3):
        seen = np.bincount(through_hub[through_hub[:, 0] == start, 2], minlength=5)[1:4]
        assert chisquare(seen, probabilities * seen.sum()).pvalue > 1e-4


def test_each_item_with_a_neighbour_starts_equally_often(small_graph: ItemGraph) -> None:
    walks = random_walks(small_graph, 7, 2, seed=0)
    assert np.bincount(walks[:, 0], minlength=5).tolist() == [7, 7, 7, 7, 0]


def test_a_walk_is_a_function_of_its_number(planted: PreparedData) -> None:
    train = planted.split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    whole = random_walks(graph, 3, 8, seed=1, epoch=2)
    assert len(whole) == num_walks(graph, 3)
    for first, count in ((0, 1), (5, 300), (len(whole) - 3, 3)):
        block = random_walks(graph, 3, 8, seed=1, epoch=2, first=first, count=count)
        np.testing.assert_array_equal(block, whole[first : first + count])
    for other in ({"seed": 2, "epoch": 2}, {"seed": 1, "epoch": 3}):
        assert (random_walks(graph, 3, 8, **other) != whole).mean() > 0.5


def test_threads_change_nothing(planted: PreparedData, monkeypatch: pytest.MonkeyPatch) -> None:
    train = planted.split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    one = random_walks(graph, 5, 8, seed=1, first=3)
    second = node2vec_walks(graph, 5, 8, p=0.5, q=2, seed=1, first=3)
    monkeypatch.setattr(walks_module, "_BLOCK", 999)
    monkeypatch.setattr("recsys_lab.compute.threads._chosen", 3)
    np.testing.assert_array_equal(random_walks(graph, 5, 8, seed=1, first=3), one)
    again = node2vec_walks(graph, 5, 8, p=0.5, q=2, seed=1, first=3)
    np.testing.assert_array_equal(again, second)


def test_held_out_pairs_are_never_walked(planted: PreparedData) -> None:
    split = planted.split
    train = split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    walks = random_walks(graph, 40, 10, seed=0).astype(np.int64)
    low = np.minimum(walks[:, :-1], walks[:, 1:]).ravel()
    high = np.maximum(walks[:, :-1], walks[:, 1:]).ravel()
    walked = np.unique(low * split.num_items + high)
    assert np.isin(walked, train.keys).all()
    assert len(walked) > 0.9 * len(train)
    assert not np.isin(split.val.pairs.keys, walked).any()
    assert not np.isin(split.test.pairs.keys, walked).any()


def test_a_bridge_that_is_held_out_is_never_crossed() -> None:
    # Two triangles; the only pair between them, 2-3, is for validation.
    graph = ItemGraph.from_pairs(
        np.array([0, 0, 1, 3, 3, 4]), np.array([1, 2, 2, 4, 5, 5]), np.ones(6), 6
    )
    sides = random_walks(graph, 2000, 10, seed=0) >= 3
    assert (sides == sides[:, :1]).all()


def test_expected_frequencies_match_counts(small_graph: ItemGraph) -> None:
    walks = random_walks(small_graph, 50_000, 10, seed=0)
    counted = np.bincount(walks.ravel(), minlength=5) / walks.size
    np.testing.assert_allclose(expected_frequencies(small_graph, 10), counted, atol=2e-3)
    assert expected_frequencies(small_graph, 1).tolist() == [0.25, 0.25, 0.25, 0.25, 0]


def test_two_items_walk_to_and_fro() -> None:
    graph = ItemGraph.from_pairs(np.array([0]), np.array([1]), np.array([0.5]), 2)
    walks = random_walks(graph, 1, 5, seed=0)
    assert sorted(map(tuple, walks.tolist())) == [(0, 1, 0, 1, 0), (1, 0, 1, 0, 1)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"walk_length": 1}, "walk_length must be >= 2, got 1"),
        ({"walks_per_item": 0}, "walks_per_item must be >= 1, got 0"),
        ({"first": 10_000}, "outside an epoch"),
    ],
)
def test_bad_arguments_are_named(small_graph: ItemGraph, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        random_walks(small_graph, **{"walks_per_item": 2, "walk_length": 3, "seed": 0, **arguments})


def test_a_graph_without_pairs_is_refused() -> None:
    none = np.empty(0, np.int64)
    with pytest.raises(ValueError, match="no pairs"):
        random_walks(ItemGraph.from_pairs(none, none, none, 3), 1, 2, seed=0)
