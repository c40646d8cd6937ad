"""Training in place by compiled kernels: what autograd and the optimiser do, block by block.

One group of walks, or of pairs, is a step of its own: its rows are read once, and three small
matrix products give scores and gradients. What several threads do, and in which order the steps
reach the tables, is decided by `rounds`: the result does not depend on the number of threads.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, NamedTuple

import numpy as np

from recsys_lab.compute.prefetch import prefetch
from recsys_lab.data.batch import Batch, HistoryBatch, PairBatch, no_chosen
from recsys_lab.models import kernels, products, ranking_kernels, rounds
from recsys_lab.models.blocks import HISTORIES_NEEDED
from recsys_lab.models.kernels import fast_jit, jit_piece
from recsys_lab.models.losses import LOGISTIC, MARGIN, SQUARED

PAIRS_IN_GROUP = 32
_LINE = 16  # floats of a cache line
_PAUSE = 5e-5  # seconds for which a thread lets its core go


class Table(NamedTuple):
    """A parameter: where it is read and where its step goes, which is the same in training."""

    values: np.ndarray  # (N, D)
    target: np.ndarray  # (N, D)
    sums: np.ndarray  # (N,) accumulators of row-wise Adagrad, or (0,) for SGD


class Tables(NamedTuple):
    """The parameters of a model.

    Centers and contexts are the same table for matrix factorisation, and only there may be biases,
    else of shape (0, 1).
    """

    centers: Table
    contexts: Table
    biases: Table  # (N, 1)
    global_bias: Table  # (1, 1)


_NOTHING = np.zeros((0, 1), np.float32)
NO_TABLE = Table(_NOTHING, _NOTHING, np.zeros(0, np.float32))


class Settings(NamedTuple):
    """What a step needs to know beside the batch."""

    one_table: bool
    loss: int  # `losses.CellLoss`
    setting: float
    l2: float
    rate: float
    eps: float


class _Block(NamedTuple):
    """Scratch space of a thread: R centers by C contexts, of width W for vectors and columns."""

    vectors: np.ndarray  # (n * W,) the rows of `rounds.Changes`
    across: np.ndarray  # (W * S,) contexts by columns; S is C rounded up
    scores: np.ndarray  # (R + 6, S); the last rows are room for whole tiles
    positive: np.ndarray  # (R, S)
    negative: np.ndarray  # (R, S)
    weights: np.ndarray  # (n,) of cells by row
    seen: np.ndarray  # of `rounds.sort_rows`


@jit_piece
def _first_context(centers: int) -> int:
    return products.round_up(centers, products.ROWS)


@jit_piece
def _new_block(centers: int, columns: int, rows: int, dim: int) -> _Block:
    stride = products.round_up(columns, products.WIDTH)
    size = 4
    while size < 2 * rows:
        size *= 2
    return _Block(
        np.zeros(rows * dim, np.float32),
        np.zeros(dim * stride, np.float32),
        np.zeros((centers + products.ROWS, stride), np.float32),
        np.zeros((centers, stride), np.float32),
        np.zeros((centers, stride), np.float32),
        np.zeros(rows, np.float32),
        np.empty(size, np.int64),
    )


@jit_piece
def _prefetch(table: np.ndarray, items: np.ndarray) -> None:
    """Let the rows of items (n,) of a table (N, D) come to the cache while others are worked on."""
    entries, dim = table.ravel(), table.shape[1]
    for item in items:
        if item >= 0:
            for column in range(0, dim, _LINE):
                prefetch(entries, item * dim + column)


@jit_piece
def _gather(tables: Tables, items: np.ndarray, first_context: int, dim: int, block: _Block) -> None:
    """Copy the rows of a group; those of padding are zero."""
    own = tables.centers.values.shape[1]
    for row in range(len(items)):
        item, vector = items[row], block.vectors[row * dim : row * dim + own]
        if item < 0:
            vector[:] = 0
        elif row < first_context:
            for d in range(own):
                vector[d] = tables.centers.values[item, d]
        else:
            for d in range(own):
                vector[d] = tables.contexts.values[item, d]


@jit_piece
def _score_windows(block: _Block, first_context: int, columns: int, dim: int) -> None:
    """Scores of every center by every context."""
    centers, stride = block.positive.shape
    for column in range(columns):
        at = (first_context + column) * dim
        vector = block.vectors[at : at + dim]
        for d in range(dim):
            block.across[d * stride + column] = vector[d]
    products.multiply(
        block.scores.ravel(), 0, stride, block.vectors, 0, dim, 1, block.across, 0, stride,
        centers, columns, dim,
    )  # fmt: skip


@jit_piece
def _spread_windows(
    block: _Block, first_context: int, columns: int, dim: int, grads: np.ndarray, start: int
) -> None:
    """Gradients of the rows, which begin at `start` of `grads`, from the slopes in `scores`."""
    centers, stride = block.positive.shape
    slopes = block.scores.ravel()
    products.multiply(
        grads, start, dim, slopes, 0, stride, 1, block.vectors, first_context * dim, dim,
        centers, dim, columns,
    )  # fmt: skip
    products.multiply(
        grads, start + first_context * dim, dim, slopes, 0, 1, stride, block.vectors, 0, dim,
        columns, dim, centers,
    )  # fmt: skip


@jit_piece
def _score_pairs(block: _Block, first_context: int, columns: int, dim: int) -> None:
    """Scores of every center by contexts of its own."""
    for pair in range(len(block.positive)):
        center = block.vectors[pair * dim : (pair + 1) * dim]
        for column in range(columns):
            at = (first_context + pair * columns + column) * dim
            context, score = block.vectors[at : at + dim], np.float32(0)
            for d in range(dim):
                score += center[d] * context[d]
            block.scores[pair, column] = score


@jit_piece
def _spread_pairs(
    block: _Block, first_context: int, columns: int, dim: int, grads: np.ndarray, start: int
) -> None:
    """The same as `_spread_windows`."""
    for pair in range(len(block.positive)):
        center = block.vectors[pair * dim : (pair + 1) * dim]
        center_grad = grads[start + pair * dim : start + (pair + 1) * dim]
        center_grad[:] = 0
        for column in range(columns):
            slope, at = block.scores[pair, column], (first_context + pair * columns + column) * dim
            context = block.vectors[at : at + dim]
            context_grad = grads[start + at : start + at + dim]
            for d in range(dim):
                center_grad[d] += slope * context[d]
                context_grad[d] = slope * center[d]


@jit_piece
def _sum_cells(
    cells: np.ndarray, first_context: int, columns: int, of_pairs: bool, sums: np.ndarray
) -> None:
    """Sums of cells by the rows of `rounds.Changes`."""
    sums[:] = 0
    for center in range(len(cells)):
        first = first_context + (center * columns if of_pairs else 0)
        for column in range(columns):
            sums[center] += cells[center, column]
            sums[first + column] += cells[center, column]


@jit_piece
def _add_biases(
    tables: Tables, items: np.ndarray, block: _Block, first_context: int, columns: int,
    of_pairs: bool,
) -> None:  # fmt: skip
    for center in range(len(block.positive)):
        own = tables.biases.values[max(items[center], 0), 0] + tables.global_bias.values[0, 0]
        first = first_context + (center * columns if of_pairs else 0)
        for column in range(columns):
            context = tables.biases.values[max(items[first + column], 0), 0]
            block.scores[center, column] += own + context


@jit_piece
def _drop_same(
    items: np.ndarray, block: _Block, first_context: int, columns: int, of_pairs: bool
) -> None:
    """Take out the cells of an item with itself, for models with one vector for each item."""
    for center in range(len(block.positive)):
        first = first_context + (center * columns if of_pairs else 0)
        for column in range(columns):
            if items[center] == items[first + column]:
                block.positive[center, column] = block.negative[center, column] = 0


@jit_piece
def _slopes(settings: Settings, block: _Block, columns: int) -> float:
    """Replace the scores by their slopes; returns the loss. Columns of padding weigh nothing."""
    scores, positive, negative = block.scores, block.positive, block.negative
    flat = scores.ravel()[: positive.size]
    if settings.loss == LOGISTIC:
        loss = kernels.logistic_slopes(flat, positive.ravel(), negative.ravel())
    elif settings.loss == SQUARED:
        loss = kernels.squared_slopes(flat, positive.ravel(), negative.ravel())
    elif settings.loss == MARGIN:
        loss = ranking_kernels.margin_slopes(scores, positive, negative, columns, settings.setting)
    else:
        loss = ranking_kernels.softmax_slopes(scores, positive, negative, columns, settings.setting)
    return loss


@jit_piece
def _regularize(
    weights: np.ndarray, vectors: np.ndarray, grads: np.ndarray, start: int, l2: float
) -> float:
    """Add l2 * weight * |row|^2 of each row to its gradient, from `start` on; returns the sum."""
    total, dim = np.float32(0), len(vectors) // len(weights)
    for row in range(len(weights)):
        scale = np.float32(l2) * weights[row]
        if scale == 0:
            continue
        vector = vectors[row * dim : (row + 1) * dim]
        grad = grads[start + row * dim : start + (row + 1) * dim]
        for d in range(dim):
            total += scale * vector[d] * vector[d]
            grad[d] += np.float32(2) * scale * vector[d]
    return float(total)


@jit_piece
def _bias_grads(
    tables: Tables, settings: Settings, changes: rounds.Changes, slot: int, block: _Block
) -> float:
    """Turn sums of slopes in `biases` into gradients; returns the biases' part of the penalty."""
    items, grads, loss = changes.items[slot], changes.biases[slot], np.float32(0)
    for row in range(len(items)):
        bias = tables.biases.values[max(items[row], 0), 0]
        scale = np.float32(settings.l2) * block.weights[row]
        loss += scale * bias * bias
        grads[row] += np.float32(2) * scale * bias
    return float(loss)


