"""Batches of both contracts, and losses by double loops in float64."""

import math
from collections.abc import Callable

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys_lab.data.batch import (
    ChosenContexts,
    FieldCodes,
    Items,
    Neighbours,
    PairBatch,
    VisitedItems,
    WindowBatch,
)
from recsys_lab.data.windows import distance_weights
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.models.blocks import window_weights
from recsys_lab.models.scoring import ScoreVectors

NUM_ITEMS = 12

Score = Callable[[int, int], Tensor]
CellLoss = Callable[[Tensor, float, float], Tensor]


def pair_scores(vectors: ScoreVectors, heads: Tensor, tails: Tensor) -> Tensor:
    """Scores of pairs of items, as the evaluation computes them."""
    scores = VectorScorer(*vectors).score_pairs(heads.numpy(), tails.numpy())
    return torch.from_numpy(scores)


def pair_batch(size: int, num_negatives: int, seed: int = 0) -> PairBatch:
    rng = np.random.default_rng(seed)
    centers = rng.integers(0, NUM_ITEMS, size)
    return PairBatch(
        torch.from_numpy(centers),
        torch.from_numpy((centers + rng.integers(1, NUM_ITEMS, size)) % NUM_ITEMS),
        torch.from_numpy(rng.integers(0, NUM_ITEMS, (size, num_negatives))),
        torch.from_numpy(rng.random(size) + 0.5),
        size,
    )


def window_batch(groups: int, walks: int, length: int, drawn: int, seed: int = 0) -> WindowBatch:
    rng = np.random.default_rng(seed)
    items = rng.integers(0, NUM_ITEMS, (groups, walks, length))
    items[0, 0, length - 1 :] = -1  # one walk is shorter
    negatives = rng.integers(0, NUM_ITEMS, (groups, drawn))
    columns = items.reshape(groups, -1)
    weights = rng.random(columns.shape) * (columns >= 0) if drawn == 0 else 0.0 * columns
    return WindowBatch(
        torch.from_numpy(items),
        torch.from_numpy(negatives),
        torch.from_numpy(np.concatenate([weights, np.ones((groups, drawn))], axis=1)),
        torch.from_numpy(distance_weights(length, 2, shrink=True)).double(),
        5.0,
        int((items >= 0).sum()),
    )


def with_chosen(batch: WindowBatch, count: int, seed: int = 0) -> WindowBatch:
    """The batch with so many chosen contexts, of which some count as both and the first is none."""
    rng = np.random.default_rng(seed)
    groups, walks, length = batch.items.shape
    items = rng.integers(0, NUM_ITEMS, (groups, count))
    cells = rng.random((2, groups, walks * length, count)) * (
        rng.random((2, groups, walks * length, count)) < 0.5
    )
    items[0, 0] = -1
    cells[:, 0, :, 0] = 0
    cells[:, (batch.items.view(groups, -1) < 0).numpy()] = 0
    return batch._replace(chosen=ChosenContexts(*map(torch.from_numpy, (items, *cells))))


BATCHES = {
    "pairs": pair_batch(7, 3),
    "one pair, one negative": pair_batch(1, 1),
    "windows, in batch": window_batch(2, 3, 4, 0),
    "windows, shared": window_batch(3, 1, 5, 4),
    "one window, one negative": window_batch(1, 1, 2, 1),
    "windows, chosen contexts": with_chosen(window_batch(2, 3, 4, 2), 3),
}


def cells(batch: PairBatch | WindowBatch) -> list[tuple[int, int, float, float]]:
    """Center, context, weight as a positive and as a negative, of every cell that counts."""
    found = []
    if isinstance(batch, PairBatch):
        for b in range(len(batch.centers)):
            weight = float(batch.weights[b])
            found.append((int(batch.centers[b]), int(batch.contexts[b]), weight, 0.0))
            for item in batch.negatives[b].tolist():
                found.append((int(batch.centers[b]), item, 0.0, weight))
        return found
    _, negative = window_weights(batch)
    groups, walks, length = batch.items.shape
    for g in range(groups):
        places = [item for walk in batch.items[g].tolist() for item in walk]
        columns = places + batch.negatives[g].tolist()
        for r, center in enumerate(places):
            for c, context in enumerate(columns):
                same_walk = c < walks * length and r // length == c // length
                weight = float(batch.distance_weights[abs(r - c)]) if same_walk else 0.0
                if center >= 0 and context >= 0:
                    found.append((center, context, weight, float(negative[g, r, c])))
    return found + (_chosen_cells(batch) if batch.chosen else [])


def _chosen_cells(batch: WindowBatch) -> list[tuple[int, int, float, float]]:
    """The cells of chosen contexts; the mass of a center is counted anew."""
    assert batch.chosen is not None
    found = []
    groups, walks, length = batch.items.shape
    for g in range(groups):
        for r in range(walks * length):
            walk = batch.items[g, r // length].tolist()
            center = walk[r % length]
            if center < 0:
                continue
            band = sum(
                float(batch.distance_weights[abs(r % length - k)])
                for k in range(length)
                if walk[k] >= 0
            )
            mass = band + float(batch.chosen.positive[g, r].sum())
            for x, item in enumerate(batch.chosen.items[g].tolist()):
                positive, negative = (float(w[g, r, x]) for w in batch.chosen[1:])
                if item >= 0:
                    found.append((center, item, positive, mass * negative))
    return found


def logistic(score: Tensor, positive: float, negative: float) -> Tensor:
    return positive * torch.log1p(torch.exp(-score)) + negative * torch.log1p(torch.exp(score))


def squared(score: Tensor, positive: float, negative: float) -> Tensor:
    return (score - positive) ** 2 * (positive > 0) + negative * score**2


def field(values: list[list[int]], cardinality: int) -> FieldCodes:
    lengths = [0, *np.cumsum([len(codes) for codes in values])]
    flat = [code for codes in values for code in codes]
    return FieldCodes(torch.tensor(lengths), torch.tensor(flat, dtype=torch.long), cardinality)


def neighbours_of(weights: np.ndarray) -> Neighbours:
    """Of a symmetric matrix of weights (N, N); 0 where two items are no pair."""
    rows, columns = np.nonzero(weights)
    offsets = np.concatenate([[0], np.cumsum(np.count_nonzero(weights, axis=1))])
    found = weights[rows, columns].astype(np.float32)
    return Neighbours(*map(torch.from_numpy, (offsets, columns.astype(np.int32), found)))


def items_with(fields: dict[str, FieldCodes], degrees: list[int]) -> Items:
    """Items on a ring."""
    ids = pl.Series([f"i{k}" for k in range(len(degrees))])
    steps = np.roll(np.eye(len(degrees)), 1, axis=1)
    neighbours = neighbours_of(steps + steps.T)
    ring = torch.arange(len(degrees))
    both = torch.stack([ring.roll(1), ring.roll(-1)], dim=1).int()
    visited = VisitedItems(both, torch.full(both.shape, 0.5))
    return Items(
        torch.tensor(degrees), fields.__getitem__, ids, lambda: neighbours, lambda *_: visited
    )


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]
