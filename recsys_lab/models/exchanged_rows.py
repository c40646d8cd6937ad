"""The rows of a parameter that ranks exchange: what changed, how it is merged, and its bytes."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

_PIECE = 1 << 25  # bytes of a table that are exchanged at a time
_STATE = ("sum", "exp_avg", "exp_avg_sq")  # of the optimisers, by row or by element
_ALIGNED = 8  # bytes: packed changes end so that numbers behind them lie where they have to
_ABSENT, _BY_ROW, _WHOLE = 0, 1, 2  # forms of a state


class Changes(NamedTuple):
    """Rows of a parameter that were touched since the last exchange."""

    ids: Tensor  # (u,) int32, ascending
    values: Tensor  # (u, D), by how much the weights changed
    state: tuple[Tensor, ...]  # each (u, k), as it is now

    def cut(self, bounds: Sequence[int]) -> list["Changes"]:
        """Those of the ids below each bound and not below the one before, sharing memory."""
        ends = torch.searchsorted(self.ids, torch.tensor(bounds, device=self.ids.device)).tolist()
        places = [slice(low, high) for low, high in pairwise([0, *ends])]
        return [
            Changes(self.ids[p], self.values[p], tuple(x[p] for x in self.state)) for p in places
        ]


def merge(every: Sequence[Changes]) -> Changes:
    """The changes of all ranks as one.

    Weights: the adaptive sum of Maleki et al. (Adasum, MLSys 2021), of each row for itself, over a
    tree of the ranks in their order. Changes that have nothing to do with each other are added; of
    changes that say the same, which each rank found out for itself, it is the mean. State is
    averaged over the ranks that touched the row.
    """
    ids, place = torch.unique(torch.cat([x.ids for x in every]), return_inverse=True)
    places = place.split([len(x.ids) for x in every])
    counts = torch.bincount(place, minlength=len(ids))[:, None]

    def spread(parts: Sequence[Tensor]) -> list[Tensor]:
        """Each rank's rows among all, zero where it touched none."""
        width = parts[0].shape[1]
        pairs = zip(places, parts, strict=True)
        return [x.new_zeros(len(ids), width).index_copy_(0, rows, x) for rows, x in pairs]

    changes = spread([x.values for x in every])
    while len(changes) > 1:
        odd = changes[len(changes) & ~1 :]
        pairs = zip(changes[::2], changes[1::2], strict=False)
        changes = [_adaptive_sum(a, b) for a, b in pairs] + odd
    states = (spread(parts) for parts in zip(*(x.state for x in every), strict=True))
    return Changes(ids, changes[0], tuple(torch.stack(x).sum(0) / counts for x in states))


def _adaptive_sum(first: Tensor, second: Tensor) -> Tensor:
    """Rows (u, D): their sum where they are orthogonal, their mean where they are the same."""
    common = (first * second).sum(1, keepdim=True) / 2
    least = torch.finfo(first.dtype).tiny  # a row without change shares nothing, too
    lengths = [x.square().sum(1, keepdim=True).clamp_min(least) for x in (first, second)]
    return (first * (1 - common / lengths[0])).addcmul_(second, 1 - common / lengths[1])


class Layout:
    """Changes as bytes: a column after the other, those of large numbers first.

    Args:
        like: changes of the same parameter.
        dtype: of the values.
    """

    def __init__(self, like: Changes, dtype: torch.dtype) -> None:
        kinds = [(like.ids.dtype, 1), (dtype, like.values.shape[1])]
        kinds += [(state.dtype, state.shape[1]) for state in like.state]
        self._kinds = kinds
        self._dtype = dtype
        self._order = sorted(range(len(kinds)), key=lambda k: -kinds[k][0].itemsize)
        self._row = sum(kind.itemsize * width for kind, width in kinds)

    def pack(self, changes: Changes) -> Tensor:
        """(n,) uint8; n is a multiple of 8."""
        columns = [changes.ids, changes.values.to(self._dtype), *changes.state]
        flat = [columns[k].contiguous().flatten().view(torch.uint8) for k in self._order]
        missing = -len(changes.ids) * self._row % _ALIGNED
        return torch.cat([*flat, flat[0].new_zeros(missing)])

    def unpack(self, packed: Tensor, dtype: torch.dtype) -> Changes:
        """The changes of some bytes, with values of another type; they may share memory."""
        count, start = len(packed) // self._row, 0
        columns: dict[int, Tensor] = {}
        for k in self._order:
            kind, width = self._kinds[k]
            end = start + kind.itemsize * width * count
            columns[k], start = packed[start:end].view(kind).view(count, width), end
        ids, values, *state = (columns[k] for k in range(len(columns)))
        return Changes(ids[:, 0], values.to(dtype), tuple(state))


