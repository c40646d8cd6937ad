"""Intervals by a bootstrap over items, not pairs.

Pairs that share an item are not independent: drawing pairs anew leaves out the chance of having met
these items and gives intervals several times too narrow. Here every replicate weighs the items, and
a pair weighs the product of its ends (the pigeonhole bootstrap: Owen, 2007). The weights are
standard exponential, of mean and variance 1 as a multinomial draw's (the Bayesian variant: Owen and
Eckles, 2012); being positive they never leave a small slice without pairs. Where the items have no
effect at all the interval is too wide, by up to the square root of three.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recsys_lab.evaluation.metrics import tie_bounds, weighted_auc
from recsys_lab.evaluation.protocol import PairScores
from recsys_lab.evaluation.ranking import RankingResult
from recsys_lab.evaluation.slices import EvaluationPairs, slice_masks

Statistic = Callable[[np.ndarray], float]  # of (N,) item weights


@dataclass(frozen=True)
class Interval:
    """A value with the percentile interval around it."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    statistic: Statistic,
    num_items: int,
    replicates: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a statistic under random item weights.

    Args:
        statistic: the value under (N,) item weights; `auc_statistic`, `ranking_statistic`, or a
            `difference` of two.
        num_items: N.
        replicates: number of draws.
        level: share of the draws inside the interval, in (0, 1).
        seed: the same seed draws the same weights, for every statistic.

    Returns:
        The value at equal weights, and the interval.
    """
    if replicates < 2 or not 0.0 < level < 1.0:
        raise ValueError(f"need replicates >= 2 and 0 < level < 1, got {replicates} and {level}")
    rng = np.random.default_rng(seed)
    draws = [statistic(rng.standard_exponential(num_items)) for _ in range(replicates)]
    low, high = np.quantile(draws, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(statistic(np.ones(num_items)), float(low), float(high))


def auc_statistic(
    pairs: EvaluationPairs, scores: PairScores, protocol: str, part: str = "all"
) -> Statistic:
    """AUC-ROC of a slice as a function of item weights; sorts once, then linear in the pairs.

    Unscored pairs take the median, as in `evaluate_auc`.

    Raises:
        ValueError: where `evaluate_auc` gives None.
    """
    ours = slice_masks(pairs.seen, pairs.positives)[part]
    theirs = slice_masks(pairs.seen, pairs.negatives[protocol])[part]
    both = scores.of_slice(protocol, ours, theirs)
    if both is None:
        raise ValueError(f"slice {part!r} lacks scored positives or scored negatives ({protocol})")
    below, upto, order = tie_bounds(*both)
    heads, tails = np.ascontiguousarray(pairs.positives[ours].T)  # (P,)
    negatives = pairs.negatives[protocol][theirs][order]  # (M, 2) ascending by score
    negative_heads, negative_tails = np.ascontiguousarray(negatives.T)

    def statistic(weights: np.ndarray) -> float:
        return weighted_auc(
            weights[heads] * weights[tails],
            weights[negative_heads] * weights[negative_tails],
            below,
            upto,
        )

    return statistic


def ranking_statistic(result: RankingResult, metric: str, part: str = "all") -> Statistic:
    """A ranking metric of a slice as a function of item weights.

    A (query, target) weighs the product of its ends, so that the two directions of a pair stay
    together and a pair weighs the same here as in the AUC. The rank itself stays: the catalogue
    that the target is ranked among is not drawn anew.

    Raises:
        ValueError: the slice is empty, or the metric unknown.
    """
    mask = result.slices()[part]
    if not mask.any():
        raise ValueError(f"no queries in slice {part!r}")
    query, target, values = result.query[mask], result.target[mask], result.values(metric)[mask]

    def statistic(weights: np.ndarray) -> float:
        each = weights[query] * weights[target]
        # not np.dot: its threads stall on a machine that is busy
        return float(np.einsum("r,r->", each, values) / each.sum())

    return statistic


def difference(first: Statistic, second: Statistic) -> Statistic:
    """First - second under the same weights: what a paired comparison is made of."""
    return lambda weights: first(weights) - second(weights)


def ranking_difference(
    first: RankingResult, second: RankingResult, metric: str, part: str = "all"
) -> Statistic:
    """Paired difference of two scorers on the same queries.

    Raises:
        ValueError: the two results rank different queries or targets.
    """
    if not (
        np.array_equal(first.query, second.query) and np.array_equal(first.target, second.target)
    ):
        raise ValueError("the results rank different queries; use one split, max_scores and seed")
    return difference(
        ranking_statistic(first, metric, part), ranking_statistic(second, metric, part)
    )
