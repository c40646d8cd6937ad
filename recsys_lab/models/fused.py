"""Training in place by compiled kernels: what autograd and the optimiser do, block by block.

One group of walks, or one pair with its negatives, is a step of its own: its rows are read once,
three small matrix products give scores and gradients, and the rows are written back. Groups are
shared out among threads, which write to the tables without locks, as word2vec does (Recht et al.,
Hogwild, NIPS 2011); with one thread a run is reproducible to the bit.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from recsys_lab.data.batch import Batch, HistoryBatch, PairBatch, no_chosen
from recsys_lab.models import kernels, ranking_kernels
from recsys_lab.models.blocks import HISTORIES_NEEDED
from recsys_lab.models.kernels import fast_jit, fast_piece
from recsys_lab.models.losses import LOGISTIC, MARGIN, SQUARED


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
    """Scratch space of a thread: R centers by C contexts."""

    items: np.ndarray  # (R + C,) int64, centers first
    centers: np.ndarray  # (R, D)
    contexts: np.ndarray  # (C, D)
    grad: np.ndarray  # (R + C, D)
    scores: np.ndarray  # (R, C)
    positive: np.ndarray  # (R, C)
    negative: np.ndarray  # (R, C)


@fast_piece
def _new_block(rows: int, columns: int, dim: int) -> _Block:
    cells = np.zeros((3, rows, columns), np.float32)
    return _Block(
        np.empty(rows + columns, np.int64),
        np.empty((rows, dim), np.float32),
        np.empty((columns, dim), np.float32),
        np.empty((rows + columns, dim), np.float32),
        cells[0],
        cells[1],
        cells[2],
    )


@fast_piece
def _add_biases(tables: Tables, block: _Block) -> None:
    rows, columns = block.scores.shape
    for row in range(rows):
        center = tables.biases.values[max(block.items[row], 0), 0]
        center += tables.global_bias.values[0, 0]
        for column in range(columns):
            context = tables.biases.values[max(block.items[rows + column], 0), 0]
            block.scores[row, column] += center + context


@fast_piece
def _regularize(weights: np.ndarray, vectors: np.ndarray, grad: np.ndarray, l2: float) -> float:
    """Add l2 * weight * |vector|^2 of each row to its gradient; returns the sum."""
    total = np.float32(0)
    for row in range(len(weights)):
        scale = np.float32(l2) * weights[row]
        for d in range(vectors.shape[1]):
            total += scale * vectors[row, d] * vectors[row, d]
            grad[row, d] += np.float32(2) * scale * vectors[row, d]
    return float(total)


@fast_piece
def _update(table: Table, settings: Settings, items: np.ndarray, grad: np.ndarray) -> None:
    kernels.update_rows(table.target, table.sums, items, grad, settings.rate, settings.eps)


@fast_piece
def _update_biases(tables: Tables, settings: Settings, block: _Block, weights: np.ndarray) -> float:
    """Step of the biases by the slopes in `scores`; returns their part of the penalty."""
    rows = block.scores.shape[0]
    grad = np.empty((len(block.items), 1), np.float32)
    grad[:rows, 0] = block.scores.sum(1)
    grad[rows:, 0] = block.scores.sum(0)
    total = grad[:rows].sum()
    own = np.empty_like(grad)
    kernels.gather_rows(tables.biases.values, block.items, own)
    loss = _regularize(weights, own, grad, settings.l2)
    _update(tables.biases, settings, block.items, grad)
    _update(tables.global_bias, settings, np.zeros(1, np.int64), np.full((1, 1), total, np.float32))
    return loss


@fast_piece
def _slopes(settings: Settings, block: _Block) -> float:
    """Replace the scores by their slopes; returns the loss."""
    scores, positive, negative = block.scores, block.positive, block.negative
    if settings.loss == LOGISTIC:
        loss = kernels.logistic_slopes(scores.ravel(), positive.ravel(), negative.ravel())
    elif settings.loss == SQUARED:
        loss = kernels.squared_slopes(scores.ravel(), positive.ravel(), negative.ravel())
    elif settings.loss == MARGIN:
        loss = ranking_kernels.margin_slopes(scores, positive, negative, settings.setting)
    else:
        loss = ranking_kernels.softmax_slopes(scores, positive, negative, settings.setting)
    return loss


@fast_piece
def _step(tables: Tables, settings: Settings, block: _Block) -> tuple[float, float]:
    """Train on a block whose items and weights are filled in; returns loss and positives' mass."""
    rows = len(block.centers)
    centers, contexts = block.items[:rows], block.items[rows:]
    if settings.one_table:
        kernels.drop_same(centers, contexts, block.positive, block.negative)
    kernels.gather_rows(tables.centers.values, centers, block.centers)
    kernels.gather_rows(tables.contexts.values, contexts, block.contexts)
    np.dot(block.centers, block.contexts.T, block.scores)
    if len(tables.biases.values):
        _add_biases(tables, block)
    loss = _slopes(settings, block)
    np.dot(block.scores, block.contexts, block.grad[:rows])
    np.dot(block.scores.T, block.centers, block.grad[rows:])
    weights = np.empty(0, np.float32)
    if settings.l2 > 0 or len(tables.biases.values):
        both = block.positive + block.negative
        weights = np.concatenate((both.sum(1), both.sum(0)))
        loss += _regularize(weights[:rows], block.centers, block.grad[:rows], settings.l2)
        loss += _regularize(weights[rows:], block.contexts, block.grad[rows:], settings.l2)
    if len(tables.biases.values):
        loss += _update_biases(tables, settings, block, weights)
    if settings.one_table:
        _update(tables.centers, settings, block.items, block.grad)
    else:
        _update(tables.centers, settings, centers, block.grad[:rows])
        _update(tables.contexts, settings, contexts, block.grad[rows:])
    return loss, float(block.positive.sum())


