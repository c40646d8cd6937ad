"""What one group of a batch does, compiled: its scores, its gradients, and its step.

The rows of a group are read once; small matrix products give scores and gradients; the step of each
row comes later, see `rounds`.
"""

from typing import NamedTuple

import numpy as np

from recsys_lab.compute.prefetch import prefetch
from recsys_lab.models import kernels, products, ranking_kernels, rounds
from recsys_lab.models.kernels import jit_calls, jit_piece, scratch
from recsys_lab.models.losses import LOGISTIC, MARGIN, SQUARED

LINE = 16  # floats of a cache line


class Table(NamedTuple):
    """A parameter: where it is read and where its step goes, which is the same in training."""

    values: np.ndarray  # (N, D)
    target: np.ndarray  # (N, D)
    sums: np.ndarray  # (N,) accumulators of row-wise Adagrad, or (0,) for SGD


_NOTHING = np.zeros((0, 1), np.float32)
NO_TABLE = Table(_NOTHING, _NOTHING, np.zeros(0, np.float32))


class Tables(NamedTuple):
    """The parameters of a model.

    Centers and contexts are the same table for matrix factorisation, and only there may be biases,
    else of shape (0, 1). So are logits where no shares are learned.
    """

    centers: Table
    contexts: Table
    biases: Table = NO_TABLE  # (N, 1)
    global_bias: Table = NO_TABLE  # (1, 1)
    center_logits: Table = NO_TABLE  # (N, P), see `learned_shares`
    context_logits: Table = NO_TABLE  # (N, P)


class Settings(NamedTuple):
    """What a step needs to know beside the batch."""

    one_table: bool
    loss: int  # `losses.CellLoss`
    setting: float
    l2: float
    rate: float
    eps: float


class Block(NamedTuple):
    """Scratch space of a thread: R centers by C contexts, of width W for vectors and columns."""

    vectors: np.ndarray  # (n * W,) the rows of `rounds.Changes`
    across: np.ndarray  # (W * S,) contexts by columns; S is C rounded up
    scores: np.ndarray  # (R + 6, S); the last rows are room for whole tiles
    positive: np.ndarray  # (R, S)
    negative: np.ndarray  # (R, S)
    weights: np.ndarray  # (n,) of cells by row
    powers: np.ndarray  # (R * S,) of the losses
    seen: np.ndarray  # of `rounds.sort_rows`


@jit_piece
def contexts_begin(centers: int) -> int:
    """Where the rows of contexts begin."""
    return products.round_up(centers, products.ROWS)


def new_block(centers: int, columns: int, rows: int, dim: int) -> Block:
    """Scratch space for so many centers, columns, rows, and floats of a row."""
    stride = products.round_up(columns, products.WIDTH)
    size = 4
    while size < 2 * rows:
        size *= 2
    return Block(
        scratch(rows * dim),
        scratch(dim * stride),
        scratch((centers + products.ROWS) * stride).reshape(centers + products.ROWS, stride),
        scratch(centers * stride).reshape(centers, stride),
        scratch(centers * stride).reshape(centers, stride),
        scratch(rows),
        scratch(centers * stride),
        np.empty(size, np.int64),
    )


@jit_piece
def prefetch_rows(table: np.ndarray, items: np.ndarray) -> None:
    """Let the rows of items (n,) of a table (N, D) come to the cache while others are worked on."""
    entries, dim = table.reshape(-1), table.shape[1]
    for item in items:
        if item >= 0:
            for column in range(0, dim, LINE):
                prefetch(entries, item * dim + column)


@jit_piece
def gather(tables: Tables, items: np.ndarray, first_context: int, vectors: np.ndarray) -> None:
    """Fill in the vectors of a group, one row after the other; those of padding are zero."""
    own, dim = tables.centers.values.shape[1], len(vectors) // len(items)
    for row in range(len(items)):
        item, vector = items[row], vectors[row * dim : row * dim + own]
        if item < 0:
            vector[:] = 0
        elif row < first_context:
            for d in range(own):
                vector[d] = tables.centers.values[item, d]
        else:
            for d in range(own):
                vector[d] = tables.contexts.values[item, d]


