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
from functools import partial

import numpy as np

from recsys_lab.compute.checks import checked
from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import map_in_threads
from recsys_lab.compute.prefetch import prefetch
from recsys_lab.compute.ranges import Replicates
from recsys_lab.evaluation.draws import AHEAD, LANES, Draws, first_negative
from recsys_lab.evaluation.protocol import PairScores, scores_by_slice
from recsys_lab.evaluation.ranking import RankingResult
from recsys_lab.evaluation.slices import EvaluationPairs

Statistic = Callable[[Draws], np.ndarray]  # (R,), one of each draw

LEVEL = 0.95  # share of the draws inside an interval


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
    rng, draws = np.random.default_rng(seed), Draws(np.ones((num_ends, 1)))
    asked = [partial(statistic, draws) for statistic in statistics.values()]

    def draw(size: int) -> np.ndarray:
        return rng.standard_exponential((size, num_ends))

    sizes = [min(LANES, replicates - start) for start in range(0, replicates, LANES)]
    found: list[list[np.ndarray]] = []  # (S, R) of equal weights, then of each block of draws
    for size in [*sizes, 0]:  # the next weights are drawn while statistics are evaluated
        weights, *evaluated = map_in_threads(lambda task: task(), [partial(draw, size), *asked])
        found.append(evaluated)
        draws.draw(weights)
        del weights
    values = np.concatenate(found, axis=1)  # (S, 1 + replicates)
    lows, highs = np.quantile(values[:, 1:], [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0], axis=1)
    table = zip(statistics, values[:, 0], lows, highs, strict=True)
    return {name: Interval(*map(float, interval)) for name, *interval in table}


def auc_statistic(
    pairs: EvaluationPairs, scores: PairScores, protocol: str, part: str = "all"
) -> Statistic:
    """AUC-ROC of a slice as a function of weights of ends; sorts once, then linear in the pairs.

    Unscored pairs take the median, as in `auc_metrics`.

    Raises:
        ValueError: the AUC of the slice is undefined.
    """
    both = scores_by_slice(pairs, scores, protocol, (part,)).get(part)
    if both is None:
        raise ValueError(f"slice {part!r} lacks scored positives or scored negatives ({protocol})")
    places = np.concatenate(
        [
            np.flatnonzero(pairs.masks()[part]),
            np.flatnonzero(pairs.masks(protocol)[part]) + first_negative(pairs, protocol),
        ],
        dtype=np.int32,
    )
    values = np.concatenate(both)
    order = np.argsort(values)
    values, places = values[order], places[order]
    bounds = _tied(values, places, len(pairs.positives))

    def statistic(draws: Draws) -> np.ndarray:
        areas = _weighted_auc(draws.of_pairs(pairs), places, bounds, len(pairs.positives))
        return areas[: draws.count]

    return statistic


@jit()
def _tied(values, places, num_positives):  # type: ignore[no-untyped-def]
    """Where positives and negatives tie: (G, 2) bounds. Sorts the places of equal values.

    Memory is then read in order where many tie, and the positives come first.
    """
    bounds = np.empty((len(values), 2), np.int32)
    count = low = 0
    for k in range(1, len(values) + 1):
        if k < len(values) and values[k] == values[low]:
            continue
        if k - low > 1:
            places[low:k].sort()
            if places[low] < num_positives <= places[k - 1]:
                bounds[count, 0], bounds[count, 1] = low, k
                count += 1
        low = k
    return bounds[:count].copy()


@jit()
def _weighted_auc(weights, places, bounds, num_positives):  # type: ignore[no-untyped-def]
    """AUC where every pair has a weight, for LANES sets of weights in one pass.

    Takes weights (T, LANES), those of positives first, and the places in these of the pairs in
    ascending order of their scores. The positives that tie with negatives come first, so they win
    over none of these; then half of the weights of both, multiplied, is added.
    """
    passed, total, won = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    start = np.int64(0)
    for tied in range(len(bounds)):
        low, high = np.int64(bounds[tied, 0]), np.int64(bounds[tied, 1])
        _add_weights(weights, places, start, low, num_positives, passed, total, won)
        before, beaten = total.copy(), passed.copy()
        _add_weights(weights, places, low, high, num_positives, passed, total, won)
        won += 0.5 * (total - before) * (passed - beaten)
        start = high
    _add_weights(weights, places, start, len(places), num_positives, passed, total, won)
    return np.minimum(won / (total * passed), 1.0)


@jit()
def _add_weights(weights, places, start, stop, num_positives, passed, total, won):  # type: ignore[no-untyped-def]
    """Add negatives to passed, positives to total, and what each positive wins to won.

    It multiplies by 0 and 1 instead of branching, which the processor could not foresee.
    """
    entries, last = weights.ravel(), len(places) - 1
    for k in range(start, stop):
        prefetch(entries, places[min(k + AHEAD, last)] * LANES)
        place = places[k]
        is_positive = 1.0 if place < num_positives else 0.0
        for r in range(LANES):
            weight = is_positive * weights[place, r]
            passed[r] += weights[place, r] - weight
            total[r] += weight
            won[r] += weight * passed[r]


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
    values, shares = result.values(metric, part), result.shares(part)

    def statistic(draws: Draws) -> np.ndarray:
        return _weighted_mean(draws.ends, query, target, shares, values)[: draws.count]

    return statistic


@jit()
def _weighted_mean(weights, query, target, shares, values):  # type: ignore[no-untyped-def]
    """Mean of values where each weighs its share of the product of two ends, in all lanes."""
    total, won = np.zeros(LANES), np.zeros(LANES)
    entries, last = weights.ravel(), len(query) - 1
    for k in range(len(query)):
        ahead = min(k + AHEAD, last)
        prefetch(entries, query[ahead] * LANES)
        prefetch(entries, target[ahead] * LANES)
        one, other, share, value = query[k], target[k], shares[k], values[k]
        for r in range(LANES):
            weight = weights[one, r] * weights[other, r] * share
            total[r] += weight
            won[r] += weight * value
    return won / total


def difference(first: Statistic, second: Statistic) -> Statistic:
    """First - second under the same weights: a paired comparison."""
    return lambda draws: first(draws) - second(draws)


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
