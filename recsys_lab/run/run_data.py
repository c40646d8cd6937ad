"""What a run's training and tests share of its data, each part made once."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from scipy import sparse

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.event_parts import TEST, TRAIN
from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.catalog.split import Split
from recsys_lab.data.batch import FieldCodes, Items, Neighbours, VisitedItems
from recsys_lab.evaluation.baselines import TrainingData
from recsys_lab.evaluation.click_ranks import Clicks, clicks_before
from recsys_lab.evaluation.histories import Histories, HistoryWeights
from recsys_lab.evaluation.pooled_scorer import pooled_scorer
from recsys_lab.evaluation.query_baselines import OPTIONS, BaselineOptions, QueryData
from recsys_lab.evaluation.scorers import QueryScorer, VectorScorer
from recsys_lab.evaluation.slices import EvaluationPairs, Queries
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.visits import most_visited
from recsys_lab.vectors.users import UserHistories

log = logging.getLogger(__name__)

LABEL_FIELDS = ("brand", "category")


Part = Literal["val", "test"]


class RunData:
    """The training graph, the evaluation pairs, and what baselines may use.

    The queries of the evaluation are items, or, where events are split, users or sessions.

    Args:
        split: training pairs, and held-out pairs or events.
        catalog: gives the labels of the items; there are none without it.
        history: what an event of a query's history weighs.
        baselines: options of the baselines of queries.
    """

    def __init__(
        self,
        split: Split | EventSplit,
        catalog: ItemCatalog | None = None,
        history: HistoryWeights | None = None,
        baselines: BaselineOptions = OPTIONS,
    ) -> None:
        self.split = split
        self.catalog = catalog
        self._baselines = baselines
        self._history = _weights_for(split, history or HistoryWeights())

    @cached_property
    def graph(self) -> ItemGraph:
        """Graph of the training pairs."""
        return _graph(self.split.train)

    def evaluation_pairs(self, part: Part) -> EvaluationPairs:
        """The held-out pairs of a part with what the protocol needs."""
        if isinstance(self.split, EventSplit):
            return _query_pairs(self.split, part, self._histories(part), self._train)
        held = self.split.val if part == "val" else self.split.test
        return EvaluationPairs(
            self.split.num_items, held.pairs.ids, held.negatives, self._known, self.split.seen
        )

    def negatives(self, part: Part) -> dict[str, np.ndarray]:
        """The negatives of a part, (M, 2) by protocol."""
        if isinstance(self.split, EventSplit):
            return self.split.negatives[part]
        return self.split.val.negatives if part == "val" else self.split.test.negatives

    def for_baselines(self) -> TrainingData | QueryData:
        """What the baselines of the test may know: training pairs and labels, or events."""
        if isinstance(self.split, EventSplit):
            validation = self._histories("val"), self.evaluation_pairs("val")
            known = self._train, self._histories("test"), self._history
            repeats = not self.split.filter_history
            return QueryData(*known, self._baselines, validation, repeats)
        no_labels = sparse.csr_matrix((self.split.num_items, 0))
        labels = no_labels if self.catalog is None else _labels(self.catalog)
        return TrainingData(sparse.csr_matrix(self.graph.adjacency), labels)

    def history_weights(self, part: Part) -> sparse.csr_matrix | None:
        """(Q, N) CSR, what the items of each query's history weigh; None: queries are items."""
        if not isinstance(self.split, EventSplit):
            return None
        return self._history(self._histories(part))

    def asked(self, scorer: VectorScorer, part: Part) -> QueryScorer:
        """The scorer of a part's queries, given that of items."""
        weights = self.history_weights(part)
        return scorer if weights is None else pooled_scorer(scorer, weights)

    def users(self) -> UserHistories | None:
        """All that each user did, in every part of a log; None where events are not split."""
        if not isinstance(self.split, EventSplit):
            return None
        events = self.split.events
        offsets = np.searchsorted(events.user, np.arange(events.users.height + 1))
        whole = Histories(offsets, events.item, self.split.num_items, events.time, events.weight)
        return UserHistories(events.users["user"], whole, self._history)

    def clicks(self) -> Clicks | None:
        """The clicks before the test targets; None where the log does not say what was shown."""
        if not isinstance(self.split, EventSplit) or self.split.events.shown_offsets is None:
            return None
        split, events = self.split, self.split.events
        assert events.shown_offsets is not None  # noqa: S101 - narrows the type
        assert events.shown is not None  # noqa: S101
        places = np.flatnonzero(split.is_target & (split.part == TEST))
        offsets, before = split.histories("test")
        history = _take_rows(offsets, events.item[before], split.query[places])
        shown = _take_rows(events.shown_offsets, events.shown, places)
        return clicks_before(history, shown, events.item[places], split.seen)

    @cached_property
    def _known(self) -> sparse.csr_matrix:
        """(N, N) matrix whose stored entries are the pairs of all parts."""
        assert isinstance(self.split, Split)  # noqa: S101 - narrows the type
        known = _graph(self.split.known)
        ones = np.ones(len(known.indices), np.int8)
        return sparse.csr_matrix((ones, known.indices, known.indptr), shape=(len(known),) * 2)

    @cached_property
    def _train(self) -> Histories:
        """The training events of every query."""
        assert isinstance(self.split, EventSplit)  # noqa: S101 - narrows the type
        places = np.flatnonzero(self.split.part == TRAIN)
        counts = np.bincount(self.split.query[places], minlength=self.split.num_queries)
        return _take(self.split, np.concatenate([[0], np.cumsum(counts)]), places)

    def _histories(self, part: Part) -> Histories:
        assert isinstance(self.split, EventSplit)  # noqa: S101 - narrows the type
        return _take(self.split, *self.split.histories(part))


