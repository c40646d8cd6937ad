"""What `row_changes` does, compiled, for float32 on a CPU: its functions say what is computed."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from recsys_lab.models.kernels import fast_jit, jit_piece
from recsys_lab.models.row_changes import Both

_TINY = np.float32(np.finfo(np.float32).tiny)


def differ(now: Tensor, before: Tensor) -> np.ndarray:
    """See `row_changes.differ`."""
    found = np.empty(len(now), np.bool_)
    _differ(now.numpy(), before.numpy(), found)
    return found


def pack(values: Both, states: Sequence[Both], ids: np.ndarray, out: Tensor) -> None:
    """See `row_changes.pack`."""
    first, rows = 0, out.numpy()
    for state, _ in states:
        _copy_rows(state.numpy(), ids, first, rows)
        first += state.shape[1]
    _pack_changes(values[0].numpy(), values[1].numpy(), ids, first, rows)


def merge(every: Tensor, has: np.ndarray, state: int) -> Tensor:
    """See `row_changes.merge`."""
    merged = every.new_empty(has.shape[1], every.shape[1])
    _merge(every.numpy(), has, state, merged.numpy())
    return merged


def apply(values: Both, states: Sequence[Both], ids: np.ndarray, merged: Tensor) -> None:
    """See `row_changes.apply`."""
    first, rows = 0, merged.numpy()
    for state, kept in states:
        _put_rows(rows, first, ids, state.numpy(), kept.numpy())
        first += state.shape[1]
    _add_changes(rows, first, ids, values[0].numpy(), values[1].numpy())


@fast_jit
def _differ(now: np.ndarray, before: np.ndarray, found: np.ndarray) -> None:
    for row in range(len(found)):
        found[row] = False
        for k in range(now.shape[1]):
            if now[row, k] != before[row, k]:
                found[row] = True
                break


@fast_jit
def _copy_rows(source: np.ndarray, ids: np.ndarray, first: int, out: np.ndarray) -> None:
    for row in range(len(ids)):
        numbers, part = source[ids[row]], out[row, first:]
        for k in range(len(numbers)):
            part[k] = numbers[k]


@fast_jit
def _pack_changes(
    values: np.ndarray, kept: np.ndarray, ids: np.ndarray, first: int, out: np.ndarray
) -> None:
    for row in range(len(ids)):
        now, before, change = values[ids[row]], kept[ids[row]], out[row, first:]
        for d in range(len(now)):
            change[d] = now[d] - before[d]


@fast_jit
def _merge(every: np.ndarray, has: np.ndarray, state: int, out: np.ndarray) -> None:
    ranks, count = has.shape
    following = np.zeros(ranks, np.int64)  # row of each rank in `every`
    for rank in range(1, ranks):
        following[rank] = following[rank - 1] + has[rank - 1].sum()
    place = np.empty(ranks, np.int64)  # in `every`, of the sum of some ranks; -1: no change
    for row in range(count):
        touched, merged = 0, out[row]
        merged[:] = 0
        for rank in range(ranks):
            place[rank] = -1
            if has[rank, row]:
                place[rank] = following[rank]
                following[rank] += 1
                touched += 1
                own = every[place[rank]]
                for k in range(state):
                    merged[k] += own[k]
        for k in range(state):
            merged[k] /= np.float32(touched)
        changes = every[_add_up(every, place, state), state:]
        part = merged[state:]
        for d in range(len(changes)):
            part[d] = changes[d]


@jit_piece
def _add_up(every: np.ndarray, place: np.ndarray, state: int) -> int:
    """Add up changes over the tree, in place; returns the row of the sum."""
    count = len(place)
    while count > 1:
        for k in range(count // 2):
            one, other = place[2 * k], place[2 * k + 1]
            if one >= 0 and other >= 0:
                _add_adaptively(every[one, state:], every[other, state:])
            place[k] = one if one >= 0 else other
        if count % 2:
            place[count // 2] = place[count - 1]
        count = (count + 1) // 2
    return place[0]


@jit_piece
def _add_adaptively(first: np.ndarray, second: np.ndarray) -> None:
    """Replace the first by the adaptive sum of both."""
    common, length, other = np.float32(0), np.float32(0), np.float32(0)
    for d in range(len(first)):
        common += first[d] * second[d]
        length += first[d] * first[d]
        other += second[d] * second[d]
    common *= np.float32(0.5)
    share = np.float32(1) - common / max(length, _TINY)
    rest = np.float32(1) - common / max(other, _TINY)
    for d in range(len(first)):
        first[d] = share * first[d] + rest * second[d]


@fast_jit
def _put_rows(
    rows: np.ndarray, first: int, ids: np.ndarray, state: np.ndarray, kept: np.ndarray
) -> None:
    for row in range(len(ids)):
        part, now, before = rows[row, first:], state[ids[row]], kept[ids[row]]
        for k in range(len(now)):
            now[k] = part[k]
        for k in range(len(now)):
            before[k] = part[k]


@fast_jit
def _add_changes(
    rows: np.ndarray, first: int, ids: np.ndarray, values: np.ndarray, kept: np.ndarray
) -> None:
    for row in range(len(ids)):
        change, now, before = rows[row, first:], values[ids[row]], kept[ids[row]]
        for d in range(len(now)):
            before[d] += change[d]
        for d in range(len(now)):
            now[d] = before[d]
