"""Batches of items with what a teacher ranks first for each."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count, Exponent, Positive, ThreadsOrZero
from recsys_lab.data.batch import TeacherBatch
from recsys_lab.data.batch_module import BatchDataModule
from recsys_lab.data.negative_sampler import NegativeSampler
from recsys_lab.graph.counter import permute_range, stream_key
from recsys_lab.graph.graph import ItemGraph

_ORDER, _NEGATIVES = 5, 4  # purposes of streams


class RankedItems(NamedTuple):
    """The items of the largest scores above 0 for each of S queries, that are no training pairs."""

    queries: np.ndarray  # (S,) item ids
    items: np.ndarray  # (S, T) int32; any id where the score is 0
    scores: np.ndarray  # (S, T) float32


Rank = Callable[[int], RankedItems]  # T -> what a teacher ranks first


class TeacherDataModule(BatchDataModule):
    """Every item with a training pair once an epoch, with what a teacher ranks first for it.

    Args:
        graph: of the training pairs.
        teacher: ranks items.
        seed: of the order and of the negatives.
        batch_size: items in a batch.
        num_ranked: T, items that the teacher ranks for an item.
        temperature: an item's share goes by its score ** (1 / temperature).
        num_negatives: items drawn for a batch, which share it; None takes all with training pairs.
        negative_exponent: negatives follow degree ** exponent.
        num_workers: threads that draw ahead.

    Raises:
        ValueError: the teacher ranks nothing for any item.
    """

    @checked
    def __init__(
        self,
        graph: ItemGraph,
        teacher: Rank,
        seed: int,
        *,
        batch_size: Count,
        num_ranked: Count,
        temperature: Positive,
        num_negatives: Count | None,
        negative_exponent: Exponent,
        num_workers: ThreadsOrZero,
    ) -> None:
        super().__init__()
        self._seed = seed
        self._ranked = teacher(num_ranked)
        powers = self._ranked.scores.astype(np.float64) ** (1 / temperature)
        sums = powers.sum(axis=1, keepdims=True)
        has_share = sums[:, 0] > 0
        if not has_share.any():
            raise ValueError(
                "data=teacher: the teacher scores no two items above 0 that are no training pair, "
                "so there is nothing to learn: use data=sequences"
            )
        self._ranked = RankedItems(*(part[has_share] for part in self._ranked))
        self._shares = (powers[has_share] / sums[has_share]).astype(np.float32)  # (S, T)
        self._excluded = _excluded(graph, self._ranked)
        self.frequencies = graph.degrees / graph.degrees.sum()
        self._sampler = NegativeSampler(graph.degrees, negative_exponent)
        self._num_negatives = num_negatives
        self._batch_size = batch_size
        self.num_batches = -(-len(self._shares) // batch_size)
        self.num_workers = num_workers

    def draw(self, epoch: int, number: int) -> TeacherBatch:
        """Batch `number` of an epoch."""
        size = len(self._shares)
        last = min((number + 1) * self._batch_size, size)
        key = stream_key(self._seed, epoch, _ORDER)
        rows = permute_range(number * self._batch_size, last, size, key)
        negatives, chances = self._sampler.draw_distinct(
            self._num_negatives, stream_key(self._seed, epoch, number, _NEGATIVES)
        )
        return TeacherBatch(
            torch.from_numpy(self._ranked.queries[rows].astype(np.int64)),
            torch.from_numpy(self._ranked.items[rows].astype(np.int64)),
            torch.from_numpy(self._shares[rows]),
            torch.from_numpy(negatives),
            torch.from_numpy(chances),
            torch.from_numpy(self._excluded[rows][:, negatives].toarray()),
            num_trained=len(rows),
        )


def _excluded(graph: ItemGraph, ranked: RankedItems) -> sparse.csr_matrix:
    """(S, N) bool, the query itself, what it ranks and its training pairs."""
    shape = len(ranked.queries), len(graph)
    rows = np.append(np.nonzero(ranked.scores)[0], np.arange(shape[0]))
    items = np.append(ranked.items[ranked.scores > 0], ranked.queries)
    own = sparse.csr_matrix((np.ones(len(rows), bool), (rows, items)), shape)
    entries = np.ones(len(graph.indices), bool)
    pairs = sparse.csr_matrix((entries, graph.indices, graph.indptr), (shape[1],) * 2)
    return sparse.csr_matrix(own + pairs[ranked.queries])
