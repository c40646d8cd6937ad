"""The curve of precision and recall of the test, as TensorBoard's tab has it."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys_lab.results.precision_recall import Curve, read_precision_recall

_THRESHOLDS = 127  # from 0 to 1; the most that TensorBoard takes


def test_curves(
    folder: Path,
    metrics: Mapping[str, Any],
    protocols: Iterable[str],
    probability: Callable[[Tensor], Tensor],
) -> dict[str, np.ndarray]:
    """Counts of all test pairs at thresholds from 0 to 1, from the curve in the run folder.

    Args:
        folder: run folder.
        metrics: of the test.
        protocols: of the negatives; the curve is that of the first one.
        probability: brings scores into [0, 1] in their order.

    Returns:
        the counts (`counts_of`) by protocol; empty where nothing was tested or scored.
    """
    positives, curve = metrics.get("count/test/all"), read_precision_recall(folder).get("all")
    if not positives or curve is None:
        return {}
    return {name: counts_of(curve, positives, probability) for name in islice(protocols, 1)}


def counts_of(curve: Curve, positives: int, probability: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Counts at thresholds from 0 to 1, of a curve and its number of positives.

    Returns:
        (6, 127): true and false positives, true and false negatives, precision, recall.
    """
    scores, precision, recall = curve
    ends = probability(torch.from_numpy(np.asarray(scores, np.float32))).numpy()  # ascending
    # The first point that takes no score below the threshold; none beyond the last one.
    place = np.searchsorted(ends, np.linspace(0, 1, _THRESHOLDS), side="left")
    precision, recall = np.append(precision, 0.0)[place], np.append(recall, 0.0)[place]
    found = recall * positives
    wrong = np.divide(
        found * (1 - precision), precision, out=np.zeros_like(found), where=precision > 0
    )
    negatives = positives * (1 - curve[1][0]) / curve[1][0]  # of the first point, which takes all
    return np.stack([found, wrong, negatives - wrong, positives - found, precision, recall])
