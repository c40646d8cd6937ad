"""Ranks train copies of one model and exchange their changes after some batches.

The changes of a row since the last exchange, and those of its accumulators of Adagrad, are added
and divided by a power of the number of ranks that touched the row. Means of whole tables, the
ready-made way, undo training: most ranks did not touch a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count
from recsys_lab.models.groups import Group

_DAMPING = 0.5  # a row's sum is divided by (ranks that touched it) ** this
_PIECE = 1 << 25  # bytes of a table that are exchanged at a time
_ADDED = ("sum",)  # state whose changes are added, as those of the weights are
_AVERAGED = ("exp_avg", "exp_avg_sq")  # state that is averaged over the ranks that touched the row
_ABSENT, _BY_ROW, _WHOLE = 0, 1, 2  # forms of a state


@checked
@dataclass(frozen=True)
class ExchangeOptions:
    """How several processes exchange what they have trained; without effect on one process.

    Attributes:
        every_n_batches: batches of each process between two exchanges; None chooses them by how
            often rows are touched (`choose_interval`).
        precision: of the changes that are sent: 32, or "bf16" for half the bytes. Accumulators are
            always sent in full.
    """

    every_n_batches: Count | None = None
    precision: Literal[32, "bf16"] = 32


def choose_interval(frequencies: np.ndarray, places: int, size: int) -> int:
    """Batches between two exchanges.

    Args:
        frequencies: (N,) share of each item in what is trained.
        places: items of the sequences, or pairs, in a batch.
        size: number of ranks.
    """
    del frequencies, places, size
    return 8


class Exchange:
    """Makes the weights of all ranks equal, to the bit; `begin` first, when weights are in place.

    It keeps a second copy of all weights and accumulators, as they were after the last exchange.

    Args:
        optimizers: over all parameters.
        options: see `ExchangeOptions`.
        group: the ranks.
    """

    def __init__(
        self, optimizers: Sequence[Optimizer], options: ExchangeOptions, group: Group
    ) -> None:
        self._options = options
        self._group = group
        self._every = 1
        self._batches = 0  # of an epoch, of the rank that has fewest
        self._own_batches = 0
        self._parts = [
            _Part(parameter, optimizer)
            for optimizer in optimizers
            for group_ in optimizer.param_groups
            for parameter in group_["params"]
        ]

    def begin(self, batches: int, frequencies: np.ndarray, places: int) -> None:
        """Keep the weights, which are equal in all ranks, and fix when ranks exchange.

        Args:
            batches: of this rank in an epoch.
            frequencies: see `choose_interval`.
            places: see `choose_interval`.
        """
        self._own_batches = batches
        self._batches = min(int(x) for x in self._group.gather(torch.tensor([batches])))
        self._every = self._options.every_n_batches or choose_interval(
            frequencies, places, self._group.size
        )
        for part in self._parts:
            part.keep()

    def after_batch(self, done: int) -> int:
        """Exchange if it is time for it after so many batches of the epoch; returns bytes sent.

        All ranks exchange at the same times: every so many batches that all of them have, and at
        the end of the epoch.
        """
        if done == self._own_batches:
            return self.exchange()
        if done < self._batches and done % self._every == 0:
            return self.exchange()
        return 0

    @torch.no_grad()
    def exchange(self) -> int:
        """Add the changes of all ranks since the last exchange; returns the bytes sent."""
        if self._group.size == 1:
            return 0
        self._agree_on_state()
        return sum(
            self._exchange_piece(part, rows) for part in self._parts for rows in part.pieces()
        )

    def _agree_on_state(self) -> None:
        """Let every rank have the state that any has, and the count of steps that is largest."""
        own = torch.tensor([part.describe() for part in self._parts]).flatten()
        most = torch.stack(self._group.gather(own)).amax(0).view(len(self._parts), -1)
        for part, described in zip(self._parts, most.tolist(), strict=True):
            part.complete(described)

    def _exchange_piece(self, part: "_Part", rows: slice) -> int:
        found = part.changes(rows)
        if self._options.precision == "bf16":
            found = found._replace(values=found.values.bfloat16().to(found.values.dtype))
        every = list(zip(*(self._group.gather(tensor) for tensor in found.sent()), strict=True))
        part.add([_Changes.received(part, tensors) for tensors in every])
        size = sum(tensor.numel() * tensor.element_size() for tensor in found.sent())
        return size * (self._group.size - 1)


class _Changes(NamedTuple):
    """What one rank has to say of some rows of a parameter."""

    ids: Tensor  # (u,) int64, ascending
    values: Tensor  # (u, D), change since the last exchange
    state: list[Tensor]  # each (u, k): a change where it is added, else the value

    def sent(self) -> list[Tensor]:
        return [self.ids, self.values.flatten(), *(x.flatten() for x in self.state)]

    @classmethod
    def received(cls, part: "_Part", tensors: Sequence[Tensor]) -> "_Changes":
        ids, values, *state = tensors
        widths = [tensor.shape[1] for tensor in part.state().values()]
        pairs = zip(state, widths, strict=True)
        return cls(ids, values.view(len(ids), -1), [x.view(len(ids), w) for x, w in pairs])


class _Part:
    """A parameter with its state in an optimiser, as rows, and both as they were."""

    def __init__(self, parameter: Tensor, optimizer: Optimizer) -> None:
        self._parameter = parameter
        self._optimizer = optimizer
        self._values = torch.empty(0)
        self._state: dict[str, Tensor] = {}

    def values(self) -> Tensor:
        """The weights (N, D), sharing memory."""
        return _rows(self._parameter.detach())

    def state(self) -> dict[str, Tensor]:
        """The state by name, each (N, k), sharing memory."""
        found = self._optimizer.state[self._parameter]
        return {name: _rows(found[name]) for name in (*_ADDED, *_AVERAGED) if name in found}

    def keep(self) -> None:
        """Copy weights and state."""
        self._values = self.values().clone()
        self._state = {name: tensor.clone() for name, tensor in self.state().items()}

    def pieces(self) -> Iterator[slice]:
        """Ranges of rows of limited size."""
        count, width = self._values.shape
        step = max(1, _PIECE // (width * self._values.element_size()))
        return (slice(low, min(low + step, count)) for low in range(0, count, step))

    def describe(self) -> list[int]:
        """The number of steps, and the form of each kind of state."""
        found = self._optimizer.state[self._parameter]
        names = (*_ADDED, *_AVERAGED)
        return [int(found.get("step", 0)), *(self._form(found.get(name)) for name in names)]

    def _form(self, tensor: Tensor | None) -> int:
        if tensor is None:
            return _ABSENT
        return _WHOLE if tensor.shape == self._parameter.shape else _BY_ROW

    def complete(self, described: Sequence[int]) -> None:
        """Take the steps and the forms of state that all ranks agreed on."""
        steps, *forms = described
        found: dict[str, Any] = self._optimizer.state[self._parameter]
        for name, form in zip((*_ADDED, *_AVERAGED), forms, strict=True):
            if form == _ABSENT:
                continue
            whole = self._parameter.detach()
            if name not in found:
                found[name] = torch.zeros_like(whole if form == _WHOLE else whole[:, 0])
            if name not in self._state:
                self._state[name] = torch.zeros_like(_rows(found[name]))
        if steps:
            step = found.get("step")
            found["step"] = torch.full_like(step, steps) if isinstance(step, Tensor) else steps

    def changes(self, rows: slice) -> _Changes:
        """The rows of a range that were touched, and by how much they changed."""
        values, state = self.values()[rows], {n: x[rows] for n, x in self.state().items()}
        touched = (values != self._values[rows]).any(1)
        for name, tensor in state.items():
            touched |= (tensor != self._state[name][rows]).any(1)
        ids = touched.nonzero()[:, 0] + rows.start
        values = self.values()[ids] - self._values[ids]
        found = [
            tensor[ids] - self._state[name][ids] if name in _ADDED else tensor[ids]
            for name, tensor in self.state().items()
        ]
        return _Changes(ids, values, found)

    def add(self, every: Sequence[_Changes]) -> None:
        """Put in the changes of all ranks, in their order."""
        ids, place = torch.unique(torch.cat([x.ids for x in every]), return_inverse=True)
        places = place.split([len(x.ids) for x in every])
        counts = torch.bincount(place, minlength=len(ids))[:, None]

        def total(parts: Sequence[Tensor]) -> Tensor:
            found = parts[0].new_zeros(len(ids), parts[0].shape[1])
            for where, part in zip(places, parts, strict=True):
                found.index_add_(0, where, part)
            return found

        damping = counts.to(self._values.dtype) ** -_DAMPING
        self._put(self._values, self.values(), ids, total([x.values for x in every]) * damping)
        for number, (name, tensor) in enumerate(self.state().items()):
            found = total([x.state[number] for x in every])
            if name in _ADDED:
                self._put(self._state[name], tensor, ids, found * damping)
            else:
                tensor[ids] = found / counts
                self._state[name][ids] = tensor[ids]

    @staticmethod
    def _put(base: Tensor, now: Tensor, ids: Tensor, change: Tensor) -> None:
        new = base[ids] + change
        base[ids] = new
        now[ids] = new


def _rows(tensor: Tensor) -> Tensor:
    """A tensor as rows (N, k), sharing memory; a single number is one row."""
    return tensor.view(len(tensor), -1) if tensor.dim() else tensor.view(1, 1)
