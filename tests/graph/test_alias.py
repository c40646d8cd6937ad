import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys_lab.graph.alias import build_alias


def implied(threshold: np.ndarray, alias: np.ndarray) -> np.ndarray:
    """The distribution that a table draws from, worked out exactly."""
    size = len(threshold)
    probabilities = np.zeros(size)
    for slot in range(size):
        probabilities[slot] += threshold[slot] / size
        probabilities[alias[slot]] += (1 - threshold[slot]) / size
    return probabilities


@settings(deadline=None)  # the first example compiles
@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1e6)).filter(lambda w: w.sum() > 0)
)
def test_table_draws_from_the_weights(weights: np.ndarray) -> None:
    threshold, alias = build_alias(weights)
    np.testing.assert_allclose(implied(threshold, alias), weights / weights.sum(), atol=1e-6)


def test_a_table_by_hand() -> None:
    # Slot 0 has weight 1 of 4: half of the slot is its own, half goes to 1.
    threshold, alias = build_alias(np.array([1.0, 3.0]))
    assert threshold.tolist() == [0.5, 1.0]
    assert alias[0] == 1
