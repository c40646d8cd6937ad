"""Metrics as pure functions of scores and ranks, in float64, with ties counted at mid-rank."""

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


def target_ranks(
    target_scores: np.ndarray,
    candidate_scores: np.ndarray,
    candidates: np.ndarray | None = None,
) -> np.ndarray:
    """Rank of each query's target among its other candidates: 1 + better + ties / 2.

    Args:
        target_scores: (Q,) score of the target.
        candidate_scores: (Q, C) scores of the other candidates, the target not among them.
        candidates: (Q, C) bool, False where a candidate is filtered out; all count by default.

    Returns:
        (Q,) ranks from 1; fractional where scores tie.

    Raises:
        ValueError: a score that counts is NaN.
    """
    targets = np.asarray(target_scores, np.float64)[:, None]  # (Q, 1)
    others = np.asarray(candidate_scores, np.float64)  # (Q, C)
    kept = np.ones(others.shape, bool) if candidates is None else candidates
    if missing := int(np.isnan(targets).sum() + np.isnan(others[kept]).sum()):
        raise ValueError(f"{missing} scores are NaN; give the unscored a place before ranking")
    better = ((others > targets) & kept).sum(-1)  # (Q,)
    ties = ((others == targets) & kept).sum(-1)
    return 1.0 + better + 0.5 * ties


def hit_rate(ranks: np.ndarray, k: int) -> float:
    """Share of queries whose target ranks within the first k.

    A fractional rank is a hit when the mid-rank itself is at most k: a target that ties across the
    edge counts only if the middle of its tie lies inside. A scorer that ties everything
    thus scores 0, never 1, whatever the order of the items.
    """
    return float(_hits(ranks, k).mean())


def ndcg(ranks: np.ndarray, k: int) -> float:
    """Mean of 1 / log2(1 + rank) where rank <= k, else 0: NDCG@k for one target per query."""
    return float(discounted_gains(ranks, k).mean())


def mean_reciprocal_rank(ranks: np.ndarray) -> float:
    """Mean of 1 / rank, in (0, 1]."""
    return float((1.0 / _checked_ranks(ranks)).mean())


def discounted_gains(ranks: np.ndarray, k: int) -> np.ndarray:
    """The gain of each query that `ndcg` averages; the ideal gain of one target is 1."""
    return np.where(_hits(ranks, k), 1.0 / np.log2(1.0 + np.asarray(ranks, np.float64)), 0.0)


def _hits(ranks: np.ndarray, k: int) -> np.ndarray:
    if k < 1:
        raise ValueError(f"k must be >= 1, got {k}")
    return _checked_ranks(ranks) <= k


def _checked_ranks(ranks: np.ndarray) -> np.ndarray:
    ranks = np.asarray(ranks, np.float64)
    if not len(ranks):
        raise ValueError("no queries: a mean over nothing has no value")
    if not (ranks >= 1.0).all():
        raise ValueError(f"ranks start at 1, got {ranks[~(ranks >= 1.0)][0]}")
    return ranks


def _checked(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both classes as float64, present and without NaN."""
    checked = []
    for name, scores in (("positive", positive), ("negative", negative)):
        array = np.asarray(scores, np.float64)
        if not len(array):
            raise ValueError(f"no {name} scores: a single class has no AUC and no precision")
        if missing := int(np.isnan(array).sum()):
            raise ValueError(f"{missing} of {len(array)} {name} scores are NaN")
        checked.append(array)
    return checked[0], checked[1]
