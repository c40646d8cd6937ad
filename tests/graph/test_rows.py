import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.graph import rows
from recsys_lab.graph.graph import ItemGraph


def random_pairs(num_items: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs (P, 2) in ascending order, and their weights."""
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, num_items, (count, 2))
    ends = np.unique(np.sort(ends[ends[:, 0] != ends[:, 1]], axis=1), axis=0)
    return ends, rng.uniform(0.1, 5, len(ends)).astype(np.float32)


@pytest.fixture(params=[1, 3])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread; or three, however small the graph."""
    for name in ("_SMALL", "_FEW_ENTRIES"):
        monkeypatch.setattr(rows, name, 0)
    monkeypatch.setattr("recsys_lab.compute.threads._chosen", request.param)


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("num_items", [2, 3, 10, 57, 400])
@pytest.mark.parametrize("count", [0, 1, 30, 2000])
def test_rows_are_those_of_scipy(num_items: int, count: int) -> None:
    ends, weights = random_pairs(num_items, count, seed=num_items + count)
    graph = ItemGraph.from_pairs(ends[:, 0], ends[:, 1], weights, num_items)
    upper = sp.coo_array((weights, ends.T), shape=(num_items, num_items))
    expected = (upper + upper.T).tocsr()
    expected.sort_indices()
    np.testing.assert_array_equal(graph.indptr, expected.indptr)
    np.testing.assert_array_equal(graph.indices, expected.indices)
    np.testing.assert_array_equal(graph.weights, expected.data)
    assert graph.indptr.dtype == np.int64

    dense = expected.toarray().astype(np.float64)
    vector = np.random.default_rng(0).normal(size=num_items)
    product = rows.multiply(graph.indptr, graph.indices, graph.weights, vector)
    np.testing.assert_allclose(product, dense @ vector, atol=1e-9)
    np.testing.assert_allclose(graph.strength, dense.sum(axis=1))
    filled = graph.strength > 0
    share = dense.max(axis=1)[filled] / graph.strength[filled]
    assert (graph.peak[filled] >= share).all()
    np.testing.assert_allclose(graph.peak[filled], share, rtol=1e-6)
    assert (graph.peak[~filled] == 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(1, 100), st.integers(0, 2**32))
def test_order_and_direction_of_pairs_change_nothing(items: int, count: int, seed: int) -> None:
    ends, weights = random_pairs(items, count, seed)
    rng = np.random.default_rng(seed)
    order, turned = rng.permutation(len(ends)), rng.random(len(ends)) < 0.5
    mixed = np.where(turned[:, None], ends[:, ::-1], ends)[order]
    one = ItemGraph.from_pairs(ends[:, 0], ends[:, 1], weights, items)
    other = ItemGraph.from_pairs(mixed[:, 0], mixed[:, 1], weights[order], items)
    for name in ("indptr", "indices", "weights"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_order_is_told_by_hand() -> None:
    def ordered(*pairs: tuple[int, int]) -> bool:
        return rows.in_order(*np.array(pairs, np.int32).reshape(-1, 2).T)

    assert ordered()
    assert ordered((0, 1), (0, 2), (1, 2))
    assert not ordered((0, 2), (0, 1))
    assert not ordered((1, 2), (0, 3))
    assert not ordered((0, 1), (0, 1))
    assert not ordered((1, 1))
    assert not ordered((2, 1))


def test_bounds_cover_every_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_FEW_ENTRIES", 0)
    monkeypatch.setattr("recsys_lab.compute.threads._chosen", 2)
    assert rows.row_bounds(np.array([0, 0, 0])) == [0, 2]
    bounds = rows.row_bounds(np.array([0, 100, 101, 102, 102]))
    assert bounds[0] == 0
    assert bounds[-1] == 4
    assert bounds == sorted(bounds)
