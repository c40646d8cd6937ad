"""Intervals by a bootstrap over the ends of pairs, items and other queries, not over pairs.

Pairs that share an item are not independent: drawing pairs anew leaves out the chance of drawing
these items and gives intervals several times too narrow. Here every replicate weighs the items, and
a pair weighs the product of its ends (the pigeonhole bootstrap: Owen, 2007). The weights are
standard exponential, of mean and variance 1 as a multinomial draw's (the Bayesian variant: Owen and
Eckles, 2012); they are positive, so a small slice always keeps its pairs. If the scores do not
depend on the items, the interval is too wide, by up to the square root of three.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from recsys_lab.compute.checks import checked
from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import map_in_threads
from recsys_lab.compute.ranges import Replicates
from recsys_lab.evaluation.metrics import tie_bounds
from recsys_lab.evaluation.protocol import PairScores, scores_by_slice
from recsys_lab.evaluation.ranking import RankingResult
from recsys_lab.evaluation.slices import EvaluationPairs

Statistic = Callable[[np.ndarray], np.ndarray]  # of (E, R) weights of ends; (R,), one each draw

LEVEL = 0.95  # share of the draws inside an interval
LANES = 8  # draws that are evaluated together: their weights of an item fill a cache line


@dataclass(frozen=True)
class Interval:
    """A value with the percentile interval around it."""

    value: float
    low: float
    high: float


@checked
def bootstrap_intervals(
    statistics: Mapping[str, Statistic], num_ends: int, replicates: Replicates = 200, seed: int = 0
) -> dict[str, Interval]:
    """95 % percentile intervals of statistics under random weights of ends, the same for all.

    Args:
        statistics: by name, values under (E, R) weights; `auc_statistic`, `ranking_statistic`,
            or a `difference` of two. They are evaluated at the same time.
        num_ends: E, the items, or queries and items: the length of `EvaluationPairs.seen_ends`.
        replicates: number of draws.
        seed: the same seed draws the same weights.

    Returns:
        The value at equal weights, and the interval, by name.
    """
    if not statistics:
        return {}
    rng = np.random.default_rng(seed)
    found = [_evaluate(statistics, np.ones((num_ends, 1)))]  # (S, 1), then (S, R) for each block
    for start in range(0, replicates, LANES):
        draws = min(LANES, replicates - start)
        found.append(_evaluate(statistics, rng.standard_exponential((draws, num_ends)).T.copy()))
    values = np.concatenate(found, axis=1)  # (S, 1 + replicates)
    lows, highs = np.quantile(values[:, 1:], [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0], axis=1)
    table = zip(statistics, values[:, 0], lows, highs, strict=True)
    return {name: Interval(*map(float, interval)) for name, *interval in table}


def _evaluate(statistics: Mapping[str, Statistic], weights: np.ndarray) -> list[np.ndarray]:
    return map_in_threads(lambda statistic: statistic(weights), statistics.values())


def auc_statistic(
    pairs: EvaluationPairs, scores: PairScores, protocol: str, part: str = "all"
) -> Statistic:
    """AUC-ROC of a slice as a function of weights of ends; sorts once, then linear in the pairs.

    Unscored pairs take the median, as in `auc_metrics`.

    Raises:
        ValueError: the AUC of the slice is undefined.
    """
    both = scores_by_slice(pairs, scores, protocol).get(part)
    if both is None:
        raise ValueError(f"slice {part!r} lacks scored positives or scored negatives ({protocol})")
    ascending, ends = [], []
    for ids, values in zip((pairs.positives, pairs.negatives[protocol]), both, strict=True):
        order = np.argsort(values)
        ascending.append(values[order])
        ends.append(pairs.ends(ids[pairs.slices(ids)[part]][order]).astype(np.int32))
    below, upto = tie_bounds(*ascending)

    def statistic(weights: np.ndarray) -> np.ndarray:
        return weighted_auc(weights, ends[0], ends[1], below, upto)

    return statistic


def weighted_auc(
    weights: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    below: np.ndarray,
    upto: np.ndarray,
) -> np.ndarray:
    """AUC where a pair weighs the product of its ends, for R sets of weights in one pass.

    Args:
        weights: (E, R) positive weights of the ends; R is at most `LANES`.
        positives: (P, 2) pairs in ascending order of their scores.
        negatives: (M, 2) likewise.
        below: (P,) number of negatives that score below each positive.
        upto: (P,) number of negatives that score below it or the same.

    Returns:
        (R,) areas.
    """
    count = weights.shape[1]
    if count < LANES:  # the compiled loops have a fixed length, which halves their time
        weights = np.pad(weights, ((0, 0), (0, LANES - count)), constant_values=1.0)
    return _weighted_auc(weights, positives, negatives, below, upto)[:count]


@jit()
def _weighted_auc(weights, positives, negatives, below, upto):  # type: ignore[no-untyped-def]
    passed, tied = np.zeros(LANES), np.zeros(LANES)  # weight of the negatives below, and level
    total, won = np.zeros(LANES), np.zeros(LANES)
    p = k = 0
    while p < len(positives):
        low, high = below[p], upto[p]
        k = _add_weights(weights, negatives, k, low, passed)
        tied[:] = 0.0
        k = _add_weights(weights, negatives, k, high, tied)
        while p < len(positives) and below[p] == low and upto[p] == high:
            head, tail = positives[p, 0], positives[p, 1]
            for r in range(LANES):
                weight = weights[head, r] * weights[tail, r]
                total[r] += weight
                won[r] += weight * (passed[r] + 0.5 * tied[r])
            p += 1
        passed += tied
    _add_weights(weights, negatives, k, len(negatives), passed)
    return np.minimum(won / (total * passed), 1.0)


@jit()
def _add_weights(weights, pairs, start, stop, total):  # type: ignore[no-untyped-def]
    """Add the weights of pairs[start:stop] to total (LANES,); returns stop."""
    for k in range(start, stop):
        head, tail = pairs[k, 0], pairs[k, 1]  # read once: in the loop they are read in every lane
        for r in range(LANES):
            total[r] += weights[head, r] * weights[tail, r]
    return stop


def ranking_statistic(result: RankingResult, metric: str, part: str = "all") -> Statistic:
    """A ranking metric of a slice as a function of the weights of the ends.

    A (query, target) weighs the product of its ends, times its share of the query's list, so that
    the two directions of a pair stay together and a pair weighs the same here as in the AUC. The
    rank itself stays: the catalogue that the target is ranked among is not drawn anew.

    Raises:
        ValueError: the slice is empty, or the metric unknown.
    """
    mask = result.slices()[part]
    if not mask.any():
        raise ValueError(f"no queries in slice {part!r}")
    query, target = result.ends[mask].T
    values, shares = result.values(metric, part), result.shares(part)[:, None]

    def statistic(weights: np.ndarray) -> np.ndarray:
        each = weights[query] * weights[target] * shares  # (r, R)
        # not a matrix product: its threads stall on a machine that is busy
        return np.einsum("rd,r->d", each, values) / each.sum(0)

    return statistic


def difference(first: Statistic, second: Statistic) -> Statistic:
    """First - second under the same weights: a paired comparison."""
    return lambda weights: first(weights) - second(weights)


def ranking_difference(
    first: RankingResult, second: RankingResult, metric: str, part: str = "all"
) -> Statistic:
    """Paired difference of two scorers on the same queries.

    Raises:
        ValueError: the two results rank different queries or targets.
    """
    both = (first.query, second.query), (first.target, second.target)
    if not all(np.array_equal(one, other) for one, other in both):
        raise ValueError("the results rank different queries; use one split, max_scores and seed")
    return difference(*(ranking_statistic(result, metric, part) for result in (first, second)))
