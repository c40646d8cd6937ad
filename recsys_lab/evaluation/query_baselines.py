"""Baselines of queries that have a history, such as users: what they know, and their table."""

import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from recsys_lab.evaluation.baselines import BASELINES, Baseline, TrainingData
from recsys_lab.evaluation.histories import Histories, HistoryWeights, before_each
from recsys_lab.evaluation.history_scorers import HistoryScorer, SameForAll
from recsys_lab.evaluation.item_similarities import ease_weights, nearest_items, next_item_weights

if TYPE_CHECKING:  # it stands beside the scorer of vectors
    from recsys_lab.evaluation.scorers import Scorer

log = logging.getLogger(__name__)

PENALTY = 50.0  # of EASE, for each squared weight
NEAREST = 100  # neighbours of an item in item-kNN
NEXT_PENALTY = 20.0  # of SLIST, likewise
SHARE = 0.5  # of the symmetric part in SLIST
MAX_DENSE_ITEMS = 25_000  # their matrix has 2.5 GB, its inverse takes minutes
_REPEATED_DECAY = 0.99  # of an event to the next; of groceries better than 1 and than 0.9
_RECENT = 0.1  # share of the time of training that is recent
_LONGEST_BEFORE = 20  # events before an event that count in SLIST
_LONGEST = 1000  # latest events of a query that count in the similarity of items


@dataclass(frozen=True)
class QueryData:
    """What a baseline of queries may use.

    Attributes:
        train: training events of every query.
        histories: what is known of each query when it asks; of the part that is tested.
        weights: what an event of a history weighs.
        repeats: whether items of the history are candidates.
    """

    train: Histories
    histories: Histories
    weights: HistoryWeights = field(default_factory=HistoryWeights)
    repeats: bool = False

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


def _repeated(data: QueryData) -> "Scorer | None":
    """The items that a query had most often, unless these are no candidates."""
    if not data.repeats:
        return None
    same = sparse.eye(data.train.num_items, dtype=np.float32, format="csr")
    return HistoryScorer(HistoryWeights(decay=_REPEATED_DECAY)(data.histories), same)


def _last_item(data: QueryData) -> "Scorer | None":
    return HistoryScorer(HistoryWeights(decay=1, last=1)(data.histories), data.nearest)


def _item_knn(data: QueryData) -> "Scorer | None":
    return HistoryScorer(data.weights(data.histories), data.nearest)


def _ease(data: QueryData) -> "Scorer | None":
    if _is_too_large("EASE", data):
        return None
    return HistoryScorer(data.weights(data.histories), ease_weights(data.matrix, PENALTY))


def _next_item(data: QueryData) -> "Scorer | None":
    if _is_too_large("SLIST", data):
        return None
    if data.weights.decay == 1:
        log.info("the baseline SLIST is left out: the order of a history does not count")
        return None
    before = before_each(data.train, data.weights.decay, _LONGEST_BEFORE)
    similarity = next_item_weights(data.matrix, *before, penalty=NEXT_PENALTY, share=SHARE)
    return HistoryScorer(data.weights(data.histories), similarity)


def _is_too_large(name: str, data: QueryData) -> bool:
    """Whether a dense matrix of the items is too large, which is said."""
    if data.train.num_items <= MAX_DENSE_ITEMS:
        return False
    log.info(
        "the baseline %s is left out: its dense matrix of %s items is too large, the most is %s",
        name,
        f"{data.train.num_items:,}",
        f"{MAX_DENSE_ITEMS:,}",
    )
    return True


# Scorers beside the model in the final test of queries that are no items, as `BASELINES`.
QUERY_BASELINES: dict[str, Baseline] = {
    "popularity": Baseline(_popularity),
    "recency": Baseline(_recency, "recent popularity"),
    "repeated": Baseline(_repeated, "own most frequent", "seen"),
    "last_item": Baseline(_last_item, "last item's neighbours"),
    "item_knn": Baseline(_item_knn, "item-kNN", "seen"),
    "ease": Baseline(_ease, "EASE", "seen"),
    "slist": Baseline(_next_item, "SLIST", "seen"),
}


def baselines_for(data: TrainingData | QueryData) -> dict[str, Baseline]:
    """The table of the baselines that take these data."""
    return BASELINES if isinstance(data, TrainingData) else QUERY_BASELINES
