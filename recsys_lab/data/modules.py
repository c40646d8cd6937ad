"""The LightningDataModules: pairs of the graph, or windows over sequences."""

from typing import Literal, cast

import numpy as np
import torch

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.nodes import Nodes
from recsys_lab.catalog.split import Split
from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count, CountOrZero, Exponent, FieldName, Share, ThreadsOrZero
from recsys_lab.data.batch import Batch, ChosenContexts, PairBatch, WindowBatch
from recsys_lab.data.batch_module import BatchDataModule, Draw
from recsys_lab.data.chosen_contexts import (
    NO_TYPES,
    MarketSampler,
    chosen_contexts,
    draw_rejected,
    goal_pairs,
)
from recsys_lab.data.device_walks import DeviceDraw, DeviceWalks
from recsys_lab.data.negative_sampler import NegativeSampler
from recsys_lab.data.node_pairs import NodePairs
from recsys_lab.data.pair_epochs import PairEpochs, pair_weights, turned_at_random
from recsys_lab.data.sequences import SequenceSource, Walks
from recsys_lab.data.windows import distance_weights, keep_probability, subsample, window_pairs
from recsys_lab.graph.counter import stream_key
from recsys_lab.readers.records import Events

_SUBSAMPLE, _NEGATIVES, _MARKET, _NODES = 3, 4, 7, 8  # purposes of streams
# Batches of an epoch at least and walks of a batch at most, on a CPU and on a GPU, where open.
_BATCHES_AND_WALKS = ((256, 4800), (128, 65_536))