@jit_piece
def _learn(
    tables: Tables, settings: Settings, changes: rounds.Changes, slot: int, block: _Block,
    columns: int, of_pairs: bool,
) -> tuple[float, float]:  # fmt: skip
    """Gradients of a group whose items and weights are filled in; returns loss and mass."""
    items, grads = changes.items[slot], changes.grads
    dim, first_context = len(block.vectors) // len(items), _first_context(len(block.positive))
    start = slot * len(block.vectors)
    if settings.one_table:
        _drop_same(items, block, first_context, columns, of_pairs)
    _gather(tables, items, first_context, dim, block)
    if of_pairs:
        _score_pairs(block, first_context, columns, dim)
    else:
        _score_windows(block, first_context, columns, dim)
    has_biases = len(tables.biases.values) > 0
    if has_biases:
        _add_biases(tables, items, block, first_context, columns, of_pairs)
    loss = _slopes(settings, block, columns)
    if of_pairs:
        _spread_pairs(block, first_context, columns, dim, grads, start)
    else:
        _spread_windows(block, first_context, columns, dim, grads, start)
    if settings.l2 > 0 or has_biases:
        both = block.positive + block.negative
        _sum_cells(both, first_context, columns, of_pairs, block.weights)
        loss += _regularize(block.weights, block.vectors, grads, start, settings.l2)
    if has_biases:
        slopes = block.scores[: len(block.positive)]
        _sum_cells(slopes, first_context, columns, of_pairs, changes.biases[slot])
        changes.total[slot] = changes.biases[slot, :first_context].sum()
        loss += _bias_grads(tables, settings, changes, slot, block)
    rounds.sort_rows(changes, slot, first_context, settings.one_table, dim, block.seen)
    return loss, float(block.positive.sum())


