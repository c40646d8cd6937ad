"""Search by rounded keys is exact: against all products, where rounding hurts most."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.vectors.screen import KeyScreen
from recsys_lab.vectors.search import top_k


def check(keys: np.ndarray, query: np.ndarray, k: int, allowed: np.ndarray) -> None:
    """Compare with all products."""
    screen = KeyScreen.build(keys)
    rows, scores = screen.top_k(query, k, allowed)
    wanted, best = top_k(query[None], keys, k, allowed)
    wanted, best = wanted[0][wanted[0] >= 0], best[0][wanted[0] >= 0]
    products = keys.astype(np.float64) @ query
    assert len(rows) == len(wanted) == min(k, allowed.sum())
    assert allowed[rows].all()
    assert len({*rows.tolist()}) == len(rows)
    scale = np.abs(keys * query).sum(1).max() * 1e-6 + 1e-30
    np.testing.assert_allclose(products[rows], np.sort(products[allowed])[::-1][:k], atol=scale)
    np.testing.assert_allclose(scores, best, atol=scale)
    scaled = query * screen.scales
    approximate = (screen.codes * screen.steps[:, None]).astype(np.float64) @ scaled
    bound = screen.errors * np.linalg.norm(scaled)
    assert (np.abs(approximate - products) <= bound * 1.001 + scale).all()


@settings(deadline=None)  # the first call compiles
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 300),
    dim=st.integers(1, 40),
    k=st.integers(1, 40),
    share=st.sampled_from([0.0, 0.1, 0.9, 1.0]),
    spread=st.sampled_from([0.0, 1.0, 5.0]),
)
def test_nothing_is_lost(
    seed: int, size: int, dim: int, k: int, share: float, spread: float
) -> None:
    """Dimensions and keys of unlike size, equal keys, keys of zero, masks of every density."""
    rng = np.random.default_rng(seed)
    keys = rng.normal(size=(size, dim)) * np.exp(spread * rng.normal(size=dim))
    keys *= np.exp(spread / 2 * rng.normal(size=(size, 1)))
    keys[rng.integers(size, size=size // 3)] = keys[0]
    keys[rng.integers(size, size=size // 9)] = 0
    query = rng.normal(size=dim)
    check(keys.astype(np.float32), query.astype(np.float32), k, rng.random(size) < share)


def test_equal_scores_are_ordered_by_row() -> None:
    keys = np.array([[1, 0], [2, 0], [1, 0], [2, 0], [0, 5]], np.float32)
    rows, scores = KeyScreen.build(keys).top_k(np.array([1, 0], np.float32), 3, np.ones(5, bool))
    assert rows.tolist() == [1, 3, 0]
    assert scores.tolist() == [2, 2, 1]


def test_few_keys_are_compared_exactly() -> None:
    rng = np.random.default_rng(0)
    keys = rng.normal(size=(20_000, 64)).astype(np.float32)
    query = rng.normal(size=64).astype(np.float32)
    screen = KeyScreen.build(keys)
    norm = float(np.linalg.norm(query * screen.scales))
    found = screen._candidates(keys @ query, norm, 10, np.ones(20_000, bool))
    assert 10 <= len(found) < 100
    check(keys, query, 10, np.ones(20_000, bool))


def test_keys_that_are_not_finite_are_refused() -> None:
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="keys must be finite"):
            KeyScreen.build(np.array([[1.0, value]], np.float32))