class SequenceDataModule(BatchDataModule):
    """Windows over sequences.

    Args:
        source: where the sequences come from.
        seed: seed of subsampling and of the negatives.
        window: largest distance of a context.
        shrink_windows: weigh contexts by distance, the expectation of word2vec's random windows.
        subsample_threshold: word2vec's t (gensim's `sample`); 0 keeps every occurrence.
        negatives: "in_batch", the contexts of the other walks of a group; "shared", drawn once for
            each group; "per_pair", drawn for every pair, which gives pair batches.
        num_negatives: negatives for each positive: drawn where per pair, in weight otherwise.
        num_shared: negatives drawn for a group where they are shared.
        negative_exponent: negatives follow frequency ** exponent.
        walks_per_batch: sequences in a batch; None takes 1,200, and where an epoch is long a 256th
            part of it, up to 4,800, so that what a step costs beside its training stays small; on
            a GPU a 128th part, up to 65,536.
        walks_per_group: sequences that share negatives.
        num_workers: threads that draw ahead.
        market: field of the catalogue whose first value is an item's market; each sequence then
            draws negatives from the markets of its items. None draws none.
        num_market_negatives: negatives from the market for each sequence, and their weight over
            that of the positives.
        num_node_contexts: contexts that each place draws for each pair of groups, such as of a type
            of users with items, where users or types have vectors (`NodePairs`).
        num_rejected_types: of the negatives of a type of users, types of items that were shown and
            not chosen.
        num_rejected: items that were shown and not chosen, drawn for each sequence as negatives of
            its places, and their weight over that of the positives.
        catalog: of the items, whose field is the market.
        split: of the log, where sequences are of events.
        nodes: what has a vector; batches of windows take turns with those of other nodes.
        on_gpu: whether a GPU trains.
    """

    @checked
    def __init__(
        self,
        source: SequenceSource,
        seed: int,
        *,
        window: Count,
        shrink_windows: bool,
        subsample_threshold: Share,
        negatives: Literal["in_batch", "shared", "per_pair"],
        num_negatives: Count,
        num_shared: Count,
        negative_exponent: Exponent,
        walks_per_batch: Count | None,
        walks_per_group: Count,
        num_workers: ThreadsOrZero,
        market: FieldName | None,
        num_market_negatives: Count,
        num_node_contexts: Count,
        num_rejected_types: CountOrZero,
        num_rejected: CountOrZero,
        catalog: ItemCatalog | None = None,
        split: Split | EventSplit | None = None,
        nodes: Nodes | None = None,
        on_gpu: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("market", market), ("num_rejected", num_rejected)):
            if value and negatives == "per_pair":
                raise ValueError(
                    f"{name}={value} does not go with negatives=per_pair: use negatives=in_batch "
                    "or shared"
                )
        if negatives == "in_batch" and walks_per_group < 2:
            raise ValueError(
                f"walks_per_group must be >= 2 with negatives=in_batch, got {walks_per_group}"
            )
        self._seed = seed
        self.source = source
        self.frequencies = frequencies = source.frequencies
        self._by_distance = distance_weights(source.length, window, shrink=shrink_windows)
        self._keep = keep_probability(frequencies, subsample_threshold)
        self._sampler = NegativeSampler(frequencies, negative_exponent)
        kept = frequencies * self._keep
        self._importance = np.divide(  # of an occurrence, as a sample of the negatives
            self._sampler.probabilities, kept, out=np.zeros_like(kept), where=kept > 0
        ).astype(np.float32)
        self._markets = None
        if market is not None and catalog is not None:
            markets = catalog.field(market).first_values
            self._markets = MarketSampler(markets, self._sampler.probabilities)
        self._num_market_negatives = num_market_negatives
        self._negatives = negatives
        self._num_negatives = num_negatives
        self._num_shared = num_shared if negatives == "shared" else 0
        self._walks_per_group = walks_per_group
        least, most = _BATCHES_AND_WALKS[on_gpu]
        size = walks_per_batch or int(np.clip(source.count // least, 1200, most))
        self._groups = -(-size // walks_per_group)
        self.num_batches = -(-source.count // (self._groups * walks_per_group))
        self.num_workers = num_workers
        self._events = _events_of(source, split, num_rejected + num_rejected_types)
        self._num_rejected = num_rejected
        self._node_pairs = None
        if num_rejected_types and (nodes is None or not nodes.with_events):
            raise ValueError(NO_TYPES)
        if self._events is not None and nodes is not None and nodes.with_events:
            sizes = num_node_contexts, num_negatives, num_rejected_types
            self._node_pairs = NodePairs(
                self._events, nodes, self._sampler, self._by_distance, negative_exponent, *sizes
            )
            self.num_batches *= 2
            if nodes.with_events == nodes.groups:  # else some nodes are not trained
                shares = [frequencies, *(g.counts / g.counts.sum() for g in nodes.groups)]
                self.frequencies = np.concatenate(shares) / len(shares)

    def draw(self, epoch: int, number: int) -> Batch:
        """Batch `number` of an epoch: a pair batch if negatives are per pair, else a block.

        With nodes of events every second one is of their pairs, at the sequences of the one before.
        """
        if self._node_pairs is None:
            return self._draw(epoch, number)
        number, is_of_pairs = divmod(number, 2)
        if not is_of_pairs:
            return self._draw(epoch, number)
        size = self._groups * self._walks_per_group
        events = cast(np.ndarray, self.source.events(epoch, number * size, size))
        return self._node_pairs.draw(events, (self._seed, epoch, number, _NODES))

    def draw_on(self, device: torch.device) -> Draw | None:
        """See `BatchDataModule`: windows of walks of first order with negatives of the batch."""
        source = self.source
        others = self._markets, self._num_rejected, self._node_pairs, (self._keep < 1).any()
        if not isinstance(source, Walks) or not source.is_first_order or any(others):
            return None
        if self._negatives != "in_batch":
            return None
        size = self._groups * self._walks_per_group
        walks = DeviceWalks(source.graph, source.count, source.length, device)
        blocks = DeviceDraw(walks, size, source.count)
        importance = torch.from_numpy(self._importance).to(device)
        by_distance = torch.from_numpy(self._by_distance).to(device)

        def draw(epoch: int, number: int) -> WindowBatch:
            items = blocks(source.key(epoch), number).long()
            num_trained = items.numel()  # walks are never short
            missing = -len(items) % self._walks_per_group
            items = torch.nn.functional.pad(items, (0, 0, 0, missing), value=-1)
            items = items.view(-1, self._walks_per_group, source.length)
            columns = items.flatten(1)
            weights = importance[columns.clamp_min(0)] * (columns >= 0)
            drawn = columns.new_empty(len(columns), 0)
            share = float(self._num_negatives)
            return WindowBatch(items, drawn, weights, by_distance, share, num_trained)

        return draw

    def _draw(self, epoch: int, number: int) -> Batch:
        size = self._groups * self._walks_per_group
        first = number * size
        sequences = self.source.draw(epoch, first, min(size, self.source.count - first))
        if (self._keep < 1).any():
            subsample(sequences, self._keep, first, stream_key(self._seed, epoch, _SUBSAMPLE))
        goals = self.source.goals(epoch, first, size)
        key = stream_key(self._seed, epoch, number, _NEGATIVES)
        if self._negatives == "per_pair":
            return self._pair_batch(sequences, goals, key)
        batch = self._window_batch(sequences, key)
        rng = np.random.default_rng([self._seed, epoch, number, _MARKET])
        rejected = None
        if self._num_rejected and self._events is not None:
            events = cast(np.ndarray, self.source.events(epoch, first, size))
            rejected = draw_rejected(events, self._events, self._num_rejected, rng)
        return batch._replace(chosen=self._chosen(batch.items.numpy(), goals, rejected, rng))

    def _chosen(
        self,
        items: np.ndarray,
        goals: np.ndarray | None,
        rejected: np.ndarray | None,
        rng: np.random.Generator,
    ) -> ChosenContexts | None:
        """The chosen contexts of groups (G, S, L); the others are of sequences without padding."""

        def in_groups(values: np.ndarray | None) -> np.ndarray | None:
            if values is None:
                return None
            padded = np.full((items.shape[0] * items.shape[1], *values.shape[1:]), -1, np.int64)
            padded[: len(values)] = values
            return padded.reshape(*items.shape[:2], *values.shape[1:])

        return chosen_contexts(
            items, in_groups(goals), self._markets, self._num_market_negatives, rng,
            in_groups(rejected),
        )  # fmt: skip

    def _pair_batch(
        self, sequences: np.ndarray, goals: np.ndarray | None, key: np.uint64
    ) -> PairBatch:
        centers, contexts, weights = window_pairs(sequences, self._by_distance)
        if goals is not None:
            found = goal_pairs(sequences, goals)
            centers, contexts = np.concatenate([(centers, contexts), found], axis=1)
            weights = np.concatenate([weights, np.ones(len(found[0]), np.float32)])
        drawn = self._sampler.draw(len(centers) * self._num_negatives, key)
        return PairBatch(
            torch.from_numpy(centers),
            torch.from_numpy(contexts),
            torch.from_numpy(drawn).view(-1, self._num_negatives),
            torch.from_numpy(weights),
            num_trained=int((sequences >= 0).sum()),
        )

    def _window_batch(self, sequences: np.ndarray, key: np.uint64) -> WindowBatch:
        size = self._walks_per_group
        groups = -(-len(sequences) // size)
        items = np.full((groups * size, sequences.shape[1]), -1, np.int64)
        items[: len(sequences)] = sequences
        columns = items.reshape(groups, -1)
        drawn = self._sampler.draw(groups * self._num_shared, key).reshape(groups, self._num_shared)
        if self._num_shared:
            weights = np.concatenate(
                [np.zeros(columns.shape, np.float32), np.ones(drawn.shape, np.float32)], axis=1
            )
        else:
            weights = np.where(columns >= 0, self._importance[columns], np.float32(0))
        return WindowBatch(
            torch.from_numpy(items).view(groups, size, -1),
            torch.from_numpy(drawn),
            torch.from_numpy(weights),
            torch.from_numpy(self._by_distance),
            num_negatives=float(self._num_negatives),
            num_trained=int((items >= 0).sum()),
        )


def _events_of(
    source: SequenceSource, split: Split | EventSplit | None, num_rejected: int
) -> Events | None:
    """The log whose events the places of the sequences are; None: they are none."""
    if isinstance(split, EventSplit) and source.events(0, 0, 1) is not None:
        return split.events
    if num_rejected:
        raise ValueError(
            "num_rejected and num_rejected_types are of events: use data/source=events, or 0"
        )
    return None


class PairDataModule(PairEpochs):
    """The training pairs themselves, once each in an epoch, turned round at random.

    Args:
        split: gives the training pairs.
        seed: seed of the order and of the negatives.
        batch_size: pairs in a batch.
        num_negatives: negatives drawn for each pair.
        negative_exponent: negatives follow (number of pairs of the item) ** exponent.
        use_weights: weigh a pair by its weight over the mean weight; else all alike.
        num_workers: threads that draw ahead.
    """

    @checked
    def __init__(
        self,
        split: Split,
        seed: int,
        *,
        batch_size: Count,
        num_negatives: Count,
        negative_exponent: Exponent,
        use_weights: bool,
        num_workers: ThreadsOrZero,
    ) -> None:
        train = split.train
        degrees = np.bincount(train.ids.ravel(), minlength=train.num_items)
        super().__init__(
            seed,
            train.heads,
            train.tails,
            pair_weights(train.weights, use_weights=use_weights),
            degrees,
            batch_size=batch_size,
            num_negatives=num_negatives,
            num_workers=num_workers,
        )
        self._sampler = NegativeSampler(degrees, negative_exponent)

    def _turned(self, rows: np.ndarray, epoch: int, number: int) -> np.ndarray:
        return turned_at_random(self._seed, epoch, number, len(rows))

    def _negatives(self, contexts: np.ndarray, key: np.uint64) -> np.ndarray:
        drawn = self._sampler.draw(len(contexts) * self._num_negatives, key)
        return drawn.reshape(-1, self._num_negatives)
