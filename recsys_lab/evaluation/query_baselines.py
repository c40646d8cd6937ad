"""Baselines of queries that have a history, such as users: what they know, and their table."""

import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from recsys_lab.evaluation.baselines import BASELINES, Baseline, TrainingData
from recsys_lab.evaluation.histories import Histories, HistoryWeights
from recsys_lab.evaluation.history_scorers import HistoryScorer, SameForAll
from recsys_lab.evaluation.item_similarities import ease_weights, nearest_items

if TYPE_CHECKING:  # it stands beside the scorer of vectors
    from recsys_lab.evaluation.scorers import Scorer

log = logging.getLogger(__name__)

PENALTY = 50.0  # of EASE, for each squared weight
NEAREST = 100  # neighbours of an item in item-kNN
MAX_EASE_ITEMS = 25_000  # the dense matrix has 2.5 GB, its inverse takes minutes
_RECENT = 0.1  # share of the time of training that is recent
_LONGEST = 1000  # latest events of a query that count in the similarity of items


@dataclass(frozen=True)
class QueryData:
    """What a baseline of queries may use.

    Attributes:
        train: training events of every query.
        histories: what is known of each query when it asks; of the part that is tested.
        weights: what an event of a history weighs.
    """

    train: Histories
    histories: Histories
    weights: HistoryWeights = field(default_factory=HistoryWeights)

    @cached_property
    def matrix(self) -> sparse.csr_matrix:
        """(Q, N) float32, 1 where a query has an item among its latest training events."""
        found = HistoryWeights(decay=1, last=_LONGEST)(self.train)
        found.data[:] = 1.0
        return found

    @cached_property
    def nearest(self) -> sparse.csr_matrix:
        """(N, N) cosines of the nearest items: `nearest_items`."""
        return nearest_items(self.matrix, NEAREST)


def _popularity(data: QueryData) -> "Scorer | None":
    return SameForAll(data.train.matrix().sum(axis=0).A1)


def _recency(data: QueryData) -> "Scorer | None":
    times = data.train.times
    if times is None or not len(times) or times.min() == times.max():
        log.info("the baseline of recent popularity is left out: events have no time")
        return None
    since = times.max() - _RECENT * (times.max() - times.min())
    recent = data.train.items[times >= since]
    return SameForAll(np.bincount(recent, minlength=data.train.num_items))


def _last_item(data: QueryData) -> "Scorer | None":
    return HistoryScorer(HistoryWeights(decay=1, last=1)(data.histories), data.nearest)


def _item_knn(data: QueryData) -> "Scorer | None":
    return HistoryScorer(data.weights(data.histories), data.nearest)


def _ease(data: QueryData) -> "Scorer | None":
    if (num_items := data.train.num_items) > MAX_EASE_ITEMS:
        log.info(
            "the baseline EASE is left out: its dense matrix of %s items is too large, the most "
            "is %s",
            f"{num_items:,}",
            f"{MAX_EASE_ITEMS:,}",
        )
        return None
    return HistoryScorer(data.weights(data.histories), ease_weights(data.matrix, PENALTY))


# Scorers beside the model in the final test of queries that are no items, as `BASELINES`.
QUERY_BASELINES: dict[str, Baseline] = {
    "popularity": Baseline(_popularity),
    "recency": Baseline(_recency, "recent popularity"),
    "last_item": Baseline(_last_item, "last item's neighbours"),
    "item_knn": Baseline(_item_knn, "item-kNN", "seen"),
    "ease": Baseline(_ease, "EASE", "seen"),
}


def baselines_for(data: TrainingData | QueryData) -> dict[str, Baseline]:
    """The table of the baselines that take these data."""
    return BASELINES if isinstance(data, TrainingData) else QUERY_BASELINES
