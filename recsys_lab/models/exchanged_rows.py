"""The rows of a parameter that ranks exchange: which were touched, and what is sent of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from recsys_lab.models import row_change_kernels, row_changes
from recsys_lab.models.row_changes import Both

_STATE = ("sum", "exp_avg", "exp_avg_sq")  # of the optimisers, by row or by element
_ABSENT, _BY_ROW, _WHOLE = 0, 1, 2  # forms of a state


class Rows:
    """A parameter and its state in an optimiser, as rows, with a copy of both.

    The copy is how they were after the last exchange.

    Args:
        parameter: any tensor; a single number is one row.
        optimizer: over it.
        in_half: send the changes of weights in bfloat16.
    """

    def __init__(self, parameter: Tensor, optimizer: Optimizer, *, in_half: bool) -> None:
        self._parameter = parameter
        self._optimizer = optimizer
        self._in_half = in_half
        self._values = torch.empty(0)
        self._state: dict[str, Tensor] = {}
        is_plain = parameter.device.type == "cpu" and parameter.dtype == torch.float32
        self._work: Any = row_change_kernels if is_plain else row_changes

    def __len__(self) -> int:
        return len(self._values)

    def values(self) -> Tensor:
        """The weights (N, D), sharing memory."""
        return _as_rows(self._parameter.detach())

    def states(self) -> dict[str, Both]:
        """The state by name, each (N, k), sharing memory."""
        found = self._optimizer.state[self._parameter]
        return {name: (_as_rows(found[name]), kept) for name, kept in self._state.items()}

    def keep(self) -> None:
        """Copy weights and state."""
        found = self._optimizer.state[self._parameter]
        self._values = self.values().clone()
        self._state = {name: _as_rows(found[name]).clone() for name in _STATE if name in found}

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

    def touched(self, *, whole: bool) -> np.ndarray:
        """Mask (N,) of the rows that were touched since the last exchange.

        Args:
            whole: compare all numbers. Else the accumulators of Adagrad tell, where there are any:
                a row is touched if its own has grown. One that is too large to grow by the square
                of a small gradient does not tell.
        """
        states = self.states()
        by_sums = "sum" in states and not whole
        pairs = [states["sum"]] if by_sums else [(self.values(), self._values), *states.values()]
        found: np.ndarray = np.logical_or.reduce([self._work.differ(*pair) for pair in pairs])
        return found

    @property
    def row_bytes(self) -> int:
        """Bytes of a row that is sent."""
        return self.room(1).nbytes

    def room(self, count: int) -> Tensor:
        """Room for rows that are received: (count, words)."""
        length = self._state_width() + self._values.shape[1]
        if self._in_half:
            length = row_changes.narrow_length(length, self._state_width(), self._values.dtype)
        return self._values.new_empty(count, length)

    def pack(self, ids: np.ndarray) -> Tensor:
        """What is sent of some rows (n,)."""
        state = self._state_width()
        rows = self._values.new_empty(len(ids), state + self._values.shape[1])
        self._work.pack((self.values(), self._values), list(self.states().values()), ids, rows)
        return row_changes.narrow(rows, state) if self._in_half else rows

    def merge(self, received: Tensor, has: np.ndarray) -> Tensor:
        """Merge the rows of all ranks; see `row_changes.merge`."""
        state = self._state_width()
        merged: Tensor = self._work.merge(self._widen(received), has, state)
        return row_changes.narrow(merged, state) if self._in_half else merged

    def apply(self, ids: np.ndarray, merged: Tensor) -> None:
        """Put merged rows (n,) in, and keep them."""
        states = list(self.states().values())
        self._work.apply((self.values(), self._values), states, ids, self._widen(merged))

    def _widen(self, rows: Tensor) -> Tensor:
        if not self._in_half:
            return rows
        return row_changes.widen(rows, self._state_width(), self._values.shape[1])

    def _state_width(self) -> int:
        return sum(kept.shape[1] for kept in self._state.values())


def _as_rows(tensor: Tensor) -> Tensor:
    """A tensor as rows (N, k), sharing memory; a single number is one row."""
    return tensor.view(len(tensor), -1) if tensor.dim() else tensor.view(1, 1)