def _weights_for(split: Split | EventSplit, weights: HistoryWeights) -> HistoryWeights:
    """The weights of a history; without an order of its events, age says nothing."""
    if not isinstance(split, EventSplit) or split.ordered or weights.decay == 1:
        return weights
    log.info("the events of the log have no order: those of a history all weigh the same")
    return replace(weights, decay=1)


def _take_rows(
    offsets: np.ndarray, values: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and values of some rows."""
    sizes = np.diff(offsets)[rows]
    ends = np.concatenate([[0], np.cumsum(sizes)])
    return ends, values[np.arange(ends[-1]) + np.repeat(offsets[rows] - ends[:-1], sizes)]


def _take(split: EventSplit, offsets: np.ndarray, places: np.ndarray) -> Histories:
    events = split.events
    times = None if events.time is None else events.time[places]
    return Histories(offsets, events.item[places], split.num_items, times, events.weight[places])


def _query_pairs(
    split: EventSplit, part: Part, histories: Histories, train: Histories
) -> EvaluationPairs:
    """The targets of a part's queries; items of the history are known where they are filtered."""
    targets = split.targets(part)
    shape = split.num_queries, split.num_items
    ones = np.ones(len(targets), np.float32)
    known = sparse.csr_matrix((ones, (targets[:, 0], targets[:, 1])), shape)
    met = histories.matrix()
    if split.filter_history:
        known = sparse.csr_matrix(known + met)
    known.sum_duplicates()
    queries = Queries(met @ split.seen > 0, np.asarray(train.matrix().sum(axis=0)).ravel())
    negatives = split.negatives[part]
    return EvaluationPairs(split.num_items, targets, negatives, known, split.seen, queries)


def known_items(prepared: PreparedData) -> Items:
    """What a model may know of the items: training degrees, and side information on demand."""
    degrees = np.bincount(prepared.split.train.ids.ravel(), minlength=len(prepared.catalog))

    def field(name: str) -> FieldCodes:
        found = prepared.catalog.field(name)
        codes = torch.from_numpy(found.codes.astype(np.int64))
        return FieldCodes(torch.from_numpy(found.offsets), codes, found.cardinality)

    def graph() -> ItemGraph:
        return _graph(prepared.split.train)

    neighbours, visited = neighbours_in(graph)
    return Items(torch.from_numpy(degrees), field, prepared.catalog.raw_ids, neighbours, visited)


def neighbours_in(
    graph: Callable[[], ItemGraph],
) -> tuple[Callable[[], Neighbours], Callable[[int, int, int], VisitedItems]]:
    """The last two entries of `Items`; the graph is built when one is called."""

    def neighbours() -> Neighbours:
        rows = graph()
        return Neighbours(*map(torch.from_numpy, (rows.indptr, rows.indices, rows.weights)))

    def visited(num_neighbours: int, walks_per_item: int, num_steps: int) -> VisitedItems:
        found = most_visited(graph(), num_neighbours, walks_per_item, num_steps, seed=0)
        return VisitedItems(*map(torch.from_numpy, found))

    return neighbours, visited


def _graph(pairs: ItemPairs) -> ItemGraph:
    return ItemGraph.from_pairs(pairs.heads, pairs.tails, pairs.weights, pairs.num_items)


def _labels(catalog: ItemCatalog) -> sparse.csr_matrix:
    """(N, V) CSR, 1 where an item has a label."""
    fields = [catalog.field(name) for name in LABEL_FIELDS]
    blocks = [
        sparse.csr_matrix(
            (np.ones(len(field.codes)), field.codes, field.offsets),
            shape=(len(catalog), field.cardinality),
        )
        for field in fields
    ]
    return sparse.hstack(blocks, format="csr")
