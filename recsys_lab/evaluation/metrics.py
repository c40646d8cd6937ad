"""Metrics as pure functions of scores and ranks, in float64, with ties counted at mid-rank."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np


def auc_roc(positive_scores: np.ndarray, negative_scores: np.ndarray) -> float:
    """Chance that a random positive scores above a random negative, a tie counting one half.

    The rank formula of Mann and Whitney: no threshold, no binning, so the scale of the scores does
    not matter and infinite scores are plain extremes.

    Args:
        positive_scores: (P,) scores of the positives.
        negative_scores: (M,) scores of the negatives.

    Returns:
        The area, in [0, 1].

    Raises:
        ValueError: a class is empty, or a score is NaN.
    """
    positive, negative = _checked(positive_scores, negative_scores)
    below, upto = tie_bounds(np.sort(positive), np.sort(negative))
    # integers: exact below 2 ** 53 pairs of pairs
    return float((below + upto).sum()) / (2.0 * len(positive) * len(negative))


def tie_bounds(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place each positive among the negatives; both ascending.

    Searching in ascending order keeps to the cache: several times faster on millions.

    Returns:
        below: (P,) number of negatives strictly below each positive.
        upto: (P,) number of negatives below or equal.
    """
    return np.searchsorted(negative, positive), np.searchsorted(negative, positive, side="right")


def precision_recall(
    positive_scores: np.ndarray, negative_scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision and recall of "score >= threshold" at every distinct score.

    Returns:
        thresholds: (T,) the distinct scores, ascending.
        precision: (T + 1,), ending in 1 as scikit-learn has it.
        recall: (T + 1,), ending in 0.

    Raises:
        ValueError: a class is empty or a score is NaN.
    """
    positive, negative = _checked(positive_scores, negative_scores)
    thresholds = np.unique(np.concatenate([positive, negative]))  # (T,)
    found = len(positive) - np.searchsorted(np.sort(positive), thresholds, side="left")
    wrong = len(negative) - np.searchsorted(np.sort(negative), thresholds, side="left")
    precision = found / (found + wrong)  # a threshold is a score, so the sum is at least 1
    recall = found / len(positive)
    return thresholds, np.append(precision, 1.0), np.append(recall, 0.0)


def _checked(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both classes as float64, neither empty, without NaN."""
    checked = []
    for name, scores in (("positive", positive), ("negative", negative)):
        array = np.asarray(scores, np.float64)
        if not len(array):
            raise ValueError(f"no {name} scores: a single class has no AUC and no precision")
        if missing := int(np.isnan(array).sum()):
            raise ValueError(f"{missing} of {len(array)} {name} scores are NaN")
        checked.append(array)
    return checked[0], checked[1]


def hits(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 where the target ranks within the first k, else 0; the mean is the hit rate HR@k.

    A fractional rank is a hit when the mid-rank itself is at most k: a target that ties across the
    edge counts only if the middle of its tie lies inside. A scorer that ties everything
    thus scores 0, whatever the order of the items, if there are at least 2 k candidates. Among
    fewer it scores 1, and a random order k / candidates (`evaluation.chance`).
    """
    return (ranks <= k).astype(np.float64)


def discounted_gains(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 / log2(1 + rank) where rank <= k, else 0; the mean is NDCG@k.

    With one target for each query the ideal gain is 1.
    """
    return np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0)


def reciprocal_ranks(ranks: np.ndarray) -> np.ndarray:
    """1 / rank, in (0, 1]; the mean is MRR."""
    return 1.0 / ranks


# Ranking metrics by name: what each (query, target) contributes, (R,) float64, given the ranks (R,)
# float64 from 1. A name that ends in "@k" has a value for each cut-off and its formula takes
# (ranks, k); others take the ranks alone. A new entry is computed in every slice and written to
# `metrics.json`; `results.metric_names` gives it a place in the tables.
RANKING_METRICS: dict[str, Callable[..., np.ndarray]] = {
    "hr@k": hits,
    "ndcg@k": discounted_gains,
    "mrr": reciprocal_ranks,
}


def ranking_metric_names(ks: Sequence[int], table: Iterable[str] = RANKING_METRICS) -> list[str]:
    """Names of all ranking metrics of a table at these cut-offs: "hr@10" and the like."""
    names = []
    for name in table:
        stem, at, _ = name.partition("@")
        names += [f"{stem}@{k}" for k in ks] if at else [name]
    return names


def ranking_values(metric: str, ranks: np.ndarray) -> np.ndarray:
    """(R,) what each rank contributes to a metric such as "hr@10"; the mean is its value.

    Raises:
        ValueError: there is no such metric.
    """
    name, at, k = metric.partition("@")
    formula = RANKING_METRICS.get(f"{name}@k" if at else name)
    if formula is None or (at and not (k.isdecimal() and int(k) > 0)):
        known = ", ".join(RANKING_METRICS)
        raise ValueError(f"metric must be one of {known} with k >= 1, got {metric!r}")
    return formula(ranks, int(k)) if at else formula(ranks)
