"""Ranks train copies of one model, and exchange what changed after some batches.

Means of whole tables, the ready-made way (local SGD), undo the training of sparse tables: most
ranks did not touch a row. Here the changes of the rows that were touched are merged
(`row_changes.merge`).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch.optim import Optimizer

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count
from recsys_lab.models.exchanged_rows import Rows
from recsys_lab.models.groups import Group

_PIECE = 1 << 21  # bytes of rows that are exchanged at a time
# Measured, docs/scale.md.
_TOUCHES = 200.0  # by all ranks, of a touched row between two exchanges, times log2 of the ranks
_LEAST_END = 0.5  # of an interval: a shorter one at the end of an epoch joins the one before


@checked
@dataclass(frozen=True)
class ExchangeOptions:
    """How several processes exchange what they have trained; one process has nothing to exchange.

    Attributes:
        every_n_batches: batches of each process between two exchanges; None chooses them by how
            often rows are touched (`choose_interval`), and fewer at the start of training.
        precision: of the changes of weights that are sent: 32, or "bf16" for half the bytes.
    """

    every_n_batches: Count | None = None
    precision: Literal[32, "bf16"] = 32


def choose_interval(frequencies: np.ndarray, places: int, size: int) -> int:
    """The most batches between two exchanges, by how often a row that is touched is touched.

    What is lost against one process depends on how often a row is trained by all ranks before they
    hear of each other, on a small catalogue as on a large one, and on the number of ranks.

    Args:
        frequencies: (N,) share of each item in what is trained.
        places: items of the sequences, or pairs, in a batch.
        size: number of ranks.
    """
    met = frequencies[frequencies > 0]
    limit = _TOUCHES / _doublings(size)

    def touches(batches: int) -> float:
        drawn = batches * places * size
        return drawn / -np.expm1(drawn * np.log1p(-np.minimum(met, 1 - 1e-12))).sum()

    low, high = 1, 2
    while high < 1 << 24 and touches(high) <= limit:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if touches(middle) <= limit else (low, middle)
    return low


def exchange_times(before: int, batches: int, most: int, size: int) -> Iterator[int]:
    """After how many batches of an epoch ranks exchange, before its end.

    An interval is the number of batches trained before it, divided by log2 of the number of ranks,
    so that the first ones are short.

    Args:
        before: batches of a rank before the epoch.
        batches: of the epoch.
        most: of an interval, by `choose_interval`.
        size: number of ranks.
    """
    done = 0
    while True:
        step = max(1, min(most, int((before + done) / _doublings(size))))
        done += step
        if done + step * _LEAST_END >= batches:
            return
        yield done


class Exchange:
    """Makes the weights and the state of the optimisers equal in all ranks, to the bit.

    A row has an owner, to which the ranks that touched the row send their changes. The owner merges
    them and sends the result to all, so that what a rank has does not depend on its machine.

    It keeps a second copy of all weights and accumulators: how they were after the last exchange.

    Args:
        optimizers: over all parameters.
        options: see `ExchangeOptions`.
        group: the ranks.

    Attributes:
        every_n_batches: the most batches of each rank between two exchanges.
    """

    def __init__(
        self, optimizers: Sequence[Optimizer], options: ExchangeOptions, group: Group
    ) -> None:
        self.every_n_batches = 1
        self._options = options
        self._group = group
        self._own_batches = self._least_batches = 0
        self._epoch: Callable[[], int] = lambda: 0
        self._due: tuple[int, frozenset[int]] = (-1, frozenset())  # of an epoch
        self._tables = [
            Rows(parameter, optimizer, in_half=options.precision == "bf16")
            for optimizer in optimizers
            for settings in optimizer.param_groups
            for parameter in settings["params"]
        ]

    def begin(
        self,
        batches: int,
        frequencies: np.ndarray,
        places: int,
        epoch: Callable[[], int] = lambda: 0,
    ) -> None:
        """Fix when ranks exchange, and keep the weights, which are equal in all ranks.

        Args:
            batches: of this rank in an epoch.
            frequencies: see `choose_interval`.
            places: see `choose_interval`.
            epoch: the number of the current epoch.
        """
        self._epoch = epoch
        self._own_batches = batches
        self._least_batches = min(int(x) for x in self._gather_numbers([batches])[:, 0])
        self.every_n_batches = self._options.every_n_batches or choose_interval(
            frequencies, places, self._group.size
        )
        for table in self._tables:
            table.keep()

    def is_due(self, done: int) -> bool:
        """Whether ranks exchange after so many batches of the epoch.

        All do so at the same times: while all of them go on, and at the end of the epoch.
        """
        if done == self._own_batches:
            return True
        if self._due[0] != (epoch := self._epoch()):
            before = epoch * self._least_batches
            most = self.every_n_batches
            if self._options.every_n_batches is None:
                times = exchange_times(before, self._least_batches, most, self._group.size)
            else:
                times = iter(range(most, self._least_batches, most))
            self._due = epoch, frozenset(times)
        return done in self._due[1]

    def after_batch(self, done: int) -> int:
        """Exchange if it is time after so many batches of the epoch; returns the bytes sent."""
        return self.exchange(whole=done == self._own_batches) if self.is_due(done) else 0

    @torch.no_grad()
    def exchange(self, *, whole: bool = True) -> int:
        """Merge what all ranks changed since the last exchange; returns the bytes sent.

        Args:
            whole: compare all weights, so that nothing is left out; see `Rows.touched`.
        """
        if self._group.size == 1:
            return 0
        described = self._gather_numbers([x for table in self._tables for x in table.describe()])
        most = described.amax(0).view(len(self._tables), -1).tolist()
        for table, forms in zip(self._tables, most, strict=True):
            table.complete(forms)
        masks = [np.packbits(table.touched(whole=whole)) for table in self._tables]
        own = torch.from_numpy(np.concatenate(masks))
        every = torch.stack(self._group.gather(own)).numpy()
        parts = np.split(every, np.cumsum([len(mask) for mask in masks])[:-1], axis=1)
        sent = (self._group.size - 1) * own.nbytes
        for table, bits in zip(self._tables, parts, strict=True):
            touched = np.unpackbits(bits, axis=1, count=len(table)).view(np.bool_)
            sent += self._exchange_rows(table, touched)
        return sent

    def _gather_numbers(self, own: Sequence[int]) -> torch.Tensor:
        """Some numbers of every rank: (ranks, n)."""
        return torch.stack(self._group.gather(torch.tensor(own)))

    def _exchange_rows(self, table: Rows, touched: np.ndarray) -> int:
        """Exchange a table, some rows at a time; `touched` (R, N) says which rank touched which."""
        ids = np.flatnonzero(touched.any(0))
        step = max(1, _PIECE // max(1, table.row_bytes))
        pieces = [ids[low : low + step] for low in range(0, len(ids), step)]
        return sum(self._exchange_piece(table, piece, touched[:, piece]) for piece in pieces)

    def _exchange_piece(self, table: Rows, ids: np.ndarray, has: np.ndarray) -> int:
        """Exchange rows `ids` (n,), of which `has` (R, n) says which rank touched them."""
        me, size = self._group.rank, self._group.size
        bounds = [len(ids) * rank // size for rank in range(size + 1)]
        parts = [slice(low, high) for low, high in pairwise(bounds)]  # of the owners
        dealt = [table.pack(ids[part][has[me, part]]) for part in parts]
        counts = has[:, parts[me]].sum(1).tolist()
        received = table.room(sum(counts))
        self._group.swap(dealt, received.split(counts))
        owned = table.merge(received, has[:, parts[me]])
        merged = table.room(len(ids))
        self._group.swap([owned] * size, merged.split(np.diff(bounds).tolist()))
        table.apply(ids, merged)
        others = [rows for rank, rows in enumerate(dealt) if rank != me]
        return sum(rows.nbytes for rows in others) + (size - 1) * owned.nbytes


def _doublings(size: int) -> float:
    return max(1.0, math.log2(size))
