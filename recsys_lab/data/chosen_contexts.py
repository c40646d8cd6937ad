"""Contexts that are chosen for centers: the goal of a session, and negatives of the same market.

Grbovic and Cheng, "Real-time Personalization using Embeddings for Search Ranking at Airbnb" (KDD
2018), section 3.1: a booked listing is a context of every window of its session, and negatives from
the market of the center stand beside random ones.
"""

import numpy as np
import torch

from recsys_lab.catalog.catalog import Field
from recsys_lab.compute.kernel_cache import jit
from recsys_lab.data.batch import ChosenContexts


def first_values(field: Field) -> np.ndarray:
    """The first value of each item in a field, (N,) int32, -1 where it has none."""
    has = np.diff(field.offsets) > 0
    values = np.full(len(has), -1, np.int32)
    values[has] = field.codes[field.offsets[:-1][has]]
    return values


class MarketSampler:
    """Draws items from the market of another item.

    Args:
        markets: (N,) market of each item, -1 for none.
        probabilities: (N,) relative chance of an item within its market.
    """

    def __init__(self, markets: np.ndarray, probabilities: np.ndarray) -> None:
        self.markets = markets
        order = np.argsort(markets, kind="stable")
        self._items = order[probabilities[order] > 0]  # by market
        self._ends = np.cumsum(probabilities[self._items])
        self._bounds = np.searchsorted(markets[self._items], np.arange(markets.max() + 2))

    def draw(self, items: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """An item from the market of each item, int64; -1 where it is -1 or its market has none."""
        markets = np.where(items >= 0, self.markets[items], -1)
        low, high = self._bounds[markets], self._bounds[markets + 1]
        can_draw = (markets >= 0) & (low < high)
        low, high = low[can_draw], high[can_draw]
        begin = np.where(low > 0, self._ends[low - 1], 0.0)
        chance = begin + rng.random(len(low)) * (self._ends[high - 1] - begin)
        place = np.searchsorted(self._ends, chance, side="right")
        drawn = np.full(items.shape, -1, np.int64)
        drawn[can_draw] = self._items[np.clip(place, low, high - 1)]
        return drawn


def chosen_contexts(
    items: np.ndarray,
    goals: np.ndarray | None,
    sampler: MarketSampler | None,
    num_drawn: int,
    rng: np.random.Generator,
) -> ChosenContexts | None:
    """The goals and the negatives of the market of groups of sequences.

    A goal is a positive, of weight 1, of each center of its sequence but those that are the goal
    itself. Each sequence draws negatives from the markets of its places; all centers of the group
    that are of the same market share these, but for items of their own sequence. They weigh
    `num_drawn` times as much as the positives of the center.

    Args:
        items: (G, S, L), -1 for padding.
        goals: (G, S), -1 for none; or None.
        sampler: None draws no negatives.
        num_drawn: negatives drawn for each sequence.
        rng: the generator.
    """
    if goals is None and sampler is None:
        return None
    groups, walks, length = items.shape
    drawn, markets = np.empty((groups, 0), np.int64), np.empty(0, np.int32)
    if sampler is not None:
        drawn = sampler.draw(_any_places(items, num_drawn, rng), rng).reshape(groups, -1)
        markets = sampler.markets
    columns = np.empty((groups, 0), np.int64) if goals is None else goals.astype(np.int64)
    weights = np.zeros(
        (2, groups, walks * length, columns.shape[1] + drawn.shape[1]), np.float32
    )  # of positives and of negatives
    _weigh_goals(items, columns, weights[0])
    _weigh_drawn(items, columns, drawn, markets, num_drawn, weights[1])
    chosen = np.concatenate([columns, drawn], axis=1)
    return ChosenContexts(*map(torch.from_numpy, (chosen, *weights)))


def goal_pairs(sequences: np.ndarray, goals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every center of sequences (W, L) with the goal (W,) of its sequence, both (n,) int64."""
    counts = (goals[:, None] >= 0) & (sequences >= 0) & (sequences != goals[:, None])
    rows = np.nonzero(counts)[0]
    return sequences[counts].astype(np.int64), goals[rows].astype(np.int64)


def _any_places(items: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Items at `count` random places of each sequence, (G, S, count); -1 of empty ones."""
    sizes = (items >= 0).sum(axis=2, keepdims=True)  # padding follows
    places = (rng.random((*items.shape[:2], count)) * sizes).astype(np.int64)
    return np.take_along_axis(items, places, axis=2)


@jit()
def _weigh_goals(items: np.ndarray, goals: np.ndarray, positive: np.ndarray) -> None:
    """Fill the goals' columns of positive (G, C, X), which comes zeroed."""
    groups, _, length = items.shape
    for group in range(groups):
        for walk in range(goals.shape[1]):
            goal = goals[group, walk]
            for place in range(length):
                center = items[group, walk, place]
                if goal >= 0 and center >= 0 and center != goal:
                    positive[group, walk * length + place, walk] = 1


@jit()
def _weigh_drawn(
    items: np.ndarray,
    goals: np.ndarray,
    drawn: np.ndarray,
    markets: np.ndarray,
    weight: float,
    negative: np.ndarray,
) -> None:
    """Fill the columns of drawn negatives, the last of negative (G, C, X), which comes zeroed."""
    groups, walks, length = items.shape
    first = goals.shape[1]
    for group in range(groups):
        for walk in range(walks):
            row = walk * length
            for column in range(drawn.shape[1]):
                item = drawn[group, column]
                is_own = item < 0 or (first > 0 and goals[group, walk] == item)
                for place in range(length):
                    is_own = is_own or items[group, walk, place] == item
                for place in range(length):
                    center = items[group, walk, place]
                    if not is_own and center >= 0 and markets[center] == markets[item]:
                        negative[group, row + place, first + column] = 1
            for place in range(length):
                count = negative[group, row + place].sum()
                if count > 0:
                    negative[group, row + place] *= np.float32(weight) / count
