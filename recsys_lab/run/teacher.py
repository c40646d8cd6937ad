"""What a closed-form scorer of pairs ranks first for every item, for a model to learn."""

import logging

import numpy as np

from recsys_lab.data.teacher_batches import RankedItems
from recsys_lab.evaluation.baselines import TrainingData
from recsys_lab.evaluation.pair_ease import ease_of_pairs
from recsys_lab.run.run_data import RunData

log = logging.getLogger(__name__)

_MAX_ITEMS = 25_000  # of the dense matrix of EASE, 2.5 GB
_ROWS = 1024  # of its scores that are ranked at a time


def rank_by_ease(data: RunData, num_ranked: int) -> RankedItems:
    """The items of the largest scores of EASE for each item with a training pair.

    Training pairs are left out.

    Raises:
        ValueError: there are too many items for EASE, or queries are not items.
    """
    known = data.for_baselines()
    if not isinstance(known, TrainingData):
        raise ValueError(
            "data=teacher learns from pairs of items, not from events: use split=pairs or items"
        )
    pairs = known.pairs
    items = np.flatnonzero(np.diff(pairs.indptr))
    if len(items) > _MAX_ITEMS:
        raise ValueError(
            f"data=teacher needs EASE's dense matrix of all {len(items):,} items with training "
            f"pairs, and {_MAX_ITEMS:,} are the most: use a model such as model=skipgram"
        )
    log.info("EASE: solving for a dense matrix of %s items", f"{len(items):,}")
    pairs = pairs[items][:, items]
    scores = ease_of_pairs(pairs).scores  # (S, S)
    width = min(num_ranked, max(len(items) - 1, 1))
    found = np.empty((len(items), width), np.int32)
    values = np.empty((len(items), width), np.float32)
    for start in range(0, len(items), _ROWS):
        part = slice(start, start + _ROWS)
        rows = scores[part]
        rows[pairs[part].nonzero()] = 0.0
        rows[np.arange(len(rows)), np.arange(start, start + len(rows))] = 0.0
        best = np.argpartition(rows, -width, axis=1)[:, -width:]
        found[part] = items[best]
        values[part] = np.take_along_axis(rows, best, axis=1)
    return RankedItems(items, found, np.maximum(values, 0.0))
