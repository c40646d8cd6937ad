"""What was before each event of training, and the event: batches of histories with next items."""

from typing import NamedTuple

import numpy as np
import torch

from recsys_lab.catalog.event_parts import TRAIN
from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.split import Split
from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count, Decay, Exponent, HalfOpenShare, ThreadsOrZero
from recsys_lab.data.batch import HistoryBatch
from recsys_lab.data.batch_module import BatchDataModule
from recsys_lab.data.negative_sampler import NegativeSampler
from recsys_lab.graph.counter import permute_range, stream_key
from recsys_lab.readers.account import CatalogError

_ORDER, _NEGATIVES, _OTHERS = 7, 8, 9  # purposes of streams


class _Events(NamedTuple):
    """Training events by query, each query's in their order."""

    items: np.ndarray  # (E,)
    first: np.ndarray  # (E,) place of the first event of the query
    size: np.ndarray  # (E,) number of events of the query
    targets: np.ndarray  # (M,) places of the events that are predicted


class HistoryDataModule(BatchDataModule):
    """Training events with what their query did before; of sets, with what else is in the set.

    The weights of a history are those of the evaluation: decay ** age over their sum. Where events
    have no order, a history is a sample of the other events of the query, all of one weight.

    Args:
        split: gives the training events.
        seed: of the order, of what is dropped and of the negatives.
        batch_size: events that are predicted in a batch; None takes a 64th part of the epoch, from
            256 to 4,096.
        max_length: L, events of a history; the latest are taken.
        decay: an event of a history weighs this much of the next one's.
        dropout: share of the events of a history that are left out by chance; one always stays.
        num_negatives: items drawn for a batch, which share it; null takes all items of training.
        negative_exponent: negatives follow frequency ** exponent.
        num_workers: threads that draw ahead.

    Raises:
        CatalogError: the split is not one of events, or no query has two training events.
    """

    @checked
    def __init__(
        self,
        split: Split | EventSplit,
        seed: int,
        *,
        batch_size: Count | None,
        max_length: Count,
        decay: Decay,
        dropout: HalfOpenShare,
        num_negatives: Count | None,
        negative_exponent: Exponent,
        num_workers: ThreadsOrZero,
    ) -> None:
        super().__init__()
        if not isinstance(split, EventSplit):
            raise CatalogError(
                "data=histories trains on the histories of a split by events: use "
                "split=leave_one_out, split=time or split=given with catalog=events"
            )
        self._seed = seed
        self._ordered = split.ordered
        self._events = _training_events(split)
        counts = np.bincount(self._events.items, minlength=split.num_items)
        self.frequencies = counts / counts.sum()
        self._length = max_length
        self._by_age = (decay if split.ordered else 1.0) ** np.arange(max_length)
        self._dropout = dropout
        self._num_negatives = num_negatives
        self._sampler = NegativeSampler(counts, negative_exponent)
        count = len(self._events.targets)
        self._batch_size = batch_size or int(np.clip(count // 64, 256, 4096))
        self.num_batches = -(-count // self._batch_size)
        self.num_workers = num_workers

    def draw(self, epoch: int, number: int) -> HistoryBatch:
        """Batch `number` of an epoch."""
        events, size = self._events, len(self._events.targets)
        last = min((number + 1) * self._batch_size, size)
        key = stream_key(self._seed, epoch, _ORDER)
        places = events.targets[permute_range(number * self._batch_size, last, size, key)]
        rng = np.random.default_rng([self._seed, epoch, number, _OTHERS])
        before = self._before(places, rng)  # (B, L)
        present = before >= 0
        weights = np.where(present & self._kept(present, rng), self._by_age, 0.0)
        weights /= weights.sum(axis=1, keepdims=True)
        negatives, chances = self._sampler.draw_distinct(
            self._num_negatives, stream_key(self._seed, epoch, number, _NEGATIVES)
        )
        return HistoryBatch(
            torch.from_numpy(np.where(present, events.items[before], -1).astype(np.int64)),
            torch.from_numpy(weights.astype(np.float32)),
            torch.from_numpy(events.items[places].astype(np.int64)),
            torch.from_numpy(negatives),
            torch.from_numpy(chances),
            num_trained=len(places),
        )

    def _before(self, places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Places (B, L) of the events of each history, the latest first, -1 behind them."""
        events, age = self._events, np.arange(self._length)
        first, others = events.first[places, None], events.size[places, None] - 1
        own = places[:, None] - first  # (B, 1)
        if self._ordered:
            return np.where(age < own, places[:, None] - 1 - age, -1)
        drawn = (rng.random((len(places), self._length)) * others).astype(np.int64)
        drawn = np.where(others <= self._length, age, drawn)  # with repeats, of a large set
        found = first + drawn + (drawn >= own)
        return np.where(age < others, found, -1)

    def _kept(self, present: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(B, L) bool; a history whose events would all be left out keeps them."""
        if not self._dropout:
            return present
        kept = rng.random(present.shape) >= self._dropout
        return kept | ~(kept & present).any(axis=1, keepdims=True)


def _training_events(split: EventSplit) -> _Events:
    """The training events; of a query with an order, the first has no history."""
    places = np.flatnonzero(split.part == TRAIN)
    query = split.query[places]
    first = np.searchsorted(query, query, side="left")
    size = np.searchsorted(query, query, side="right") - first
    has_history = np.arange(len(query)) > first if split.ordered else size > 1
    if not has_history.any():
        raise CatalogError(
            "no query has two training events, so nothing has a history: hold out less, or use "
            "split.query=user"
        )
    return _Events(split.events.item[places], first, size, np.flatnonzero(has_history))
