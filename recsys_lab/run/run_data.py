"""What a run's training and tests share of its data, each part made once."""

from functools import cached_property
from typing import Literal

import numpy as np
import torch
from scipy import sparse

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.catalog.split import Split
from recsys_lab.data.batch import FieldCodes, Items
from recsys_lab.evaluation.baselines import TrainingData
from recsys_lab.evaluation.slices import EvaluationPairs
from recsys_lab.graph.graph import ItemGraph

LABEL_FIELDS = ("brand", "category")


class RunData:
    """The training graph, the evaluation pairs, and what baselines may use.

    Args:
        split: training pairs and held-out pairs.
        catalog: gives the labels of the items; there are none without it.
    """

    def __init__(self, split: Split, catalog: ItemCatalog | None = None) -> None:
        self.split = split
        self.catalog = catalog

    @cached_property
    def graph(self) -> ItemGraph:
        """Graph of the training pairs."""
        return _graph(self.split.train)

    def evaluation_pairs(self, part: Literal["val", "test"]) -> EvaluationPairs:
        """The held-out pairs of a part with what the protocol needs."""
        held = self.split.val if part == "val" else self.split.test
        return EvaluationPairs(
            self.split.num_items, held.pairs.ids, held.negatives, self._known, self.split.seen
        )

    def for_baselines(self) -> TrainingData:
        """The training pairs, and the items' labels of brand and category."""
        no_labels = sparse.csr_matrix((self.split.num_items, 0))
        labels = no_labels if self.catalog is None else _labels(self.catalog)
        return TrainingData(sparse.csr_matrix(self.graph.adjacency), labels)

    @cached_property
    def _known(self) -> sparse.csr_matrix:
        """(N, N) matrix whose stored entries are the pairs of all parts."""
        known = _graph(self.split.known)
        ones = np.ones(len(known.indices), np.int8)
        return sparse.csr_matrix((ones, known.indices, known.indptr), shape=(len(known),) * 2)


def known_items(prepared: PreparedData) -> Items:
    """What a model may know of the items: training degrees, and side information on demand."""
    degrees = np.bincount(prepared.split.train.ids.ravel(), minlength=len(prepared.catalog))

    def field(name: str) -> FieldCodes:
        found = prepared.catalog.field(name)
        codes = torch.from_numpy(found.codes.astype(np.int64))
        return FieldCodes(torch.from_numpy(found.offsets), codes, found.cardinality)

    return Items(torch.from_numpy(degrees), field, prepared.catalog.raw_ids)


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