@jit_piece
def _step(table: Table, settings: Settings, item: int, grads: np.ndarray, start: int) -> None:
    """One step of row-wise Adagrad, or of SGD, on a row; see `RowWiseAdagrad`."""
    dim, rate = table.target.shape[1], np.float32(settings.rate)
    grad = grads[start : start + dim]
    if len(table.sums):
        square = np.float32(0)
        for d in range(dim):
            square += grad[d] * grad[d]
        table.sums[item] += square / np.float32(dim)
        rate = rate / (np.sqrt(table.sums[item]) + np.float32(settings.eps))
    for d in range(dim):
        table.target[item, d] -= rate * grad[d]


@jit_piece
def _apply(
    tables: Tables, settings: Settings, changes: rounds.Changes, groups: int, bucket: int,
    first_context: int,
) -> None:  # fmt: skip
    """The steps of the rows of a bucket, of the groups of a round one after the other."""
    rows = changes.items.shape[1]
    dim = len(changes.grads) // changes.items.size
    has_biases = len(tables.biases.values) > 0
    for slot in range(groups):
        low = changes.ends[slot, bucket - 1] if bucket else 0
        for place in range(low, changes.ends[slot, bucket]):
            row = changes.order[slot, place]
            item, start = changes.items[slot, row], (slot * rows + row) * dim
            if settings.one_table or row < first_context:
                _step(tables.centers, settings, item, changes.grads, start)
            else:
                _step(tables.contexts, settings, item, changes.grads, start)
            if has_biases:
                _step(tables.biases, settings, item, changes.biases.ravel(), slot * rows + row)
        if has_biases and bucket == 0:
            _step(tables.global_bias, settings, 0, changes.total, slot)


