"""Exact top-k search of one query at a time, by keys of 8 bits.

A query reads every key once, so its time is that of reading memory, and keys of 8 bits are a
quarter of it. They give every score up to a bound, by the inequality of Cauchy and Schwarz:

    |<query, key> - <query, rounded key>| <= |query| |key - rounded key|

Only the keys whose score may then be among the k best are compared exactly: nothing is lost.
"""

from dataclasses import dataclass

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import even_bounds, run_blocks
from recsys_lab.compute.threads import num_threads
from recsys_lab.vectors.search import NO_ROW, top_k

_LARGEST = 127  # code


@dataclass(frozen=True)
class KeyScreen:
    """Keys (N, E) and their rounded copies.

    Attributes:
        keys: (N, E) float32.
        scales: (E,) of the dimensions, so that none of them takes the range of the codes alone.
        codes: (N, E) int8; key = scales * steps * codes, nearly.
        steps: (N,) float32.
        errors: (N,) float32, norms of what rounding changes, of keys / scales.
    """

    keys: np.ndarray
    scales: np.ndarray
    codes: np.ndarray
    steps: np.ndarray
    errors: np.ndarray

    @classmethod
    def build(cls, keys: np.ndarray) -> "KeyScreen":
        """Round the keys.

        Raises:
            ValueError: a key is not finite.
        """
        scales = np.sqrt(np.einsum("ne,ne->e", keys, keys) / max(len(keys), 1))
        if not np.isfinite(scales).all():
            raise ValueError("keys must be finite, and their squares too")
        scales[scales == 0] = 1.0
        codes = np.empty(keys.shape, np.int8)
        steps, errors = np.empty((2, len(keys)), np.float32)
        found = cls(keys, scales, codes, steps, errors)

        def part(low: int, high: int) -> None:
            rows = slice(low, high)
            _round(keys[rows], scales, codes[rows], steps[rows], errors[rows])

        run_blocks(part, found._bounds())
        return found

    def top_k(
        self, query: np.ndarray, k: int, allowed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows (n,) and scores (n,) of the k best allowed keys, or fewer; see `search.top_k`.

        Args:
            query: (E,) float32.
            k: length of the list.
            allowed: (N,) bool.
        """
        scaled = query * self.scales
        scores = np.empty(len(self.keys), np.float32)

        def part(low: int, high: int) -> None:
            rows = slice(low, high)
            _score(self.codes[rows], self.steps[rows], scaled, scores[rows])

        run_blocks(part, self._bounds())
        rows = self._candidates(scores, float(np.linalg.norm(scaled)), k, allowed)
        if not len(rows):
            return rows, np.empty(0, np.float32)
        places, exact = top_k(query[None], self.keys[rows], k)
        is_item = places[0] != NO_ROW
        return rows[places[0][is_item]], exact[0][is_item]

    def _candidates(
        self, scores: np.ndarray, norm: float, k: int, allowed: np.ndarray
    ) -> np.ndarray:
        """Allowed rows whose score may be among the k best, ascending."""
        if np.count_nonzero(allowed) <= k:
            return np.flatnonzero(allowed)
        dim = len(self.scales)
        rounding = np.finfo(np.float32).eps * dim**1.5 * _LARGEST  # of a sum in float32, at most
        bounds = np.float32(norm) * (self.errors + np.float32(rounding) * self.steps)
        scores[~allowed] = -np.inf
        least = np.partition(scores - bounds, len(scores) - k)[len(scores) - k]
        return np.flatnonzero(scores + bounds >= least)

    def _bounds(self) -> list[int]:
        return even_bounds(len(self.keys), 4 * num_threads())


@jit(fastmath=True)
def _score(codes, steps, query, out):  # type: ignore[no-untyped-def]
    """out[n] = steps[n] * <codes[n], query>."""
    for n in range(len(codes)):
        total = np.float32(0.0)
        for e in range(len(query)):
            total += np.float32(codes[n, e]) * query[e]
        out[n] = total * steps[n]


@jit()
def _round(keys, scales, codes, steps, errors):  # type: ignore[no-untyped-def]
    """See `KeyScreen`."""
    for n in range(len(keys)):
        largest = np.float32(0.0)
        for e in range(len(scales)):
            largest = max(largest, abs(keys[n, e] / scales[e]))
        step = max(largest / np.float32(_LARGEST), np.float32(1e-30))
        error = np.float32(0.0)
        for e in range(len(scales)):
            value = keys[n, e] / scales[e] / step
            codes[n, e] = np.int8(np.rint(value))
            error += (value - codes[n, e]) ** 2
        steps[n] = step
        errors[n] = step * np.sqrt(error)
