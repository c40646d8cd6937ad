"""Random weights of ends in several draws of a bootstrap, and those of pairs, which all share."""

from threading import Lock

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import run_parts
from recsys_lab.compute.prefetch import prefetch
from recsys_lab.evaluation.slices import EvaluationPairs

LANES = 8  # draws that are evaluated together: their weights of an end or pair fill a cache line
_LINE = 64  # bytes
AHEAD = 24  # rows of weights that are loaded before they are needed


class Draws:
    """Weights of E ends in at most LANES draws.

    Threads may ask at the same time.

    Args:
        ends: (E, R) positive weights. Lanes without a draw have weights of 1.

    Attributes:
        ends: (E, LANES).
        count: R.
    """

    def __init__(self, ends: np.ndarray) -> None:
        self.ends = _rows_in_lines(len(ends))
        self._pairs: dict[tuple[int, str], np.ndarray] = {}
        self._current: set[tuple[int, str]] = set()
        self._lock = Lock()
        self.draw(ends.T)

    def draw(self, weights: np.ndarray) -> None:
        """Take other weights, (R, E), in the same memory."""
        self.count = len(weights)
        self.ends[:, : self.count] = weights.T
        self.ends[:, self.count :] = 1.0
        self._current.clear()

    def of_pairs(self, pairs: EvaluationPairs, protocol: str = "") -> np.ndarray:
        """(P, LANES) products of the weights of both ends, made once.

        Args:
            pairs: it has to live as long as this object.
            protocol: of negatives; else of the positives.
        """
        key = id(pairs), protocol
        with self._lock:
            if key not in self._current:
                ids = pairs.ends(pairs.negatives[protocol] if protocol else pairs.positives)
                if key not in self._pairs:
                    self._pairs[key] = _rows_in_lines(len(ids))
                out = self._pairs[key]
                run_parts(
                    lambda low, high: _multiply(self.ends, ids[low:high], out[low:high]), len(ids)
                )
                self._current.add(key)
            return self._pairs[key]


def _rows_in_lines(count: int) -> np.ndarray:
    """(count, LANES) float64, each row in a cache line of its own."""
    size = count * LANES * 8
    memory = np.empty(size + _LINE, np.uint8)
    first = -memory.ctypes.data % _LINE
    return memory[first : first + size].view(np.float64).reshape(count, LANES)


@jit()
def _multiply(weights, pairs, out):  # type: ignore[no-untyped-def]
    """out[p] = weights of the one end of pairs[p] times those of the other."""
    entries, last = weights.ravel(), len(pairs) - 1
    for p in range(len(pairs)):
        ahead = min(p + AHEAD, last)
        prefetch(entries, pairs[ahead, 0] * LANES)
        prefetch(entries, pairs[ahead, 1] * LANES)
        head, tail = pairs[p, 0], pairs[p, 1]  # read once: in the loop they are read in every lane
        for r in range(LANES):
            out[p, r] = weights[head, r] * weights[tail, r]
