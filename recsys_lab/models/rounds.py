"""The schedule of the compiled training step: the same result with any number of threads.

A batch is a list of groups, cut into rounds. In the first half of a round the gradients of its
groups are computed from the tables as they stand, and kept. In the second half they are applied:
every group is a step of its own, in the order of the groups, and a row belongs to one of `BUCKETS`
buckets, each of which one thread works through. Threads claim groups and buckets as they get free,
so that a thread that has lost its core holds up no more than what it has claimed. Who works on what
changes nothing: rows of different buckets are different rows.
"""

from typing import NamedTuple

import numpy as np

from recsys_lab.compute.atomics import count_up, read_count
from recsys_lab.models.kernels import jit_piece, scratch

MAX_GROUPS = 16  # of a round; more serve more threads, and train on older rows
BUCKETS = 32
GROUP, BUCKET, WAIT, END = range(4)  # what a thread does next

_CLAIMED, _COMPUTED, _TAKEN, _APPLIED = 0, 8, 16, 24  # places of a round's counts, in cache lines
_LINES = 32
_SPINS = 4000  # looks at a count before a thread lets its core go


class Turns(NamedTuple):
    """How far a batch is; all threads share `counts`, and each has a `place`."""

    counts: np.ndarray  # (rounds * _LINES,) int64
    groups: int
    size: int  # groups in a round


class Changes(NamedTuple):
    """What the groups of a round change: rows of centers, then of contexts; S groups."""

    items: np.ndarray  # (S, n) int64, -1 for padding
    grads: np.ndarray  # (S * n * D) float32, flat
    biases: np.ndarray  # (S, n) gradients of biases, or (0, 0)
    total: np.ndarray  # (S,) of the global bias
    order: np.ndarray  # (S, n) int64, distinct rows by bucket
    ends: np.ndarray  # (S, BUCKETS) int64, where a bucket ends in `order`


def round_size(num_items: int, centers: int) -> int:
    """Groups in a round, by the items of a table and the centers of a group.

    Fewer where items are few: a row that many groups of a round change would go too far.
    """
    return max(1, min(MAX_GROUPS, num_items // centers))


def new_turns(groups: int, size: int) -> Turns:
    """The state of a batch that nobody has begun."""
    rounds = -(-groups // size)
    return Turns(np.zeros(rounds * _LINES, np.int64), groups, size)


def new_place() -> np.ndarray:
    """Where a thread begins; see `next_turn`."""
    return np.array([0, 0, -1])


def new_changes(size: int, rows: int, dim: int, *, biases: bool) -> Changes:
    """Room for the rows of a round's groups, which are `dim` floats long."""
    shape = size, rows
    return Changes(
        np.empty(shape, np.int64),
        scratch(size * rows * dim),
        scratch(size * rows).reshape(shape) if biases else np.zeros((0, 0), np.float32),
        np.zeros(size, np.float32),
        np.empty(shape, np.int64),
        np.empty((size, BUCKETS), np.int64),
    )


@jit_piece
def groups_in_round(turns: Turns, number: int) -> int:
    """How many groups a round has; none behind the last."""
    return min(turns.size, turns.groups - number * turns.size)


@jit_piece
def next_turn(turns: Turns, place: np.ndarray) -> tuple[int, int]:
    """What a thread does next, and the number of the group or the bucket.

    A thread's `place` (3,), of `new_place`, is its round, how far it is in it, and the group of the
    round that it has claimed already. WAIT is returned where other threads take long: the caller
    then lets its core go, and asks again.
    """
    spins, kind, number = 0, WAIT, 0
    while kind == WAIT and spins < _SPINS:
        line, groups = place[0] * _LINES, groups_in_round(turns, place[0])
        if groups <= 0:
            kind = END
        elif place[1] == 0:
            number = place[2] if place[2] >= 0 else count_up(turns.counts, line + _CLAIMED)
            place[2] = -1
            if number < groups:
                place[2] = count_up(turns.counts, line + _CLAIMED)
                kind, number = GROUP, place[0] * turns.size + number
            else:
                place[1] = 1
        elif read_count(turns.counts, line + _COMPUTED) < groups:
            spins += 1
        elif place[1] == 1:
            number = count_up(turns.counts, line + _TAKEN)
            if number < BUCKETS:
                kind = BUCKET
            else:
                place[1] = 2
        elif read_count(turns.counts, line + _APPLIED) < BUCKETS:
            spins += 1
        else:
            place[0] += 1
            place[1] = 0
    return kind, number


@jit_piece
def next_group(turns: Turns, place: np.ndarray) -> int:
    """The group that a thread works on after the one it has got, if it is known, else -1."""
    known = 0 <= place[2] < groups_in_round(turns, place[0])
    return place[0] * turns.size + place[2] if known else -1


@jit_piece
def end_turn(turns: Turns, place: np.ndarray, kind: int) -> None:
    """Tell the other threads that a group or a bucket is done."""
    count_up(turns.counts, place[0] * _LINES + (_COMPUTED if kind == GROUP else _APPLIED))


@jit_piece
def mix(key: int) -> np.uint64:
    """A hash of the number of a row."""
    return np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)


@jit_piece
def bucket_of(mixed: np.uint64) -> np.int64:
    """The bucket of a row, by its hash."""
    return np.int64(mixed >> np.uint64(59))


@jit_piece
def sort_rows(
    changes: Changes, slot: int, first_context: int, same: bool, dim: int, seen: np.ndarray
) -> None:
    """Add up the gradients of a group's rows that are the same, and sort the rows by bucket.

    Rows before `first_context` are of centers; `same` says that all rows are of one table. `seen`
    is scratch: a power of two of places, at least twice as many as there are rows.
    """
    items, order, ends = changes.items[slot], changes.order[slot], changes.ends[slot]
    rows, mask = len(items), len(seen) - 1
    seen[:] = -1
    ends[:] = 0
    for row in range(rows):
        order[row] = -1
        if items[row] < 0:
            continue
        key = items[row] * 2 + (0 if same or row < first_context else 1)
        mixed = mix(key)
        at = np.int64(mixed >> np.uint64(40)) & mask
        while seen[at] >= 0:
            other = seen[at]
            if items[other] == items[row] and (
                same or (other < first_context) == (row < first_context)
            ):
                break
            at = (at + 1) & mask
        if seen[at] < 0:
            seen[at] = row
            order[row] = bucket_of(mixed)
            ends[order[row]] += 1
        else:
            _add_row(changes, slot, seen[at], row, dim)
    start = 0
    for bucket in range(BUCKETS):
        start += ends[bucket]
        ends[bucket] = start - ends[bucket]
    for row in range(rows):
        seen[row] = order[row]
    for row in range(rows):
        bucket = seen[row]
        if bucket >= 0:
            order[ends[bucket]] = row
            ends[bucket] += 1


@jit_piece
def _add_row(changes: Changes, slot: int, to: int, row: int, dim: int) -> None:
    first = slot * changes.items.shape[1]
    total = changes.grads[(first + to) * dim : (first + to + 1) * dim]
    other = changes.grads[(first + row) * dim : (first + row + 1) * dim]
    for d in range(dim):
        total[d] += other[d]
    if len(changes.biases):
        changes.biases[slot, to] += changes.biases[slot, row]
