import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys_lab.graph.alias import build_alias, build_alias_rows


def implied(threshold: np.ndarray, alias: np.ndarray) -> np.ndarray:
    """The distribution that a table draws from, worked out exactly."""
    size = len(threshold)
    probabilities = np.zeros(size)
    for slot in range(size):
        probabilities[slot] += threshold[slot] / size
        probabilities[alias[slot]] += (1 - threshold[slot]) / size
    return probabilities


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1e6)).filter(lambda w: w.sum() > 0)
)
def test_table_draws_from_the_weights(weights: np.ndarray) -> None:
    threshold, alias = build_alias(weights)
    np.testing.assert_allclose(implied(threshold, alias), weights / weights.sum(), atol=1e-6)


def test_rows_yield_column_ids() -> None:
    indptr = np.array([0, 2, 2, 3])
    indices = np.array([7, 9, 4], np.int32)
    threshold, alias = build_alias_rows(indptr, indices, np.array([1.0, 3.0, 2.0], np.float32))
    assert threshold[2] == 1.0
    assert set(alias[:2]) <= {7, 9}
    # Slot 0 holds item 7 with weight 1 of 4: half of the slot is its own, half goes to item 9.
    np.testing.assert_allclose(threshold[:2], [0.5, 1.0])
    assert alias[0] == 9
