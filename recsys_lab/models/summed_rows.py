"""Vectors of items that are sums of rows, for the compiled training step.

The vector of an item is a weighted sum of its own row and of those of its values. A value belongs
to many items, and so to many groups of a round. Therefore a row takes one step for a round, by the
sum of what all groups change. Gradients of items are kept as they are; the sum for a row is formed
when it takes its step, in the order of the groups. Where the weights are learned, the logits of an
item are one more row of it, behind those of the table.
"""

from typing import NamedTuple

import numpy as np

from recsys_lab.compute.prefetch import prefetch
from recsys_lab.models.group_steps import LINE, Settings, Table, Tables, step_row
from recsys_lab.models.kernels import jit_piece, scratch
from recsys_lab.models.learned_shares import Parts, fill_shares, logit_grads
from recsys_lab.models.rounds import BUCKETS, Changes, bucket_of, mix


class Sides(NamedTuple):
    """The parts of the items of a model, as centers and as contexts."""

    centers: Parts
    contexts: Parts


class Links(NamedTuple):
    """The entries of the distinct items of each group of a round, by the bucket of their row."""

    keys: np.ndarray  # (S, M) int64: twice the row, and one more for a row of contexts
    sources: np.ndarray  # (S, M) int64, of the item in `rounds.Changes`
    weights: np.ndarray  # (S, M) float32
    ends: np.ndarray  # (S, BUCKETS) int64, where a bucket ends
    following: np.ndarray  # (S * M,) int64, the next entry of the same row, -1 for none
    lasts: np.ndarray  # (S * M,) int64, at the first entry of a row its last one, else -1
    slopes: np.ndarray  # (S * n, P) float32, of the logits of the items in `rounds.Changes`


class Chains(NamedTuple):
    """Scratch space of a thread."""

    seen: np.ndarray  # a power of two of places, at least twice as many as there are entries
    total: np.ndarray  # (W,) gradient of a row
    shares: np.ndarray  # (n, P) learned, of a group's items


def own_rows(num_items: int) -> Parts:
    """Each item is its row alone."""
    every = np.arange(num_items + 1)
    return Parts(
        every, every[:-1], np.ones(num_items, np.float32), every, np.zeros(num_items, np.int16), 0
    )


def new_links(size: int, sides: Sides, centers: int, contexts: int, rows: int) -> Links:
    """Room for the entries of a round of groups of so many centers, contexts, and rows of both."""
    both = (sides.centers, centers), (sides.contexts, contexts)
    entries = sum(
        int(parts.most[min(n, len(parts.most) - 1)]) + n * (parts.num_learned > 0)
        for parts, n in both
    )
    shape, learned = (size, entries), max(parts.num_learned for parts in sides)
    return Links(
        np.empty(shape, np.int64),
        np.empty(shape, np.int64),
        np.empty(shape, np.float32),
        np.empty((size, BUCKETS), np.int64),
        np.empty(shape[0] * shape[1], np.int64),
        np.empty(shape[0] * shape[1], np.int64),
        scratch(size * rows * learned).reshape(size * rows, learned),
    )


def new_chains(links: Links, dim: int) -> Chains:
    """Room for the entries of a bucket, and for the gradient of a row of `dim` floats."""
    size = 4
    while size < 2 * len(links.lasts):
        size *= 2
    rows, learned = len(links.slopes) // len(links.keys), links.slopes.shape[1]
    return Chains(
        np.empty(size, np.int64),
        scratch(max(dim, learned)),
        scratch(rows * learned).reshape(rows, learned),
    )


@jit_piece
def prefetch_sums(table: Table, logits: Table, parts: Parts, items: np.ndarray) -> None:
    """Let the rows of items (n,) come to the cache while others are worked on."""
    entries, dim = table.values.reshape(-1), table.values.shape[1]
    starts, rows = parts.starts, parts.rows
    for item in items:
        if item >= 0:
            prefetch(parts.weights, starts[item])
            if parts.num_learned:
                prefetch(parts.places, starts[item])
                prefetch(logits.values.reshape(-1), item * logits.values.shape[1])
                prefetch(logits.sums, item)
            for entry in range(starts[item], starts[item + 1]):
                for column in range(0, dim, LINE):
                    prefetch(entries, rows[entry] * dim + column)


