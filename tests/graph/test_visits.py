from collections import Counter

import numpy as np
import pytest

from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.graph import visits as visits_module
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.visits import most_visited
from tests.graph.test_walks import transition


def test_shares_follow_the_distribution_after_each_step(small_graph: ItemGraph) -> None:
    """Of three steps, without the places that are the item itself."""
    neighbours, shares = most_visited(small_graph, 4, 40_000, 3, seed=1)
    matrix = transition(small_graph)
    expected = sum(np.linalg.matrix_power(matrix, step) for step in (1, 2, 3))
    np.fill_diagonal(expected, 0)
    for item in range(4):
        found = np.zeros(5)
        np.add.at(found, neighbours[item], shares[item])
        np.testing.assert_allclose(found, expected[item] / expected[item].sum(), atol=0.01)
    assert not shares[4].any()  # has no neighbour


def test_the_most_visited_come_first() -> None:
    """A star: from a leaf, every second step is another leaf or the item itself."""
    star = ItemGraph.from_pairs(np.zeros(3, int), np.array([1, 2, 3]), np.array([8.0, 1, 1]), 4)
    neighbours, shares = most_visited(star, 2, 500, 2, seed=0)
    assert neighbours[2].tolist() == [0, 1]
    assert neighbours[0, 0] == 1
    assert (shares[:, 0] > shares[:, 1]).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)


def test_items_beyond_the_first_do_not_change_it(planted: PreparedData) -> None:
    train = planted.split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    few, many = (most_visited(graph, number, 20, 2, seed=3) for number in (3, 40))
    np.testing.assert_array_equal(few[0], many[0][:, :3])
    for item in graph.start_items[:50]:
        found = {n: s for n, s in zip(many[0][item], many[1][item], strict=True) if s > 0}
        assert item not in found
        counts = Counter(found)
        assert [n for n, _ in counts.most_common()] == list(found)


def test_threads_change_nothing(planted: PreparedData, monkeypatch: pytest.MonkeyPatch) -> None:
    train = planted.split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    whole = most_visited(graph, 5, 10, 2, seed=3)
    monkeypatch.setattr(visits_module, "_BLOCK", 7)
    for one, other in zip(whole, most_visited(graph, 5, 10, 2, seed=3), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (most_visited(graph, 5, 10, 2, seed=4)[0] != whole[0]).any()
