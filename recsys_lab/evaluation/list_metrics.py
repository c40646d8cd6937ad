"""Ranking metrics of a query with several targets in one list, as recommenders report them.

The targets are candidates of each other. A metric is the mean over the queries; with one target for
each query it is that of `evaluation.metrics`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from recsys_lab.evaluation.metrics import (
    RANKING_METRICS,
    discounted_gains,
    hits,
    ranking_metric_names,
    ranking_values,
    reciprocal_ranks,
)

Row = dict[str, float | int | None]


class ListMetric(NamedTuple):
    """How a query's value follows from the ranks of its targets.

    Attributes:
        formula: of a rank, as in `RANKING_METRICS`.
        takes_best: the value is the formula of the best rank, else its mean over the targets.
        scale: the mean is multiplied by this, (R,) given the number of targets (R,) and k.
    """

    formula: Callable[..., np.ndarray]
    takes_best: bool = False
    scale: Callable[[np.ndarray, int], np.ndarray] | None = None


def _to_ideal(sizes: np.ndarray, k: int) -> np.ndarray:
    """So that targets in the first places have a gain of 1: the sum over the ideal list."""
    most = int(sizes.max(initial=1))
    ideal = np.cumsum(discounted_gains(np.arange(1.0, most + 1), k))
    return sizes / ideal[sizes - 1]


LIST_METRICS: dict[str, ListMetric] = {
    "hr@k": ListMetric(hits, takes_best=True),
    "ndcg@k": ListMetric(discounted_gains, scale=_to_ideal),
    "mrr": ListMetric(reciprocal_ranks, takes_best=True),
    "recall@k": ListMetric(hits),
    "precision@k": ListMetric(hits, scale=lambda sizes, k: sizes / k),
}


def list_metric_names(ks: Sequence[int]) -> list[str]:
    """Names of the metrics of lists at these cut-offs; those of plugins are means over targets.

    F1 is none of them: it is made of the means of two (`f1_scores`).
    """
    return ranking_metric_names(ks, dict.fromkeys([*LIST_METRICS, *RANKING_METRICS]))


def list_values(metric: str, ranks: np.ndarray, query: np.ndarray) -> np.ndarray:
    """(R,) what each target adds to a metric; a query's value is the mean over its targets.

    Args:
        metric: such as "recall@20".
        ranks: (R,) of the targets among all candidates, other targets included.
        query: (R,) ascending.

    Raises:
        ValueError: there is no such metric.
    """
    found, k = _find(metric)
    if found is None:
        return ranking_values(metric, ranks)
    starts, sizes = list_bounds(query)
    if found.takes_best and len(starts):
        ranks = np.repeat(np.minimum.reduceat(ranks, starts), sizes)
    values = found.formula(ranks, *k)
    if found.scale is not None:
        values = values * found.scale(np.repeat(sizes, sizes), *k)
    return values


def expected_values(metric: str, candidates: np.ndarray, query: np.ndarray) -> np.ndarray:
    """(R,) as `list_values`, in expectation, where each query has a random order.

    Args:
        metric: such as "recall@20".
        candidates: (R,) number of items that are ranked for each query.
        query: (R,) ascending.
    """
    found, k = _find(metric)
    _, sizes = list_bounds(query)
    number = np.repeat(sizes, sizes)  # (R,) targets of the query
    ranks = np.arange(1.0, candidates.max(initial=0) + 1)
    each = found.formula(ranks, *k) if found else ranking_values(metric, ranks)
    if found is not None and found.takes_best:
        kinds, place = np.unique(np.stack([candidates, number]), axis=1, return_inverse=True)
        best = np.array([_of_best(each[:n], targets) for n, targets in kinds.T.tolist()])
        return best[place.ravel()]
    values = np.cumsum(each)[candidates - 1] / candidates
    if found is not None and found.scale is not None:
        values = values * found.scale(number, *k)
    return values


def list_bounds(query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First place and number of targets of each query, (U,) each; query (R,) ascends."""
    _, starts, sizes = np.unique(query, return_index=True, return_counts=True)
    return starts, sizes


def mean_over_queries(values: np.ndarray, query: np.ndarray) -> float:
    """Mean over queries of the mean over their targets of values (R,); query (R,) ascends."""
    starts, sizes = list_bounds(query)
    return float((np.add.reduceat(values, starts) / sizes).mean())


def f1_scores(row: Mapping[str, float | int | None], ks: Sequence[int], part: str) -> Row:
    """`f1@k/<slice>`: the harmonic mean of mean precision and mean recall, as UltraGCN has it."""
    scores: Row = {}
    for k in ks:
        precision, recall = row[f"precision@{k}/{part}"], row[f"recall@{k}/{part}"]
        if precision is None or recall is None:
            scores[f"f1@{k}/{part}"] = None
        else:
            total = precision + recall
            scores[f"f1@{k}/{part}"] = 2.0 * precision * recall / total if total else 0.0
    return scores


def _find(metric: str) -> tuple[ListMetric | None, tuple[int, ...]]:
    name, at, k = metric.partition("@")
    found = LIST_METRICS.get(f"{name}@k" if at else name)
    if found is not None and at and not (k.isdecimal() and int(k) > 0):
        raise ValueError(f"k of a metric must be >= 1, got {metric!r}")
    return found, (int(k),) if found is not None and at else ()


def _of_best(values: np.ndarray, targets: int) -> float:
    """Mean of values[best - 1], best the smallest of `targets` different random ranks."""
    total = len(values)
    left = np.arange(total)  # candidates before rank r; none of them is a target
    later = np.maximum(total - targets - left, 0) / (total - left)
    none_yet = np.append(1.0, np.cumprod(later))  # (total + 1,) chance that the best is beyond r
    return float(((none_yet[:-1] - none_yet[1:]) * values).sum())
