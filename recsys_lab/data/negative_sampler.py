"""Training negatives: items drawn with probability ~ frequency ** exponent."""

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.graph.alias import build_alias
from recsys_lab.graph.counter import GOLDEN, mix64


@jit()
def _draw(threshold: np.ndarray, alias: np.ndarray, key: np.uint64, out: np.ndarray) -> None:
    size = np.uint64(len(threshold))
    state = key
    for place in range(len(out)):
        state += GOLDEN
        bits = mix64(state)
        slot = ((bits >> np.uint64(32)) * size) >> np.uint64(32)
        coin = np.float32(bits & np.uint64(0xFFFFFF)) * np.float32(2.0**-24)
        out[place] = slot if coin < threshold[slot] else alias[slot]


class NegativeSampler:
    """Draws items with probability ~ frequency ** exponent.

    Mikolov et al. (NIPS 2013), section 2.2. Items of frequency zero are never drawn.

    Args:
        frequencies: (N,) occurrences or shares of the items, not negative.
        exponent: 1 follows the frequencies, 0 is uniform over the items that occur; word2vec
            takes 0.75.

    Raises:
        ValueError: no item occurs.
    """

    def __init__(self, frequencies: np.ndarray, exponent: float) -> None:
        if not (frequencies > 0).any():
            raise ValueError("negatives need at least one item that occurs, got none")
        occurs = frequencies > 0
        powered = np.zeros(len(frequencies))
        powered[occurs] = frequencies[occurs].astype(np.float64) ** exponent
        self.probabilities = powered / powered.sum()
        self._threshold, self._alias = build_alias(self.probabilities)

    def draw(self, count: int, key: np.uint64) -> np.ndarray:
        """Draw `count` items, (count,) int64, a pure function of the key (`stream_key`)."""
        out = np.empty(count, np.int64)
        _draw(self._threshold, self._alias, key, out)
        return out

    def draw_distinct(self, count: int | None, key: np.uint64) -> tuple[np.ndarray, np.ndarray]:
        """Distinct items (K,) int64 of `count` draws, and the chance (K,) that each is among them.

        None takes every item that occurs.
        """
        share = self.probabilities
        if count is None:
            every = np.flatnonzero(share > 0)
            return every, np.ones(len(every), np.float32)
        drawn = np.unique(self.draw(count, key))
        return drawn, (-np.expm1(count * np.log1p(-share[drawn]))).astype(np.float32)