class Rows:
    """A parameter and its state in an optimiser, as rows, with a copy of both.

    The copy is how they were after the last exchange.
    """

    def __init__(self, parameter: Tensor, optimizer: Optimizer) -> None:
        self._parameter = parameter
        self._optimizer = optimizer
        self._values = torch.empty(0)
        self._state: dict[str, Tensor] = {}

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self._parameter.dtype

    def values(self) -> Tensor:
        """The weights (N, D), sharing memory."""
        return _as_rows(self._parameter.detach())

    def state(self) -> dict[str, Tensor]:
        """The state by name, each (N, k), sharing memory."""
        found = self._optimizer.state[self._parameter]
        return {name: _as_rows(found[name]) for name in _STATE if name in found}

    def keep(self) -> None:
        """Copy weights and state."""
        self._values = self.values().clone()
        self._state = {name: tensor.clone() for name, tensor in self.state().items()}

    def pieces(self) -> Iterator[slice]:
        """Ranges of rows of limited size."""
        count, width = self.values().shape
        step = max(1, _PIECE // max(1, width * self.dtype.itemsize))
        return (slice(low, min(low + step, count)) for low in range(0, count, step))

    def describe(self) -> list[int]:
        """The number of steps, and the form of each kind of state."""
        found = self._optimizer.state[self._parameter]
        return [int(found.get("step", 0)), *(self._form(found.get(name)) for name in _STATE)]

    def _form(self, tensor: Tensor | None) -> int:
        if tensor is None:
            return _ABSENT
        return _WHOLE if tensor.shape == self._parameter.shape else _BY_ROW

    def complete(self, described: Sequence[int]) -> None:
        """Take the number of steps and the forms of state of all ranks: a rank may lack some."""
        steps, *forms = described
        found: dict[str, Any] = self._optimizer.state[self._parameter]
        whole = self._parameter.detach()
        for name, form in zip(_STATE, forms, strict=True):
            if form == _ABSENT:
                continue
            if name not in found:
                found[name] = torch.zeros_like(whole if form == _WHOLE else whole[:, 0])
            if name not in self._state:
                self._state[name] = torch.zeros_like(_as_rows(found[name]))
        if steps:  # a tensor but for SparseAdam
            is_number = isinstance(self._optimizer, torch.optim.SparseAdam)
            found["step"] = steps if is_number else torch.tensor(float(steps))

    def changes(self, rows: slice, *, whole: bool) -> Changes:
        """The rows of a range that were touched.

        Args:
            rows: the range.
            whole: compare all numbers. Else the accumulators of Adagrad tell, where there are any:
                a row is touched if its own has grown. One that is too large to grow by the square
                of a small gradient does not tell.
        """
        state, values = self.state(), self.values()
        kept = [(state["sum"], self._state["sum"])] if "sum" in state else []
        if whole or not kept:
            kept = [(values, self._values), *((x, self._state[n]) for n, x in state.items())]
        touched = (kept[0][0][rows] != kept[0][1][rows]).any(1)
        for now, before in kept[1:]:
            touched |= (now[rows] != before[rows]).any(1)
        ids = touched.nonzero()[:, 0] + rows.start
        change = values.index_select(0, ids).sub_(self._values.index_select(0, ids))
        return Changes(ids.int(), change, tuple(x.index_select(0, ids) for x in state.values()))

    def apply(self, changes: Changes) -> None:
        """Put merged changes in, and keep them."""
        ids = changes.ids.long()
        new = self._values.index_select(0, ids).add_(changes.values)
        for place in (self._values, self.values()):
            place.index_copy_(0, ids, new)
        for number, (name, tensor) in enumerate(self.state().items()):
            for place in (self._state[name], tensor):
                place.index_copy_(0, ids, changes.state[number])


def _as_rows(tensor: Tensor) -> Tensor:
    """A tensor as rows (N, k), sharing memory; a single number is one row."""
    return tensor.view(len(tensor), -1) if tensor.dim() else tensor.view(1, 1)