@jit_piece
def _score_windows(block: Block, first_context: int, columns: int, dim: int) -> None:
    """Scores of every center by every context."""
    centers, stride = block.positive.shape
    products.transpose(block.across, stride, block.vectors, first_context * dim, columns, dim)
    products.multiply(
        block.scores.reshape(-1), 0, stride, block.vectors, 0, dim, 1, block.across, 0, stride,
        centers, columns, dim,
    )  # fmt: skip


@jit_piece
def _spread_windows(
    block: Block, first_context: int, columns: int, dim: int, grads: np.ndarray, start: int
) -> None:
    """Gradients of the rows, which begin at `start` of `grads`, from the slopes in `scores`."""
    centers, stride = block.positive.shape
    slopes = block.scores.reshape(-1)
    products.multiply(
        grads, start, dim, slopes, 0, stride, 1, block.vectors, first_context * dim, dim,
        centers, dim, columns,
    )  # fmt: skip
    products.multiply(
        grads, start + first_context * dim, dim, slopes, 0, 1, stride, block.vectors, 0, dim,
        columns, dim, centers,
    )  # fmt: skip


@jit_piece
def _score_pairs(block: Block, first_context: int, columns: int, dim: int) -> None:
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
    block: Block, first_context: int, columns: int, dim: int, grads: np.ndarray, start: int
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
    tables: Tables, items: np.ndarray, block: Block, first_context: int, columns: int,
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
    items: np.ndarray, block: Block, first_context: int, columns: int, of_pairs: bool
) -> None:
    """Take out the cells of an item with itself, for models with one vector for each item."""
    for center in range(len(block.positive)):
        first = first_context + (center * columns if of_pairs else 0)
        for column in range(columns):
            if items[center] == items[first + column]:
                block.positive[center, column] = block.negative[center, column] = 0


@jit_piece
def _slopes(settings: Settings, block: Block, columns: int) -> float:
    """Replace the scores by their slopes; returns the loss. Columns of padding weigh nothing."""
    scores, positive, negative = block.scores, block.positive, block.negative
    flat, powers, setting = scores.reshape(-1)[: positive.size], block.powers, settings.setting
    if settings.loss == LOGISTIC:
        loss = kernels.logistic_slopes(flat, positive.reshape(-1), negative.reshape(-1), powers)
    elif settings.loss == SQUARED:
        loss = kernels.squared_slopes(flat, positive.reshape(-1), negative.reshape(-1))
    elif settings.loss == MARGIN:
        loss = ranking_kernels.margin_slopes(scores, positive, negative, columns, setting, powers)
    else:
        loss = ranking_kernels.softmax_slopes(scores, positive, negative, columns, setting, powers)
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
    tables: Tables, settings: Settings, changes: rounds.Changes, slot: int, block: Block
) -> float:
    """Turn sums of slopes in `biases` into gradients; returns the biases' part of the penalty."""
    items, grads, loss = changes.items[slot], changes.biases[slot], np.float32(0)
    for row in range(len(items)):
        bias = tables.biases.values[max(items[row], 0), 0]
        scale = np.float32(settings.l2) * block.weights[row]
        loss += scale * bias * bias
        grads[row] += np.float32(2) * scale * bias
    return float(loss)