@fast_jit
def _train_windows(
    tables: Tables,
    settings: Settings,
    turns: rounds.Turns,
    changes: rounds.Changes,
    place: np.ndarray,
    sums: np.ndarray,
    items: np.ndarray,
    negatives: np.ndarray,
    column_weights: np.ndarray,
    chosen: np.ndarray,
    chosen_positive: np.ndarray,
    chosen_negative: np.ndarray,
    distance_weights: np.ndarray,
    num_negatives: float,
) -> bool:
    """Work on the groups of a window batch until it is done, or until others take long."""
    _, walks, length = items.shape
    places, drawn = walks * length, negatives.shape[1]
    columns, first_context = places + drawn + chosen.shape[1], _first_context(places)
    rows = changes.items.shape[1]
    block = _new_block(places, columns, rows, len(changes.grads) // changes.items.size)
    while True:
        kind, number = rounds.next_turn(turns, place)
        if kind >= rounds.WAIT:
            break
        if kind == rounds.BUCKET:
            groups = rounds.groups_in_round(turns, place[0])
            _apply(tables, settings, changes, groups, number, first_context)
        else:
            slot = number % rounds.GROUPS_IN_ROUND
            following = rounds.next_group(turns, place)
            if following >= 0:
                _prefetch(tables.centers.values, items[following].ravel())
                _prefetch(tables.contexts.values, items[following].ravel())
                _prefetch(tables.contexts.values, negatives[following])
                _prefetch(tables.contexts.values, chosen[following])
            own, flat = changes.items[slot], items[number].ravel()
            own[:] = -1
            own[:places] = flat
            own[first_context : first_context + places] = flat
            own[first_context + places : first_context + places + drawn] = negatives[number]
            own[first_context + places + drawn : first_context + columns] = chosen[number]
            kernels.weigh_windows(
                items[number],
                column_weights[number],
                distance_weights,
                num_negatives,
                chosen_positive[number],
                chosen_negative[number],
                block.positive,
                block.negative,
            )
            sums[number] = _learn(tables, settings, changes, slot, block, columns, False)
        rounds.end_turn(turns, place, kind)
    return kind == rounds.END


@fast_jit
def _train_pairs(
    tables: Tables,
    settings: Settings,
    turns: rounds.Turns,
    changes: rounds.Changes,
    place: np.ndarray,
    sums: np.ndarray,
    centers: np.ndarray,
    contexts: np.ndarray,
    negatives: np.ndarray,
    weights: np.ndarray,
) -> bool:
    """The same for pairs with negatives of their own."""
    columns, first_context = 1 + negatives.shape[1], _first_context(PAIRS_IN_GROUP)
    rows = changes.items.shape[1]
    block = _new_block(PAIRS_IN_GROUP, columns, rows, len(changes.grads) // changes.items.size)
    while True:
        kind, number = rounds.next_turn(turns, place)
        if kind >= rounds.WAIT:
            break
        if kind == rounds.BUCKET:
            groups = rounds.groups_in_round(turns, place[0])
            _apply(tables, settings, changes, groups, number, first_context)
        else:
            slot = number % rounds.GROUPS_IN_ROUND
            own, first = changes.items[slot], number * PAIRS_IN_GROUP
            following = rounds.next_group(turns, place) * PAIRS_IN_GROUP
            if following >= 0:
                _prefetch(tables.centers.values, centers[following : following + PAIRS_IN_GROUP])
                _prefetch(tables.contexts.values, contexts[following : following + PAIRS_IN_GROUP])
                for pair in range(following, min(following + PAIRS_IN_GROUP, len(centers))):
                    _prefetch(tables.contexts.values, negatives[pair])
            own[:] = -1
            block.positive[:] = 0
            block.negative[:] = 0
            for pair in range(min(PAIRS_IN_GROUP, len(centers) - first)):
                at, k = first_context + pair * columns, first + pair
                own[pair], own[at] = centers[k], contexts[k]
                own[at + 1 : at + columns] = negatives[k]
                block.positive[pair, 0] = weights[k]
                block.negative[pair, 1:columns] = weights[k]
            sums[number] = _learn(tables, settings, changes, slot, block, columns, True)
        rounds.end_turn(turns, place, kind)
    return kind == rounds.END


def train_batch(
    tables: Tables, settings: Settings, batch: Batch, pool: ThreadPoolExecutor, threads: int
) -> tuple[float, float]:
    """Work through a batch of either contract, on the CPU, by several threads of a pool.

    The tables are float32. Returns loss and weight of the positives, each of before its step.
    """
    if isinstance(batch, HistoryBatch):
        raise ValueError(HISTORIES_NEEDED)
    run: Callable[..., bool]
    if isinstance(batch, PairBatch):
        run, arrays = _train_pairs, tuple(part.numpy() for part in batch[:4])
        groups = -(-len(arrays[0]) // PAIRS_IN_GROUP)
        centers, contexts = PAIRS_IN_GROUP, PAIRS_IN_GROUP * (1 + arrays[2].shape[1])
    else:
        chosen = batch.chosen or no_chosen(batch)
        run, arrays = _train_windows, tuple(part.numpy() for part in (*batch[:3], *chosen))
        groups, centers = len(arrays[0]), arrays[0][0].size if len(arrays[0]) else 0
        contexts = centers + arrays[1].shape[1] + arrays[3].shape[1]
        arrays += batch.distance_weights.numpy(), batch.num_negatives
    if not groups:
        return 0.0, 0.0
    turns, sums = rounds.new_turns(groups), np.zeros((groups, 2))
    rows = _first_context(centers) + products.round_up(contexts, products.ROWS)
    dim = products.round_up(tables.centers.values.shape[1], products.WIDTH)
    changes = rounds.new_changes(rows, dim, biases=len(tables.biases.values) > 0)
    failed = Event()
    jobs = [
        pool.submit(_work, run, (tables, settings, turns, changes), (sums, *arrays), failed)
        for _ in range(min(threads, groups))
    ]
    for job in jobs:
        job.result()
    loss, mass = sums.sum(axis=0)
    return float(loss), float(mass)


def _work(
    run: Callable[..., bool], before: tuple[Any, ...], after: tuple[Any, ...], failed: Event
) -> None:
    """What one thread does for a batch."""
    place = rounds.new_place()
    try:
        while not run(*before, place, *after) and not failed.is_set():
            time.sleep(_PAUSE)
    except BaseException:
        failed.set()  # else the others wait for ever
        raise
