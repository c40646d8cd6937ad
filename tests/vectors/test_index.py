"""The index of cells against exact search, on vectors of unlike norms with clusters and hubs."""

import numpy as np
import pytest

from recsys_lab.vectors import index as room
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.index import CellIndex, build_index, measured_recall
from recsys_lab.vectors.search import NO_ROW, top_k

K = 10


def clustered(num_items=3000, dim=16, seed=0):
    """Queries and keys around 60 directions, norms from .1 to 10; a tenth of the rows is zero."""
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(60, dim))
    made = topics[rng.integers(60, size=num_items)] + 0.3 * rng.normal(size=(num_items, dim))
    norms = np.exp(rng.uniform(np.log(0.1), np.log(10), num_items))[:, None]
    keys = (made * norms).astype(np.float32)
    zero = rng.random(num_items) < 0.1
    keys[zero] = 0
    return made.astype(np.float32), keys, ~zero


@pytest.fixture(autouse=True)
def small_hubs(monkeypatch):
    monkeypatch.setattr(room, "_MIN_HUBS", 20)


def test_lists_are_nearly_the_exact_ones():
    queries, keys, allowed = clustered()
    index = build_index(queries, keys, allowed, K, min_recall=0.95)
    own = np.flatnonzero(allowed)
    rows, scores = index.top_k(queries[own], K, own)
    exact = (queries @ keys.T)[own]
    exact[:, ~allowed] = -np.inf
    exact[np.arange(len(own)), own] = -np.inf
    best = np.argsort(-exact, axis=1)[:, :K]
    shared = [len(np.intersect1d(a, b)) for a, b in zip(rows, best, strict=True)]
    assert np.mean(shared) / K == pytest.approx(index.plan.recall, abs=0.02)
    assert index.plan.recall >= 0.95
    assert index.plan.probes < len(index.plan.centers) // 4
    assert allowed[rows].all()
    assert not (rows == own[:, None]).any()
    assert all(len(set(row)) == K for row in rows.tolist())
    np.testing.assert_allclose(scores, np.take_along_axis(exact, rows, 1), rtol=1e-4)
    assert (np.diff(scores, axis=1) <= 0).all()


def test_all_cells_together_give_the_exact_lists():
    queries, keys, allowed = clustered(num_items=400)
    index = build_index(queries, keys, allowed, K, min_recall=1.0, probes=10_000)
    own = np.flatnonzero(allowed)
    found, exact = index.top_k(queries[own], K, own), top_k(queries[own], keys, K, allowed, own)
    np.testing.assert_array_equal(found[0], exact[0])
    np.testing.assert_allclose(found[1], exact[1], rtol=1e-5)


def test_hubs_are_found_from_every_cell():
    """Keys that a constant dimension lifts, as popularity does, lie in cells of their own."""
    rng = np.random.default_rng(0)
    queries, keys = rng.normal(size=(2, 4000, 8)).astype(np.float32)
    queries[:, 0], keys[:, 0] = 1, 0
    keys[::400] = 0
    keys[::400, 0] = 50 + np.arange(10)
    index = build_index(queries, keys, np.ones(4000, bool), K, min_recall=0, probes=1)
    rows, _ = index.top_k(queries[1:400], K, np.arange(1, 400))
    assert (rows == np.arange(3600, -1, -400)).all()


@pytest.mark.parametrize("k", [3, 12, 40])
def test_few_items_and_long_lists(k):
    queries, keys = np.random.default_rng(0).normal(size=(2, 12, 4)).astype(np.float32)
    index = build_index(queries, keys, np.ones(12, bool), k, min_recall=1.0)
    rows, scores = index.top_k(queries, k, np.arange(12))
    expected = top_k(queries, keys, k, exclude=np.arange(12))
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_allclose(scores, expected[1], rtol=1e-5)
    assert (rows[:, 11:] == NO_ROW).all()


def test_an_index_that_finds_too_little_is_refused():
    queries, keys = np.random.default_rng(0).normal(size=(2, 3000, 64)).astype(np.float32)
    everything = np.ones(3000, bool)
    with pytest.raises(VectorsError, match=r"finds 0\.\d+ .* with 2 of its 164 cells .*--exact"):
        build_index(queries, keys, everything, K, min_recall=0.9, probes=2)
    with pytest.raises(VectorsError, match=r"with 16 of its 164 cells searched, less than 0\.9"):
        build_index(queries, keys, everything, K, min_recall=0.9)  # not more: exact is as fast


def test_a_plan_gives_the_same_index_again():
    queries, keys, allowed = clustered(num_items=1000)
    index = build_index(queries, keys, allowed, K, min_recall=0)
    again = CellIndex.build(keys, allowed, index.plan)
    for one, other in zip(
        index.top_k(queries, K, np.arange(1000)),
        again.top_k(queries, K, np.arange(1000)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_recall_by_hand():
    exact = np.array([[3.0, 2.0], [5.0, np.nan], [np.nan, np.nan]], np.float32)
    found = np.array([[3.0, 1.0], [5.0, np.nan], [np.nan, np.nan]], np.float32)
    assert measured_recall(found, exact) == pytest.approx(2 / 3)
    assert measured_recall(exact, exact) == 1
    ties = np.array([[2.0, 2.0]], np.float32)  # whichever of equal ones are found
    assert measured_recall(ties, ties) == 1
    assert measured_recall(exact[:0], exact[:0]) == 1
