"""Mixtures: weighted sums of what several scorers say, and the weight of two by a grid."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.evaluation.slices import EvaluationPairs

# Of the second score, both in standard units.
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_METRIC = "ndcg@10"
_SAMPLE = 256  # queries whose scores tell the standard units
_PART_BYTES = 192 * 2**20  # of the scores of all parts that are held at a time
_VALUES = 2**19  # scores that are mixed at a time, so that they stay in the caches


class Form(NamedTuple):
    """How the scores of a part count: ((a function of s) - center) / scale.

    Attributes:
        floor: None: s itself, NaN where there is no score. Else max(s, floor), or with `logs` the
            log of max(s, 0) + floor; no score counts as the smallest one.
        logs: whether the log is taken.
        center: mean of the function.
        scale: its deviation.
    """

    floor: float | None = None
    logs: bool = False
    center: float = 0.0
    scale: float = 1.0

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """The values of scores of any shape, in float32."""
        values = np.asarray(scores, np.float32)
        if self.floor is not None:
            values = np.fmax(values, 0 if self.logs else self.floor)  # of NaN: the number
            if self.logs:
                values = np.log(values + np.float32(self.floor))
        return (values - np.float32(self.center)) / np.float32(self.scale)


class Mixture:
    """score(q, j) = sum_k w_k v_k + sum_kl P_kl v_k v_l, where v_k is what part k says of q and j.

    It is symmetric where all parts are. A pair that no part scores has no score: NaN.

    Args:
        parts: scorers of the same queries and items, by name.
        forms: of each part.
        weights: (K,) w.
        products: (K, K) P; None: there are none.
    """

    def __init__(
        self,
        parts: Mapping[str, Scorer],
        forms: Sequence[Form],
        weights: np.ndarray | Sequence[float],
        products: np.ndarray | None = None,
    ) -> None:
        self.parts, self.forms = dict(parts), tuple(forms)
        self.weights = np.asarray(weights, np.float32)
        self.products = None if products is None else np.asarray(products, np.float32)

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) float32."""
        return self._mix([part.score_pairs(heads, tails) for part in self.parts.values()])

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) float32; the scores of the parts are held for a few queries at a time."""
        queries = np.asarray(queries)
        found: list[np.ndarray] = []
        start, size = 0, 1
        while start < len(queries) or not found:
            asked = queries[start : start + size]
            found.append(self._mix([part.score_rows(asked) for part in self.parts.values()]))
            start += size
            size = max(1, _PART_BYTES // (4 * len(self.parts) * max(1, found[0].shape[1])))
        return np.concatenate(found)

    def _mix(self, scores: Sequence[np.ndarray]) -> np.ndarray:
        """The mixture of scores of equal shape, a block at a time."""
        flat = [np.asarray(one).reshape(-1) for one in scores]
        mixed = np.empty(len(flat[0]), np.float32)
        for start in range(0, len(mixed), _VALUES):
            part = slice(start, start + _VALUES)
            block = [one[part] for one in flat]
            values = np.stack([form(s) for form, s in zip(self.forms, block, strict=True)], axis=1)
            total = values @ self.weights  # (n,)
            if self.products is not None:
                total += np.einsum("nk,nk->n", values @ self.products, values)
            total[np.logical_and.reduce([np.isnan(s) for s in block])] = np.nan
            mixed[part] = total
        return mixed.reshape(np.shape(scores[0]))


def best_weight(
    first: Scorer,
    second: Scorer,
    pairs: EvaluationPairs,
    max_scores: float,
    seed: int,
    weights: Sequence[float] = WEIGHTS,
    progress: Callable[[int], None] = lambda ranked: None,
) -> tuple[float, float]:
    """The weight of the second score whose sum with the first ranks some pairs best.

    Args:
        first: a scorer.
        second: another one, of the same queries.
        pairs: of validation.
        max_scores: a sample of the queries is ranked if they need more scores than that.
        seed: of the samples.
        weights: to choose from, in standard deviations of the scores of a query.
        progress: called with the number of queries ranked since the last call.

    Returns:
        the weight, and its NDCG@10.
    """
    queries = np.unique(pairs.to_rank()[0])
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(queries)[:_SAMPLE])
    unit = _spread(first, some) / max(_spread(second, some), 1e-12)
    found = []
    for weight in weights:
        mixture = sum_of_two(first, second, weight * unit)
        ranking = evaluate_ranking(mixture, pairs, (10,), max_scores, seed, progress)
        found.append((ranking.mean(_METRIC), -weight))
    value, weight = max(found)  # of equal ones the smallest weight
    return -weight * unit, value


def sum_of_two(first: Scorer, second: Scorer, weight: float) -> Mixture:
    """The first score + weight * the second; NaN where either is."""
    return Mixture({"first": first, "second": second}, (Form(), Form()), (1.0, weight))


def _spread(scorer: Scorer, queries: np.ndarray) -> float:
    """Mean standard deviation of the scores of a query; 0 where there are none."""
    scores = scorer.score_rows(queries)
    has_score = np.isfinite(scores)
    rows = has_score.any(axis=1)
    if not rows.any():
        return 0.0
    return float(np.std(scores[rows], axis=1, where=has_score[rows]).mean())