@jit_piece
def gather_sums(
    tables: Tables, sides: Sides, chains: Chains, items: np.ndarray, first_context: int,
    vectors: np.ndarray,
) -> None:  # fmt: skip
    """Fill in the vectors of a group, and learned shares; those of padding are zero."""
    vectors[:] = 0
    rows = vectors.reshape(len(items), len(vectors) // len(items))
    for side in range(2):
        low = first_context if side else 0
        high = len(items) if side else first_context
        parts = sides.contexts if side else sides.centers
        table = tables.contexts if side else tables.centers
        if parts.num_learned:
            logits = tables.context_logits if side else tables.center_logits
            fill_shares(logits, parts, items[low:high], chains.shares[low:high])
        _add_rows(table, parts, items[low:high], chains.shares[low:high], rows[low:high])


@jit_piece
def _add_rows(
    table: Table, parts: Parts, items: np.ndarray, shares: np.ndarray, vectors: np.ndarray
) -> None:
    """Add up the rows of items (n,) to vectors (n, W)."""
    values, starts, rows, weights = table.values, parts.starts, parts.rows, parts.weights
    for number in range(len(items)):
        item = items[number]
        if item >= 0:
            for entry in range(starts[item], starts[item + 1]):
                row, weight = rows[entry], weights[entry]
                if parts.num_learned:
                    weight *= shares[number, parts.places[entry]]
                for d in range(values.shape[1]):
                    vectors[number, d] += weight * values[row, d]


@jit_piece
def link_rows(
    tables: Tables, sides: Sides, changes: Changes, links: Links, chains: Chains, slot: int,
    first_context: int,
) -> None:  # fmt: skip
    """List the entries of the distinct items of a group, which are sorted (`rounds.sort_rows`)."""
    ends, distinct = links.ends[slot], changes.order[slot, : changes.ends[slot, BUCKETS - 1]]
    items = changes.items[slot]
    keys, sources, weights = links.keys[slot], links.sources[slot], links.weights[slot]
    ends[:] = 0
    for is_placed in range(2):  # entries are counted, then placed
        start = 0
        for bucket in range(BUCKETS * is_placed):
            start += ends[bucket]
            ends[bucket] = start - ends[bucket]
        for side in range(2):
            parts = sides.contexts if side else sides.centers
            num_rows = len((tables.contexts if side else tables.centers).values)
            for row in distinct:
                if (row >= first_context) != side:
                    continue
                low, high = parts.starts[items[row]], parts.starts[items[row] + 1]
                for entry in range(low, high + (parts.num_learned > 0 and high > low)):
                    is_logits = entry == high
                    target = num_rows + items[row] if is_logits else parts.rows[entry]
                    key = 2 * target + side
                    bucket = bucket_of(mix(key))
                    if is_placed:
                        weight = np.float32(1) if is_logits else parts.weights[entry]
                        if parts.num_learned and not is_logits:
                            weight *= chains.shares[row, parts.places[entry]]
                        keys[ends[bucket]], sources[ends[bucket]] = key, row
                        weights[ends[bucket]] = weight
                    ends[bucket] += 1
    for side in range(2):
        parts = sides.contexts if side else sides.centers
        table = tables.contexts if side else tables.centers
        if parts.num_learned:
            _learn_shares(table, parts, changes, links, chains, slot, first_context, side)


@jit_piece
def _learn_shares(
    table: Table, parts: Parts, changes: Changes, links: Links, chains: Chains, slot: int,
    first_context: int, side: int,
) -> None:  # fmt: skip
    """The gradients of the logits of the distinct items of a side of a group."""
    rows, dim = changes.items.shape[1], len(changes.grads) // changes.items.size
    for row in changes.order[slot, : changes.ends[slot, BUCKETS - 1]]:
        item, number = changes.items[slot, row], slot * rows + row
        if (row >= first_context) == side and parts.starts[item] < parts.starts[item + 1]:
            grad = changes.grads[number * dim : (number + 1) * dim]
            logit_grads(table, parts, item, chains.shares[row], grad, links.slopes[number])


@jit_piece
def apply_sums(
    tables: Tables, settings: Settings, changes: Changes, links: Links, chains: Chains,
    groups: int, bucket: int,
) -> None:  # fmt: skip
    """The step of each row of a bucket, by the sum over the groups of a round."""
    rows, dim = changes.items.shape[1], len(changes.grads) // changes.items.size
    grads, total = changes.grads.reshape(changes.items.size, dim), chains.total
    size, ends, following = links.keys.shape[1], links.ends, links.following
    keys, sources = links.keys.reshape(-1), links.sources.reshape(-1)
    weights, lasts = links.weights.reshape(-1), links.lasts
    _chain_entries(links, chains.seen, groups, bucket)
    for slot in range(groups):
        low = ends[slot, bucket - 1] if bucket else 0
        for first in range(slot * size + low, slot * size + ends[slot, bucket]):
            if lasts[first] < 0:
                continue
            side, target, entry = keys[first] % 2, keys[first] // 2, first
            table = tables.contexts if side else tables.centers
            learned, is_logits = 0, target >= len(table.values)
            if is_logits:
                target -= len(table.values)
                table = tables.context_logits if side else tables.center_logits
                learned = table.values.shape[1]
            total[:] = 0
            while entry >= 0:
                weight, row = weights[entry], entry // size * rows + sources[entry]
                if is_logits:
                    for part in range(learned):
                        total[part] += links.slopes[row, part]
                else:
                    for d in range(dim):
                        total[d] += weight * grads[row, d]
                entry = following[entry]
            step_row(table.target, table.sums, settings, target, total, 0)


@jit_piece
def _chain_entries(links: Links, seen: np.ndarray, groups: int, bucket: int) -> None:
    """Chain the entries of a bucket that have the same row, in the order of the groups."""
    size, ends, keys = links.keys.shape[1], links.ends, links.keys.reshape(-1)
    following, lasts, count, places = links.following, links.lasts, 0, 4
    for slot in range(groups):
        count += ends[slot, bucket] - (ends[slot, bucket - 1] if bucket else 0)
    while places < 2 * count:
        places *= 2
    seen[:places] = -1
    for slot in range(groups):
        low = ends[slot, bucket - 1] if bucket else 0
        for entry in range(slot * size + low, slot * size + ends[slot, bucket]):
            at = np.int64(mix(keys[entry]) >> np.uint64(30)) & (places - 1)
            while seen[at] >= 0 and keys[seen[at]] != keys[entry]:
                at = (at + 1) & (places - 1)
            following[entry] = lasts[entry] = -1
            if seen[at] < 0:
                seen[at] = entry
            else:
                following[lasts[seen[at]]] = entry
            lasts[seen[at]] = entry
