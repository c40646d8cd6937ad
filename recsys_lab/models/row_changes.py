"""What ranks send of the rows of a parameter, by torch's operations, on any device.

A row that is sent is its state in the optimiser as it is now, S numbers, and by how much its D
weights have changed. `row_change_kernels` has the same functions for float32 on CPUs.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

Both = tuple[Tensor, Tensor]  # a table as it is, and as it was after the last exchange


def differ(now: Tensor, before: Tensor) -> np.ndarray:
    """Mask (N,) of the rows (N, k) that are not the same."""
    return (now != before).any(1).cpu().numpy()


def pack(values: Both, states: Sequence[Both], ids: np.ndarray, out: Tensor) -> None:
    """Write what is sent of some rows.

    Args:
        values: each (N, D).
        states: each (N, k).
        ids: (n,) int64.
        out: (n, S + D).
    """
    where = torch.from_numpy(ids).to(out.device)
    now, kept = values
    torch.cat([*(state[where] for state, _ in states), now[where] - kept[where]], 1, out=out)


def merge(every: Tensor, has: np.ndarray, state: int) -> Tensor:
    """The rows of all ranks as one.

    Weights: the adaptive sum of Maleki et al. (Adasum, MLSys 2021), of each row for itself, over a
    tree of the ranks in their order. Changes that have nothing to do with each other are added; of
    changes that say the same, which each rank found out for itself, it is the mean. State is
    averaged over the ranks that touched the row.

    Args:
        every: (n, S + D) rows of the first rank, then of the next, each in the order of their ids;
            they may be overwritten.
        has: (R, u) bool, which rank has sent which of the u rows.
        state: S.

    Returns:
        (u, S + D).
    """
    touched = torch.from_numpy(has).to(every.device)
    spread = [
        every.new_zeros(has.shape[1], every.shape[1]).masked_scatter_(mask[:, None], rows)
        for mask, rows in zip(touched, every.split(touched.sum(1).tolist()), strict=True)
    ]
    changes = [rows[:, state:] for rows in spread]
    while len(changes) > 1:
        odd = changes[len(changes) & ~1 :]
        pairs = zip(changes[::2], changes[1::2], strict=False)
        changes = [_adaptive_sum(a, b) for a, b in pairs] + odd
    states = torch.stack([rows[:, :state] for rows in spread]).sum(0)
    return torch.cat([states / touched.sum(0)[:, None], changes[0]], 1)


def _adaptive_sum(first: Tensor, second: Tensor) -> Tensor:
    """Rows (u, D): their sum where they are orthogonal, their mean where they are the same."""
    common = (first * second).sum(1, keepdim=True) / 2
    least = torch.finfo(first.dtype).tiny  # a row without change shares nothing, too
    lengths = [x.square().sum(1, keepdim=True).clamp_min(least) for x in (first, second)]
    return (first * (1 - common / lengths[0])).addcmul_(second, 1 - common / lengths[1])


def apply(values: Both, states: Sequence[Both], ids: np.ndarray, merged: Tensor) -> None:
    """Put merged rows (n, S + D) in, and keep them; see `pack`."""
    where = torch.from_numpy(ids).to(merged.device)
    first = 0
    for now, kept in states:
        part = merged[:, first : first + now.shape[1]]
        first += now.shape[1]
        for place in (now, kept):
            place.index_copy_(0, where, part)
    new = values[1][where] + merged[:, first:]
    for place in values:
        place.index_copy_(0, where, new)


def narrow(rows: Tensor, state: int) -> Tensor:
    """Rows (n, S + D) with their changes in bfloat16: (n, words), read by `widen`."""
    width, share = rows.shape[1] - state, _in_word(rows.dtype)
    out = rows.new_zeros(len(rows), narrow_length(rows.shape[1], state, rows.dtype))
    out[:, :state] = rows[:, :state]
    out.view(torch.bfloat16)[:, state * share :][:, :width] = rows[:, state:].bfloat16()
    return out


def narrow_length(length: int, state: int, dtype: torch.dtype) -> int:
    """Words of a row of `narrow`, of S + D numbers."""
    return state - -(length - state) // _in_word(dtype)


def widen(rows: Tensor, state: int, width: int) -> Tensor:
    """Rows (n, S + D) of those that `narrow` has made; `width` is D."""
    changes = rows.view(torch.bfloat16)[:, state * _in_word(rows.dtype) :][:, :width]
    out = rows.new_empty(len(rows), state + width)
    out[:, :state] = rows[:, :state]
    out[:, state:] = changes.to(rows.dtype)
    return out


def _in_word(dtype: torch.dtype) -> int:
    return dtype.itemsize // torch.bfloat16.itemsize
