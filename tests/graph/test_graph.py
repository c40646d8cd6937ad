import numpy as np
import pytest

from recsys_lab.graph.graph import ItemGraph


def test_rows_by_hand(small_graph: ItemGraph) -> None:
    assert small_graph.indptr.tolist() == [0, 3, 5, 7, 8, 8]
    assert small_graph.indices.tolist() == [1, 2, 3, 0, 2, 0, 1, 0]
    assert small_graph.degrees.tolist() == [3, 2, 2, 1, 0]
    assert small_graph.start_items.tolist() == [0, 1, 2, 3]
    assert small_graph.weights.tolist() == [1, 2, 5, 1, 1, 2, 1, 5]
    assert small_graph.strength.tolist() == [8, 2, 3, 5, 0]
    np.testing.assert_allclose(small_graph.peak, [5 / 8, 1 / 2, 2 / 3, 1, 0], rtol=1e-6)


@pytest.mark.parametrize("exponent", [2.0, 0.5, 0.0, -1.0])
def test_raised_weights_by_the_formula(small_graph: ItemGraph, exponent: float) -> None:
    raised = small_graph.raised(exponent)
    expected = (np.array([1, 2, 5, 1, 1, 2, 1, 5]) / 5) ** exponent
    np.testing.assert_allclose(raised.weights, expected, rtol=1e-6)
    assert raised.indices.tolist() == small_graph.indices.tolist()
    assert small_graph.weights.tolist() == [1, 2, 5, 1, 1, 2, 1, 5]  # not in place


@pytest.mark.parametrize("exponent", [10.0, -10.0])
def test_raised_weights_stay_in_range(exponent: float) -> None:
    heads, tails = np.array([0, 1, 2]), np.array([1, 2, 3])
    graph = ItemGraph.from_pairs(heads, tails, np.array([1e-30, 1.0, 1e30]), 4)
    raised = graph.raised(exponent).weights
    assert np.isfinite(raised).all()
    assert (raised > 0).all()


@pytest.mark.parametrize(
    ("heads", "tails", "weights", "message"),
    [
        ([0, 0], [1, 1], [1, 1], "distinct"),
        ([0, 1], [1, 0], [1, 1], "distinct"),
        ([2], [2], [1], "two different items"),
        ([0], [3], [1], "outside 0 .. 2"),
        ([-1], [1], [1], "outside 0 .. 2"),
        ([0], [1], [0], "positive"),
        ([0], [1], [np.nan], "finite"),
        ([0], [1], [np.inf], "finite"),
    ],
)
def test_bad_pairs_are_refused(heads: list, tails: list, weights: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ItemGraph.from_pairs(np.array(heads), np.array(tails), np.array(weights, float), 3)
