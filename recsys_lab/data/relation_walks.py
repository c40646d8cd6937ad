"""Windows over walks of several graphs: the pairs of each group of relations, such as purchases."""

import logging
from collections.abc import Callable, Sequence

import numpy as np

from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.split import Split
from recsys_lab.compute.checks import checked
from recsys_lab.compute.counts import count_of
from recsys_lab.compute.ranges import Count, Exponent, RelationGroups, Share, ThreadsOrZero
from recsys_lab.data.batch import WindowBatch
from recsys_lab.data.batch_module import BatchDataModule
from recsys_lab.data.modules import SequenceDataModule
from recsys_lab.data.sequences import Walks
from recsys_lab.graph.graph import ItemGraph

log = logging.getLogger(__name__)


class RelationDataModule(BatchDataModule):
    """Walks on a graph for each group of relations, in batches of one graph each.

    A pair that several groups list is in each of their graphs, with a share of its weight. Batches
    of the graphs take turns, spread evenly over an epoch. Negatives are of the same batch.

    Args:
        source: walks on all pairs, whose options those of each graph have.
        split: gives the training pairs.
        shares: of their weights (P,), by the names of a group (`PairRelations.shares`).
        seed: seed of the negatives.
        relations: groups of names of relations; a graph for each.
        window: as of `SequenceDataModule`, like the others.

    Attributes:
        num_graphs: of the groups.

    Raises:
        ValueError: the source is none of walks, or no training pair is of a group.
    """

    @checked
    def __init__(
        self,
        source: Walks,
        split: Split,
        shares: Callable[[Sequence[str]], np.ndarray],
        seed: int,
        *,
        relations: RelationGroups,
        window: Count,
        shrink_windows: bool,
        subsample_threshold: Share,
        num_negatives: Count,
        negative_exponent: Exponent,
        walks_per_batch: Count | None,
        walks_per_group: Count,
        num_workers: ThreadsOrZero,
    ) -> None:
        super().__init__()
        if not isinstance(source, Walks):
            raise ValueError("data=relations draws walks of its own: use data/source=walks")
        found = [shares(group) for group in relations]
        graphs = [_graph(split.train, *both) for both in zip(found, relations, strict=True)]
        _tell_left(np.sum(found, axis=0))
        self.parts = [
            SequenceDataModule(
                source.over(graph),
                seed,
                window=window,
                shrink_windows=shrink_windows,
                subsample_threshold=subsample_threshold,
                negatives="in_batch",
                num_negatives=num_negatives,
                num_shared=1,
                negative_exponent=negative_exponent,
                walks_per_batch=walks_per_batch,
                walks_per_group=walks_per_group,
                num_workers=num_workers,
                market=None,
                num_market_negatives=1,
                num_node_contexts=1,
                num_rejected_types=0,
                num_rejected=0,
            )
            for graph in graphs
        ]
        self.num_workers = num_workers
        self.num_graphs = len(self.parts)
        counts = np.array([part.num_batches for part in self.parts])
        self.num_batches = int(counts.sum())
        self._turns = take_turns(counts)
        frequencies = np.stack([part.frequencies for part in self.parts])  # (G, N)
        self.frequencies = counts / counts.sum() @ frequencies
        self._num_items = split.num_items

    def draw(self, epoch: int, number: int) -> WindowBatch:
        """Batch `number` of an epoch."""
        graph, own_number = self._turns[number].tolist()
        batch = self.parts[graph].draw(epoch, own_number)
        assert isinstance(batch, WindowBatch)  # noqa: S101 - negatives are of the batch
        return batch._replace(first_context=graph * self._num_items)


def take_turns(counts: np.ndarray) -> np.ndarray:
    """The order (n, 2) in which parts with so many batches take turns: part, number in the part."""
    parts = np.repeat(np.arange(len(counts)), counts)
    numbers = np.concatenate([np.arange(count) for count in counts])
    order = np.argsort((numbers + 0.5) / counts[parts], kind="stable")
    return np.stack([parts, numbers], axis=1)[order]


def _tell_left(shares: np.ndarray) -> None:
    """Warn of training pairs of which no group has a share."""
    if left := int((shares == 0).sum()):
        log.warning(
            "%s of %s are listed under none of data.relations, and train nothing",
            f"{left:,}", count_of(len(shares), "training pair"),
        )  # fmt: skip


def _graph(train: ItemPairs, shares: np.ndarray, group: Sequence[str]) -> ItemGraph:
    """The training pairs of a group with their shares (P,) of the weights.

    Raises:
        ValueError: there is none.
    """
    listed = shares > 0
    if not listed.any():
        raise ValueError(f"relations: no training pair is listed under {', '.join(group)}")
    pairs, weights = train.take(listed), (train.weights * shares)[listed]
    return ItemGraph.from_pairs(pairs.heads, pairs.tails, weights, train.num_items)
