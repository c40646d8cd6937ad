"""Projection by UMAP itself, which is slow to start: few calls, on few vectors."""

import sys

import numpy as np
import pytest

from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.projection import nearest, project


def groups(num_groups, size, seed=0):
    """Vectors of unlike lengths around a few directions, and the group of each."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(num_groups), size)
    vectors = np.eye(8)[group] + rng.normal(scale=0.1, size=(len(group), 8))
    return (vectors * rng.uniform(0.1, 10, (len(group), 1))).astype(np.float32), group


def test_nearest_rows_are_those_of_brute_force(monkeypatch):
    monkeypatch.setattr("recsys_lab.vectors.projection._QUERIES", 7)  # several blocks
    rng = np.random.default_rng(0)
    queries, keys = rng.normal(size=(2, 30, 4)).astype(np.float32)
    rows, scores = nearest(queries, keys, 5, "test")
    products = queries @ keys.T
    np.fill_diagonal(products, -np.inf)
    np.testing.assert_array_equal(rows, np.argsort(-products, axis=1)[:, :5])
    np.testing.assert_allclose(scores, -np.sort(-products, axis=1)[:, :5], rtol=1e-5)


def test_two_items_are_no_map():
    with pytest.raises(VectorsError, match=r"a map needs at least 3 items .*, got 2$"):
        project(np.eye(2, dtype=np.float32), 0)


def test_an_absent_library_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(VectorsError, match=r"umap-learn: install it with pip install .*explore"):
        project(np.eye(3, dtype=np.float32), 0)


def test_groups_of_directions_stay_together():
    pytest.importorskip("umap.umap_", reason="the extra `explore` is not installed")
    vectors, group = groups(4, 40)
    place = project(vectors, 3)
    assert place.shape == (160, 2)
    assert place.dtype == np.float32
    distance = np.linalg.norm(place[:, None] - place[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(distance, axis=1)[:, :5]
    assert (group[near] == group[:, None]).mean() > 0.99
    np.testing.assert_array_equal(place, project(vectors, 3))
    assert not np.array_equal(place, project(vectors, 4))


@pytest.mark.parametrize("num_items", [3, 4, 16, 17])
def test_few_items_are_placed(num_items):
    pytest.importorskip("umap.umap_", reason="the extra `explore` is not installed")
    vectors, _ = groups(1, num_items)
    vectors[0] = 0  # no direction at all
    assert np.isfinite(project(vectors, 0)).all()
