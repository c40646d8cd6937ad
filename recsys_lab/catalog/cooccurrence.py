"""Events to weighted pairs of items that occur together."""

import logging

import numpy as np

from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.ordering import first_places
from recsys_lab.readers.pair_options import PairOptions
from recsys_lab.readers.records import Events

log = logging.getLogger(__name__)

_MANY = 10**8  # pairs of places; more get a warning
_BLOCK = 1 << 25  # pairs of places looked at between two returns to Python


def cooccurrence_pairs(
    events: Events, num_items: int, options: PairOptions, mask: np.ndarray | None = None
) -> ItemPairs:
    """Pairs of items of one session, of one user, or of one window.

    By session and by user an item weighs the sum of its events there, and the pair of items a and b
    gains sqrt(weight of a * weight of b) from each session or user; with events of weight 1 that
    come once, it counts sessions. By window each two places of different items at most `window`
    apart add the same of their two events.

    The order of work is that of rows of the result, so memory holds the result alone, whatever
    the number of places that are looked at.

    Args:
        events: the log, E events.
        num_items: N.
        options: which items form a pair.
        mask: (E,) bool, the events that count, all without it; the others take no places.
    """
    groups, items, weights = _places(events, options, mask)
    reach = options.window if options.by == "window" else options.max_distance
    begins, ends = _neighbourhoods(groups, reach)
    starts = first_places(items, num_items)
    by_item = np.argsort(items, kind="stable").astype(np.int32)
    work = np.concatenate([[0], np.cumsum((ends - begins)[by_item], dtype=np.int64)])[starts]
    if work[-1] // 2 > _MANY:
        log.warning(
            "%s pairs of places are looked at, which may take much memory: lower "
            "catalog.pairs.window= or catalog.pairs.max_distance=, or use catalog.pairs.by=session",
            f"{work[-1] // 2:,}",
        )
    roots = np.sqrt(weights)
    parts = [
        _pairs_of_rows(low, high, starts, by_item, items, roots, begins, ends, room)
        for low, high, room in _blocks(work)
    ]
    heads, tails, sums = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return ItemPairs(heads, tails, sums, num_items)


def why_no_pairs(events: Events, options: PairOptions, mask: np.ndarray | None = None) -> str:
    """What the events lack, and the remedy, where `cooccurrence_pairs` finds none."""
    by_user = PairOptions("user", options.window, options.max_distance)
    if options.by != "user" and (np.diff(_places(events, by_user, mask)[0]) == 0).any():
        return f"no {options.by} of events holds two different items: set pairs.by=user"
    return "no user has two different items: give a longer log"


def _places(
    events: Events, options: PairOptions, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group, item and weight of each place; groups ascend."""
    groups = events.user if options.by == "user" else events.session
    chosen = slice(None) if mask is None else mask
    groups, items, weights = groups[chosen], events.item[chosen], events.weight[chosen]
    if options.by == "window":
        return groups, items, weights.astype(np.float64)
    return _distinct(groups, items, weights)


def _distinct(
    groups: np.ndarray, items: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct items of each group in the order of their first place, with summed weights."""
    order = np.lexsort((items, groups))  # stable: equal items of a group keep their order
    is_first = np.ones(len(order), bool)
    same_group = groups[order[1:]] == groups[order[:-1]]
    is_first[1:] = ~same_group | (items[order[1:]] != items[order[:-1]])
    firsts = np.flatnonzero(is_first)
    summed = np.zeros(len(order))
    if len(firsts):
        summed[order[firsts]] = np.add.reduceat(weights[order], firsts, dtype=np.float64)
    kept = np.sort(order[firsts])
    return groups[kept], items[kept], summed[kept]


def _neighbourhoods(groups: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """First and end of the places around each one: of its group, at most `reach` away."""
    places = np.arange(len(groups))
    is_first = np.diff(groups, prepend=-1) != 0
    begins = np.maximum.accumulate(np.where(is_first, places, 0))
    lasts = np.append(is_first[1:], True)[: len(groups)]
    ends = np.minimum.accumulate(np.where(lasts, places + 1, len(groups))[::-1])[::-1]
    return np.maximum(begins, places - reach), np.minimum(ends, places + reach + 1)


def _blocks(work: np.ndarray) -> list[tuple[int, int, int]]:
    """Rows low .. high - 1 and the most pairs that they can have, for blocks of bounded work.

    `work` (N + 1,) is the number of places looked at before each item.
    """
    num_items, blocks, low = len(work) - 1, [], 0
    while low < num_items:
        high = int(np.searchsorted(work, work[low] + _BLOCK, side="right")) - 1
        high = min(max(high, low + 1), num_items)
        most = np.minimum(np.diff(work[low : high + 1]), num_items - 1 - np.arange(low, high))
        blocks.append((low, high, int(most.sum())))
        low = high
    return blocks or [(0, 0, 0)]


@jit()
def _pairs_of_rows(
    low: int,
    high: int,
    starts: np.ndarray,
    by_item: np.ndarray,
    items: np.ndarray,
    roots: np.ndarray,
    begins: np.ndarray,
    ends: np.ndarray,
    room: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs whose head is low .. high - 1, at most `room`; roots (places,) of the weights."""
    num_items = len(starts) - 1
    heads, tails = np.empty(room, np.int32), np.empty(room, np.int32)
    sums = np.empty(room, np.float32)
    row = np.zeros(num_items)  # weights of the pairs of one head
    met = np.empty(num_items, np.int32)
    total = 0
    for head in range(low, high):
        count = 0
        for k in range(starts[head], starts[head + 1]):
            place = by_item[k]
            for other in range(begins[place], ends[place]):
                tail = items[other]
                if tail > head:
                    if row[tail] == 0:
                        met[count] = tail
                        count += 1
                    row[tail] += roots[place] * roots[other]
        met[:count].sort()
        for k in range(count):
            tail = met[k]
            heads[total], tails[total], sums[total] = head, tail, row[tail]
            row[tail] = 0
            total += 1
    return heads[:total].copy(), tails[:total].copy(), sums[:total].copy()
