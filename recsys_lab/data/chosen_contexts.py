"""Contexts that are chosen for centers: goals of sessions, and negatives of a market or rejected.

Grbovic and Cheng, "Real-time Personalization using Embeddings for Search Ranking at Airbnb" (KDD
2018), section 3.1: a booked listing is a context of every window of its session, and negatives from
the market of the center stand beside random ones. Items that were shown and not chosen are further
negatives.
"""

import numpy as np
import torch

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.data.batch import ChosenContexts
from recsys_lab.readers.records import Events

NOTHING_SHOWN = (
    "num_rejected and num_rejected_types need a log that says what was shown "
    "(catalog.columns.shown): use num_rejected=0 and num_rejected_types=0"
)
NO_TYPES = (
    "num_rejected_types needs types of items: name rules in nodes.item_types, and users or their "
    "types in nodes.users or nodes.user_types, or use num_rejected_types=0"
)


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
    rejected: np.ndarray | None = None,
) -> ChosenContexts | None:
    """The goals, the negatives of the market and the rejected items of groups of sequences.

    A goal is a positive, of weight 1, of each center of its sequence but those that are the goal
    itself. Each sequence draws negatives from the markets of its places; all centers of the group
    that are of the same market share these, but for items of their own sequence. They weigh
    `num_drawn` times as much as the positives of the center. The rejected items of a sequence are
    negatives of its centers alone, and weigh as many times as much as there are columns of them.

    Args:
        items: (G, S, L), -1 for padding.
        goals: (G, S), -1 for none; or None.
        sampler: None draws no negatives.
        num_drawn: negatives drawn for each sequence.
        rng: the generator.
        rejected: (G, S, R) items, -1 for none; or None.
    """
    if goals is None and sampler is None and rejected is None:
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
    if rejected is not None:
        others = _weigh_rejected(items, goals, rejected)
        weights = np.concatenate([weights, np.stack([np.zeros_like(others), others])], axis=3)
        chosen = np.concatenate([chosen, rejected.reshape(groups, -1)], axis=1)
    return ChosenContexts(*map(torch.from_numpy, (chosen, *weights)))


def draw_rejected(
    sequences: np.ndarray, events: Events, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Items that were shown at the events of sequences (W, L), (W, count) int64, -1 for none.

    Each is a random one of those shown with a random event of the sequence that shows some.

    Raises:
        ValueError: the log does not say what was shown.
    """
    if events.shown_offsets is None or events.shown is None:
        raise ValueError(NOTHING_SHOWN)
    shows = (sequences >= 0) & (np.diff(events.shown_offsets)[sequences] > 0)
    first = np.argsort(~shows, axis=1, kind="stable")  # places that show items come first
    which = (rng.random((len(sequences), count)) * shows.sum(axis=1)[:, None]).astype(np.int64)
    event = np.take_along_axis(sequences, np.take_along_axis(first, which, 1), 1)
    low, high = events.shown_offsets[event], events.shown_offsets[event + 1]
    place = low + (rng.random(low.shape) * (high - low)).astype(np.int64)
    has = shows.any(axis=1)[:, None] & (low < high)
    return np.where(has, events.shown[np.where(has, place, 0)], -1).astype(np.int64)


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


def _weigh_rejected(
    items: np.ndarray, goals: np.ndarray | None, rejected: np.ndarray
) -> np.ndarray:
    """Weights of the rejected items (G, S, R) as negatives of each center, (G, C, S * R)."""
    groups, walks, length = items.shape
    is_own = (rejected[..., None] == items[:, :, None, :]).any(axis=3) | (rejected < 0)
    if goals is not None:
        is_own |= rejected == goals[..., None]
    counts = np.maximum((~is_own).sum(axis=2, keepdims=True), 1)
    weights = np.where(is_own, 0.0, rejected.shape[2] / counts)  # (G, S, R)
    found = np.zeros((groups, walks, length, walks, rejected.shape[2]), np.float32)
    for walk in range(walks):
        is_center = items[:, walk, :, None] >= 0
        found[:, walk, :, walk] = is_center * weights[:, walk, None, :]
    return found.reshape(groups, walks * length, -1)


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
