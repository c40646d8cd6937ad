"""The weighted sum of two scores, and the weight that ranks validation best."""

from collections.abc import Callable, Sequence

import numpy as np

from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.evaluation.slices import EvaluationPairs

# Of the second score, both in standard units.
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_METRIC = "ndcg@10"
_SAMPLE = 256  # queries whose scores tell the standard units


class Mixture:
    """score(q, j) = first(q, j) + weight * second(q, j); NaN where either is."""

    def __init__(self, first: Scorer, second: Scorer, weight: float) -> None:
        self.first, self.second, self.weight = first, second, weight

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) float64."""
        added = np.asarray(self.second.score_pairs(heads, tails), np.float64)
        return np.asarray(self.first.score_pairs(heads, tails) + self.weight * added)

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) float32."""
        scores = self.second.score_rows(queries)
        scores *= np.float32(self.weight)
        scores += self.first.score_rows(queries)
        return scores


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
        mixture = Mixture(first, second, weight * unit)
        ranking = evaluate_ranking(mixture, pairs, (10,), max_scores, seed, progress)
        found.append((ranking.mean(_METRIC), -weight))
    value, weight = max(found)  # of equal ones the smallest weight
    return -weight * unit, value


def _spread(scorer: Scorer, queries: np.ndarray) -> float:
    """Mean standard deviation of the scores of a query; 0 where there are none."""
    scores = scorer.score_rows(queries)
    has_score = np.isfinite(scores)
    rows = has_score.any(axis=1)
    if not rows.any():
        return 0.0
    return float(np.std(scores[rows], axis=1, where=has_score[rows]).mean())
