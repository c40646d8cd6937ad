import numpy as np
import pytest
from scipy.stats import chisquare

from recsys_lab.data.negative_sampler import NegativeSampler
from recsys_lab.graph.counter import stream_key


@pytest.mark.parametrize("exponent", [0.0, 0.5, 0.75, 1.0])
def test_draws_follow_the_powered_frequencies(exponent: float) -> None:
    frequencies = np.array([100.0, 0.0, 10.0, 1.0, 25.0])
    sampler = NegativeSampler(frequencies, exponent)
    counts = np.bincount(sampler.draw(200_000, stream_key(4)), minlength=5)
    assert counts[1] == 0
    occurs = frequencies > 0
    expected = frequencies[occurs] ** exponent
    expected *= counts.sum() / expected.sum()
    assert chisquare(counts[occurs], expected).pvalue > 1e-4


def test_draws_are_a_function_of_the_key() -> None:
    sampler = NegativeSampler(np.arange(1.0, 100), 0.75)
    one, same, other = (sampler.draw(50, stream_key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    np.testing.assert_array_equal(sampler.draw(20, stream_key(1)), one[:20])


def test_nothing_to_draw_from_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one item"):
        NegativeSampler(np.zeros(3), 0.75)
