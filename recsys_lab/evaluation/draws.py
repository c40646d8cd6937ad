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
        self._pairs: dict[int, np.ndarray] = {}
        self._current: set[int] = set()
        self._lock = Lock()
        self.draw(ends.T)

    def draw(self, weights: np.ndarray) -> None:
        """Take other weights, (R, E), in the same memory."""
        self.count = len(weights)
        self.ends[:, : self.count] = weights.T
        self.ends[:, self.count :] = 1.0
        self._current.clear()

    def of_pairs(self, pairs: EvaluationPairs) -> np.ndarray:
        """(T, LANES) products of the weights of both ends, made once.

        Rows are the positives, then the negatives of each protocol (`first_negative`). The pairs
        have to live as long as this object.
        """
        key, parts = id(pairs), [pairs.positives, *pairs.negatives.values()]
        with self._lock:
            if key not in self._pairs:
                self._pairs[key] = _rows_in_lines(sum(map(len, parts)))
            if key not in self._current:
                self._multiply(pairs, parts, self._pairs[key])
                self._current.add(key)
            return self._pairs[key]

    def _multiply(self, pairs: EvaluationPairs, parts: list[np.ndarray], out: np.ndarray) -> None:
        first = 0
        for part in parts:
            _run(self.ends, pairs.ends(part), out[first : first + len(part)])
            first += len(part)


def _run(weights: np.ndarray, ids: np.ndarray, out: np.ndarray) -> None:
    run_parts(lambda low, high: _multiply(weights, ids[low:high], out[low:high]), len(ids))


def first_negative(pairs: EvaluationPairs, protocol: str) -> int:
    """The row of `Draws.of_pairs` of a protocol's first negative."""
    names = list(pairs.negatives)
    before = names[: names.index(protocol)]
    return len(pairs.positives) + sum(len(pairs.negatives[name]) for name in before)


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
