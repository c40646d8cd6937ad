"""What a run's training and tests share of its data, each part made once."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from scipy import sparse

from recsys_lab.catalog.catalog import Field, ItemCatalog
from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.interaction_pairs import interaction_pairs
from recsys_lab.catalog.nodes import ITEM_TYPE, Nodes, item_nodes
from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.catalog.split import HeldOut, Split
from recsys_lab.data.batch import FieldCodes, Items, Neighbours, VisitedItems
from recsys_lab.evaluation.baseline_choice import Findings
from recsys_lab.evaluation.baselines import TrainingData
from recsys_lab.evaluation.click_ranks import Clicks
from recsys_lab.evaluation.query_baselines import QueryData
from recsys_lab.evaluation.scorers import Scorer, first_items
from recsys_lab.evaluation.slices import EvaluationPairs
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.visits import most_visited
from recsys_lab.vectors.users import UserHistories

LABEL_FIELDS = ("brand", "category")

Part = Literal["val", "test"]


class RunData:
    """The training graph, the evaluation pairs, and what baselines may use; queries are items.

    Args:
        split: training pairs and held-out pairs.
        catalog: gives the labels of the items; there are none without it.
        nodes: what has a vector; None: the items alone.

    Attributes:
        folders: of the prepared catalogue and split; None where they are on no disk.
        relation_shares: what `shares` gives; None where the relations of pairs are not known.
    """

    folders: tuple[Path, Path] | None = None
    relation_shares: Callable[[Sequence[str]], np.ndarray] | None = None

    def __init__(
        self, split: Split, catalog: ItemCatalog | None = None, nodes: Nodes | None = None
    ) -> None:
        self.split: Split | EventSplit = split
        self.catalog = catalog
        self.nodes = nodes or item_nodes(split)
        self._pairs = split

    def shares(self, names: Sequence[str]) -> np.ndarray:
        """What some relations contribute to the weights of the training pairs, (P,)."""
        if self.relation_shares is None:
            return np.ones(len(self.split.train))
        return self.relation_shares(names)

    @cached_property
    def graph(self) -> ItemGraph:
        """Graph of the training pairs."""
        return _graph(self.split.train)

    def evaluation_pairs(self, part: Part) -> EvaluationPairs:
        """The held-out pairs of a part with what the protocol needs."""
        held = self._held_out(part)
        return EvaluationPairs(
            self._pairs.num_items, held.pairs.ids, held.negatives, self._known, self._pairs.seen
        )

    def held_items(self, part: Part) -> np.ndarray:
        """The distinct items of a held-out part, ascending."""
        return self._held_out(part).pairs.items

    def negatives(self, part: Part) -> dict[str, np.ndarray]:
        """The negatives of a part, (M, 2) by protocol."""
        return self._held_out(part).negatives

    def for_baselines(self) -> TrainingData | QueryData:
        """What the baselines of the test may know: training pairs and labels, or events."""
        no_labels = sparse.csr_matrix((self.split.num_items, 0))
        labels = no_labels if self.catalog is None else _labels(self.catalog)
        pairs = _matrix(self.graph, self.graph.weights)
        return TrainingData(pairs, labels, self.evaluation_pairs("val"), findings=self._findings)

    @cached_property
    def _findings(self) -> Findings:
        """Of the baselines, which a mixture may build before the test does."""
        return Findings()

    def history_weights(self, part: Part) -> sparse.csr_matrix | None:
        """(Q, V) CSR, what the nodes that stand for each query weigh; None: queries are items."""
        return None

    def asked(self, scorer: Scorer, part: Part) -> Scorer:
        """The scorer of a part's queries, given that of all nodes."""
        return first_items(scorer, self.nodes.num_items)

    def users(self) -> UserHistories | None:
        """All that each user did, in every part of a log; None where events are not split."""
        return None

    def clicks(self) -> Clicks | None:
        """The clicks before the test targets; None where the log does not say what was shown."""
        return None

    def _held_out(self, part: Part) -> HeldOut:
        return self._pairs.val if part == "val" else self._pairs.test

    @cached_property
    def _known(self) -> sparse.csr_matrix:
        """(N, N) matrix whose stored entries are the pairs of all parts."""
        known = _graph(self._pairs.known)
        return _matrix(known, np.ones(len(known.indices), np.int8))


def known_items(prepared: PreparedData, nodes: Nodes | None = None) -> Items:
    """What a model may know of its V nodes: how often training meets them, side information, ..

    Args:
        prepared: items and training pairs.
        nodes: None: the items alone.
    """
    nodes = nodes or item_nodes(prepared.split)
    others = len(nodes) - nodes.num_items  # which have no side information

    def field(name: str) -> FieldCodes:
        if name == ITEM_TYPE:
            return _types_of_items(nodes, others)
        found = prepared.catalog.field(name)
        offsets = np.append(found.offsets, np.full(others, found.offsets[-1]))
        codes = torch.from_numpy(found.codes.astype(np.int64))
        return FieldCodes(torch.from_numpy(offsets), codes, found.cardinality)

    neighbours, visited = neighbours_in(lambda: node_graph(prepared.split, nodes))
    named = [pl.format("{}:{}", pl.lit(group.name), group.names) for group in nodes.groups]
    ids = pl.concat([prepared.catalog.raw_ids, *(pl.select(name).to_series() for name in named)])
    firsts = tuple(group.first for group in nodes.groups)
    return Items(torch.from_numpy(nodes.counts), field, ids, neighbours, visited, firsts)


def _types_of_items(nodes: Nodes, others: int) -> FieldCodes:
    """The type of each item as a field of one value; nodes that are no items have none."""
    group = nodes.group(ITEM_TYPE)
    types = np.append(np.asarray(group.of_items, np.int64) - group.first, np.full(others, -1))
    offsets = np.append(0, np.cumsum(types >= 0))
    codes = torch.from_numpy(types[types >= 0])
    return FieldCodes(torch.from_numpy(offsets), codes, len(group))


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


def node_graph(split: Split | EventSplit, nodes: Nodes) -> ItemGraph:
    """The graph over all nodes that graph neural networks propagate over (`Nodes.graph`)."""
    parts = [] if nodes.graph == "interactions" else [split.train]
    if nodes.graph != "items" and isinstance(split, EventSplit):
        parts += [interaction_pairs(split, group, len(nodes)) for group in nodes.with_events]
    heads, tails, weights = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("heads", "tails", "weights")
    )
    return ItemGraph.from_pairs(heads, tails, weights, len(nodes))


def _graph(pairs: ItemPairs) -> ItemGraph:
    return ItemGraph.from_pairs(pairs.heads, pairs.tails, pairs.weights, pairs.num_items)


def _matrix(graph: ItemGraph, entries: np.ndarray) -> sparse.csr_matrix:
    """(N, N) matrix that shares its places with the graph; they have 32 bits where that is enough.

    `ItemGraph.adjacency` has 64, in a copy.
    """
    return sparse.csr_matrix((entries, graph.indices, graph.indptr), shape=(len(graph),) * 2)


def _labels(catalog: ItemCatalog) -> sparse.csr_matrix:
    """(N, V) CSR, 1 where an item has a label."""
    return sparse.hstack([values_of(catalog.field(name)) for name in LABEL_FIELDS], format="csr")


def values_of(field: Field) -> sparse.csr_matrix:
    """(N, T) CSR, 1 where an item has a value."""
    shape = len(field.offsets) - 1, field.cardinality
    return sparse.csr_matrix((np.ones(len(field.codes)), field.codes, field.offsets), shape)