@jit_calls
def learn(
    tables: Tables, settings: Settings, changes: rounds.Changes, slot: int, block: Block,
    columns: int, of_pairs: bool,
) -> tuple[float, float]:  # fmt: skip
    """Gradients of a group whose items, weights and vectors are filled in; loss and mass."""
    items, grads = changes.items[slot], changes.grads
    dim, first_context = len(block.vectors) // len(items), contexts_begin(len(block.positive))
    start = slot * len(block.vectors)
    if settings.one_table:
        _drop_same(items, block, first_context, columns, of_pairs)
    if of_pairs:
        _score_pairs(block, first_context, columns, dim)
    else:
        _score_windows(block, first_context, columns, dim)
    has_biases = len(tables.biases.values) > 0
    if has_biases:
        _add_biases(tables, items, block, first_context, columns, of_pairs)
    loss, mass = _slopes(settings, block, columns), float(block.positive.sum())
    if of_pairs:
        _spread_pairs(block, first_context, columns, dim, grads, start)
    else:
        _spread_windows(block, first_context, columns, dim, grads, start)
    if settings.l2 > 0 or has_biases:
        positive, negative = block.positive.reshape(-1), block.negative.reshape(-1)
        for cell in range(len(positive)):
            negative[cell] += positive[cell]
        _sum_cells(block.negative, first_context, columns, of_pairs, block.weights)
        loss += _regularize(block.weights, block.vectors, grads, start, settings.l2)
    if has_biases:
        slopes = block.scores[: len(block.positive)]
        _sum_cells(slopes, first_context, columns, of_pairs, changes.biases[slot])
        changes.total[slot] = changes.biases[slot, :first_context].sum()
        loss += _bias_grads(tables, settings, changes, slot, block)
    rounds.sort_rows(changes, slot, first_context, settings.one_table, dim, block.seen)
    return loss, mass


@jit_piece
def step_row(
    target: np.ndarray, sums: np.ndarray, settings: Settings, item: int, grads: np.ndarray,
    start: int,
) -> None:  # fmt: skip
    """One step of row-wise Adagrad, or of SGD, on a row; see `RowWiseAdagrad`."""
    dim, rate = target.shape[1], np.float32(settings.rate)
    grad = grads[start : start + dim]
    if len(sums):
        square = np.float32(0)
        for d in range(dim):
            square += grad[d] * grad[d]
        sums[item] += square / np.float32(dim)
        rate = rate / (np.sqrt(sums[item]) + np.float32(settings.eps))
    for d in range(dim):
        target[item, d] -= rate * grad[d]


@jit_piece
def apply_bucket(
    tables: Tables, settings: Settings, changes: rounds.Changes, groups: int, bucket: int,
    first_context: int,
) -> None:  # fmt: skip
    """The steps of the rows of a bucket, of the groups of a round one after the other."""
    centers, center_sums = tables.centers.target, tables.centers.sums
    contexts, context_sums = tables.contexts.target, tables.contexts.sums
    ends, order, items, grads = changes.ends, changes.order, changes.items, changes.grads
    rows, one_table = items.shape[1], settings.one_table
    dim = len(grads) // items.size
    for slot in range(groups):
        low = ends[slot, bucket - 1] if bucket else 0
        for place in range(low, ends[slot, bucket]):
            row = order[slot, place]
            item, start = items[slot, row], (slot * rows + row) * dim
            if one_table or row < first_context:
                step_row(centers, center_sums, settings, item, grads, start)
            else:
                step_row(contexts, context_sums, settings, item, grads, start)
    if len(tables.biases.values):
        _apply_biases(tables, settings, changes, groups, bucket)


@jit_piece
def _apply_biases(
    tables: Tables, settings: Settings, changes: rounds.Changes, groups: int, bucket: int
) -> None:
    """The same for biases."""
    biases, sums = tables.biases.target, tables.biases.sums
    one, one_sum = tables.global_bias.target, tables.global_bias.sums
    ends, order, items, total = changes.ends, changes.order, changes.items, changes.total
    rows, grads = items.shape[1], changes.biases.reshape(-1)
    for slot in range(groups):
        low = ends[slot, bucket - 1] if bucket else 0
        for place in range(low, ends[slot, bucket]):
            row = order[slot, place]
            step_row(biases, sums, settings, items[slot, row], grads, slot * rows + row)
        if bucket == 0:
            step_row(one, one_sum, settings, 0, total, slot)