@fast_jit
def _train_windows(
    tables: Tables,
    settings: Settings,
    items: np.ndarray,
    negatives: np.ndarray,
    column_weights: np.ndarray,
    chosen: np.ndarray,
    chosen_positive: np.ndarray,
    chosen_negative: np.ndarray,
    distance_weights: np.ndarray,
    num_negatives: float,
) -> tuple[float, float]:
    """Train on the groups of a window batch, one after the other."""
    groups, walks, length = items.shape
    places, end = walks * length, 2 * walks * length + negatives.shape[1]
    columns = end - places + chosen.shape[1]
    block = _new_block(places, columns, tables.centers.values.shape[1])
    loss, mass = 0.0, 0.0
    for group in range(groups):
        flat = items[group].ravel()
        block.items[:places] = flat
        block.items[places : 2 * places] = flat
        block.items[2 * places : end] = negatives[group]
        block.items[end:] = chosen[group]
        if group + 1 < groups:  # these rows arrive while this group is worked on
            kernels.prefetch_rows(tables.centers.values, items[group + 1].ravel())
            kernels.prefetch_rows(tables.contexts.values, items[group + 1].ravel())
            kernels.prefetch_rows(tables.contexts.values, negatives[group + 1])
            kernels.prefetch_rows(tables.contexts.values, chosen[group + 1])
        kernels.weigh_windows(
            items[group],
            column_weights[group],
            distance_weights,
            num_negatives,
            chosen_positive[group],
            chosen_negative[group],
            block.positive,
            block.negative,
        )
        one = _step(tables, settings, block)
        loss, mass = loss + one[0], mass + one[1]
    return loss, mass


@fast_jit
def _train_pairs(
    tables: Tables,
    settings: Settings,
    centers: np.ndarray,
    contexts: np.ndarray,
    negatives: np.ndarray,
    weights: np.ndarray,
) -> tuple[float, float]:
    """Train on pairs with negatives of their own, one after the other."""
    drawn = negatives.shape[1]
    block = _new_block(1, 1 + drawn, tables.centers.values.shape[1])
    loss, mass = 0.0, 0.0
    for k in range(len(centers)):
        block.items[0], block.items[1] = centers[k], contexts[k]
        block.items[2:] = negatives[k]
        if k + 1 < len(centers):
            kernels.prefetch_rows(tables.centers.values, centers[k + 1 : k + 2])
            kernels.prefetch_rows(tables.contexts.values, contexts[k + 1 : k + 2])
            kernels.prefetch_rows(tables.contexts.values, negatives[k + 1])
        block.positive[:] = 0
        block.positive[0, 0] = weights[k]
        block.negative[:] = weights[k]
        block.negative[0, 0] = 0
        one = _step(tables, settings, block)
        loss, mass = loss + one[0], mass + one[1]
    return loss, mass


def train_parts(
    tables: Sequence[Tables], settings: Settings, batch: Batch, pool: ThreadPoolExecutor
) -> tuple[float, float]:
    """Work through a batch of either contract, on the CPU, in as many parts as there are `tables`.

    Parts that train together share their tables, which are float32. Returns loss and weight of the
    positives, each of before its step.
    """
    if isinstance(batch, HistoryBatch):
        raise ValueError(HISTORIES_NEEDED)
    run: Callable[..., tuple[float, float]]
    shared: tuple[Any, ...] = ()
    if isinstance(batch, PairBatch):
        run, arrays = _train_pairs, [part.numpy() for part in batch[:4]]
    else:
        chosen = batch.chosen or no_chosen(batch)
        run, arrays = _train_windows, [part.numpy() for part in (*batch[:3], *chosen)]
        shared = batch.distance_weights.numpy(), batch.num_negatives
    bounds = np.linspace(0, len(arrays[0]), len(tables) + 1).astype(int)
    jobs = [
        pool.submit(run, part, settings, *(a[low:high] for a in arrays), *shared)
        for part, (low, high) in zip(tables, pairwise(bounds), strict=True)
        if low < high
    ]
    loss, mass = np.sum([(0.0, 0.0), *(job.result() for job in jobs)], axis=0)
    return float(loss), float(mass)
