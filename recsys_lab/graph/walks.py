"""Random walks as a pure function of (graph, seed, epoch, walk number)."""

import numpy as np
from numba import njit

from recsys_lab.graph.counter import GOLDEN, mix64, permute_index, stream_key
from recsys_lab.graph.graph import ItemGraph

_LANES = 256  # walks in flight: their cache misses overlap
_PURPOSE = 1  # keeps the stream of walks apart from other streams of the same seed


@njit(cache=True, nogil=True)
def _walk_block(
    indptr: np.ndarray,
    indices: np.ndarray,
    threshold: np.ndarray,
    alias: np.ndarray,
    start_items: np.ndarray,
    key: np.uint64,
    first: int,
    num_walks: int,
    walks: np.ndarray,
) -> None:
    """Fill walks (W, L) with walk numbers first .. first + W - 1 of an epoch."""
    length = walks.shape[1]
    state = np.empty(_LANES, np.uint64)
    slots = np.empty(_LANES, np.int64)
    coins = np.empty(_LANES, np.float32)
    for low in range(0, walks.shape[0], _LANES):
        lanes = min(_LANES, walks.shape[0] - low)
        for lane in range(lanes):
            number = first + low + lane
            place = permute_index(number, num_walks, key)
            walks[low + lane, 0] = start_items[place % len(start_items)]
            state[lane] = mix64(key ^ mix64(np.uint64(number) + GOLDEN))
        for step in range(1, length):
            # Two passes, so that the loads of all lanes are in flight together.
            for lane in range(lanes):
                state[lane] += GOLDEN
                bits = mix64(state[lane])
                item = walks[low + lane, step - 1]
                degree = np.uint64(indptr[item + 1] - indptr[item])
                slots[lane] = indptr[item] + np.int64(
                    ((bits >> np.uint64(32)) * degree) >> np.uint64(32)
                )
                coins[lane] = np.float32(bits & np.uint64(0xFFFFFF)) * np.float32(2.0**-24)
            for lane in range(lanes):
                slot = slots[lane]
                keep = coins[lane] < threshold[slot]
                walks[low + lane, step] = indices[slot] if keep else alias[slot]


def num_walks(graph: ItemGraph, walks_per_item: int) -> int:
    """Number of walks in an epoch: each item that has a neighbour starts `walks_per_item`."""
    return walks_per_item * len(graph.start_items)


def check_walks(
    graph: ItemGraph, walks_per_item: int, walk_length: int, first: int, count: int | None
) -> int:
    """Number of walks to draw, at most `count` of those from `first` to the end of the epoch.

    Raises:
        ValueError: an argument is out of range, or the graph has no pair to walk along.
    """
    if walk_length < 2:
        raise ValueError(f"walk_length must be >= 2, got {walk_length}")
    if walks_per_item < 1:
        raise ValueError(f"walks_per_item must be >= 1, got {walks_per_item}")
    if len(graph.start_items) == 0:
        raise ValueError("the graph has no pairs, so there is nothing to walk along")
    total = num_walks(graph, walks_per_item)
    count = total - first if count is None else min(count, total - first)
    if first < 0 or count < 1:
        raise ValueError(f"walks {first} .. are outside an epoch of {total} walks")
    return count


def random_walks(
    graph: ItemGraph,
    walks_per_item: int,
    walk_length: int,
    *,
    seed: int,
    epoch: int = 0,
    first: int = 0,
    count: int | None = None,
) -> np.ndarray:
    """Draw first-order walks: each step goes to a neighbour with probability ~ pair weight.

    Perozzi et al., DeepWalk (KDD 2014), on a weighted graph. An epoch starts `walks_per_item` walks
    at every item that has a neighbour, in a random order; walk number w of an epoch is the same
    whichever block it is drawn in.

    Args:
        graph: the training graph.
        walks_per_item: walks that start at each item in an epoch.
        walk_length: items in a walk, the start included.
        seed: seed of the stream.
        epoch: number of the epoch; every epoch has walks of its own.
        first: number of the first walk to draw.
        count: how many walks to draw; the rest of the epoch if left out.

    Returns:
        (W, L) int32 item ids.

    Raises:
        ValueError: an argument is out of range, or the graph has no pair to walk along.
    """
    count = check_walks(graph, walks_per_item, walk_length, first, count)
    total = num_walks(graph, walks_per_item)
    walks = np.empty((count, walk_length), np.int32)
    key = stream_key(seed, epoch, _PURPOSE)
    threshold, alias = graph.alias
    _walk_block(
        graph.indptr, graph.indices, threshold, alias, graph.start_items, key, first, total, walks
    )
    return walks


def expected_frequencies(graph: ItemGraph, walk_length: int) -> np.ndarray:
    """Share of each item among all places of the walks, in expectation; (N,) float64, sums to 1.

    The start distribution, uniform over the items that have a neighbour, pushed along the
    transition matrix walk_length - 1 times, averaged over the places.
    """
    place = np.zeros(len(graph))
    place[graph.start_items] = 1.0 / len(graph.start_items)
    total = place.copy()
    backward = graph.transition.T.tocsr()
    for _ in range(walk_length - 1):
        place = backward @ place
        total += place
    return total / total.sum()
