"""What a run shares of the data of an event log, whose queries are users or sessions."""

import logging
from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy import sparse

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.event_parts import TEST, TRAIN, VAL
from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.nodes import USER, Nodes, item_nodes
from recsys_lab.catalog.split import Split
from recsys_lab.evaluation.click_ranks import Clicks, clicks_before
from recsys_lab.evaluation.histories import Histories, HistoryWeights
from recsys_lab.evaluation.pooled_scorer import pooled_scorer
from recsys_lab.evaluation.query_baselines import OPTIONS, BaselineOptions, QueryData
from recsys_lab.evaluation.scorers import QueryScorer, Scorer, VectorScorer
from recsys_lab.evaluation.slices import EvaluationPairs, Queries
from recsys_lab.run.run_data import Part, RunData
from recsys_lab.vectors.users import UserHistories

log = logging.getLogger(__name__)

POOLED = "pooled"  # the vector of a query; else it is that of a node


def run_data(
    split: Split | EventSplit,
    catalog: ItemCatalog | None,
    history: HistoryWeights,
    baselines: BaselineOptions = OPTIONS,
    nodes: Nodes | None = None,
) -> RunData:
    """The data of a run for either kind of split; the others are for events alone."""
    if isinstance(split, EventSplit):
        return EventRunData(split, catalog, history, baselines, nodes)
    return RunData(split, catalog, nodes)


class EventRunData(RunData):
    """Queries are users or sessions, which have a history of items.

    Args:
        split: of an event log.
        catalog: of its items.
        history: what an event of a query's history weighs, and what a query's vector is.
        baselines: options of the baselines of queries.
        nodes: what has a vector; None: the items alone.

    Raises:
        CatalogError: the vectors of queries are those of nodes that have none.
    """

    split: EventSplit

    def __init__(
        self,
        split: EventSplit,
        catalog: ItemCatalog | None,
        history: HistoryWeights,
        baselines: BaselineOptions,
        nodes: Nodes | None = None,
    ) -> None:
        self.split = split
        self.catalog = catalog
        self.nodes = nodes or item_nodes(split)
        if history.vector != POOLED:
            self.nodes.group(history.vector)
        self._baselines = baselines
        self._history = _weights_for(split, history)

    def evaluation_pairs(self, part: Part) -> EvaluationPairs:
        """The targets of a part; items of the history are known where they are filtered."""
        split, targets = self.split, self.split.targets(part)
        ones = np.ones(len(targets), np.float32)
        shape = split.num_queries, split.num_items
        known = sparse.csr_matrix((ones, (targets[:, 0], targets[:, 1])), shape)
        met = self._histories(part).matrix()
        if split.filter_history:
            known = sparse.csr_matrix(known + met)
        known.sum_duplicates()
        counts = np.asarray(self._train.matrix().sum(axis=0)).ravel()
        queries = Queries(met @ split.seen > 0, counts)
        negatives = self.negatives(part)
        return EvaluationPairs(split.num_items, targets, negatives, known, split.seen, queries)

    def held_items(self, part: Part) -> np.ndarray:
        """See `RunData`."""
        return np.unique(self.split.targets(part)[:, 1])

    def negatives(self, part: Part) -> dict[str, np.ndarray]:
        """See `RunData`."""
        return self.split.negatives[part]

    def for_baselines(self) -> QueryData:
        """See `RunData`."""
        validation = self._histories("val"), self.evaluation_pairs("val")
        known = self._train, self._histories("test"), self._history
        before = None
        if self._baselines.refit:
            before = self._events_of(TRAIN, VAL)
            log.info("EASE, SLIST and item-kNN of the test know the events of validation, too")
        repeats, ordered = not self.split.filter_history, self.split.ordered
        return QueryData(*known, self._baselines, validation, repeats, before, ordered)

    def history_weights(self, part: Part) -> sparse.csr_matrix:
        """See `RunData`."""
        if self._history.vector != POOLED:
            return _ones(self.nodes.group(self._history.vector).of_queries[part], len(self.nodes))
        return self._pooled(self._histories(part))

    def _pooled(self, histories: Histories) -> sparse.csr_matrix:
        """(Q, V) CSR, what the items of histories weigh."""
        found = self._history(histories)
        found.resize(len(found.indptr) - 1, len(self.nodes))
        return found

    def asked(self, scorer: Scorer, part: Part) -> QueryScorer:
        """See `RunData`."""
        assert isinstance(scorer, VectorScorer)  # noqa: S101 - narrows the type
        return pooled_scorer(scorer, self.history_weights(part), self.split.num_items)

    def users(self) -> UserHistories:
        """See `RunData`."""
        events = self.split.events
        offsets = np.searchsorted(events.user, np.arange(events.users.height + 1))
        whole = Histories(offsets, events.item, self.split.num_items, events.time, events.weight)
        of_users = None
        if self._history.vector != POOLED:
            of_users = self.nodes.group(self._history.vector).of_users
        weights = self._pooled(whole) if of_users is None else _ones(of_users, len(self.nodes))
        first = next((group.first for group in self.nodes.groups if group.name == USER), None)
        return UserHistories(events.users["user"], whole, weights, self._history, first)

    def clicks(self) -> Clicks | None:
        """See `RunData`."""
        split, events = self.split, self.split.events
        if events.shown_offsets is None or events.shown is None:
            return None
        places = np.flatnonzero(split.is_target & (split.part == TEST))
        offsets, before = split.histories("test")
        history = _take_rows(offsets, events.item[before], split.query[places])
        shown = _take_rows(events.shown_offsets, events.shown, places)
        return clicks_before(history, shown, events.item[places], split.seen)

    @cached_property
    def _train(self) -> Histories:
        """The training events of every query."""
        return self._events_of(TRAIN)

    def _events_of(self, *parts: int) -> Histories:
        """The events of some parts of every query."""
        places = np.flatnonzero(np.isin(self.split.part, parts))
        counts = np.bincount(self.split.query[places], minlength=self.split.num_queries)
        return self._take(np.concatenate([[0], np.cumsum(counts)]), places)

    def _histories(self, part: Part) -> Histories:
        return self._take(*self.split.histories(part))

    def _take(self, offsets: np.ndarray, places: np.ndarray) -> Histories:
        """Histories of some events (H,), by the offsets of the queries (Q + 1,)."""
        events = self.split.events
        times = None if events.time is None else events.time[places]
        items, weights = events.item[places], events.weight[places]
        return Histories(offsets, items, self.split.num_items, times, weights)


def _weights_for(split: EventSplit, weights: HistoryWeights) -> HistoryWeights:
    """The weights of a history; without an order of its events, age says nothing."""
    if split.ordered or weights.decay == 1:
        return weights
    log.info("the events of the log have no order: those of a history all weigh the same")
    return replace(weights, decay=1)


def _ones(columns: np.ndarray, width: int) -> sparse.csr_matrix:
    """(Q, width) CSR with a one in the column of each row; -1 for none."""
    offsets = np.concatenate([[0], np.cumsum(columns >= 0)])
    kept = columns[columns >= 0]
    return sparse.csr_matrix((np.ones(len(kept), np.float32), kept, offsets), (len(columns), width))


def _take_rows(
    offsets: np.ndarray, values: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and values of some rows."""
    sizes = np.diff(offsets)[rows]
    ends = np.concatenate([[0], np.cumsum(sizes)])
    return ends, values[np.arange(ends[-1]) + np.repeat(offsets[rows] - ends[:-1], sizes)]
