"""Random walks as a pure function of (graph, seed, epoch, walk number)."""

from collections.abc import Callable

import numpy as np

from recsys_lab.compute.checks import checked
from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import even_bounds, run_blocks
from recsys_lab.compute.prefetch import prefetch
from recsys_lab.compute.ranges import Count, WalkLength
from recsys_lab.graph.counter import GOLDEN, mix64, permute_index, stream_key
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.rows import multiply
from recsys_lab.graph.slots import slot_item, slot_place

LANES = 256  # walks in flight: their cache misses overlap
_BLOCK = 1 << 19  # places that a thread draws at a time; less stays in the calling thread
_PURPOSE = 1  # keeps the stream of walks apart from other streams of the same seed


@jit()
def _walk_block(
    rows: np.ndarray,
    slots: np.ndarray,
    bits: np.uint64,
    start_items: np.ndarray,
    key: np.uint64,
    first: int,
    num_walks: int,
    walks: np.ndarray,
) -> None:
    """Fill walks (W, L) with walk numbers first .. first + W - 1 of an epoch."""
    state, random = np.empty(LANES, np.uint64), np.empty(LANES, np.uint64)
    here, places = np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    for low in range(0, walks.shape[0], LANES):
        lanes = min(LANES, walks.shape[0] - low)
        for lane in range(lanes):
            number = first + low + lane
            item = start_items[permute_index(number, num_walks, key) % len(start_items)]
            prefetch(rows, item)
            here[lane] = walks[low + lane, 0] = item
            state[lane] = mix64(key ^ mix64(np.uint64(number) + GOLDEN))
        for step in range(1, walks.shape[1]):
            # Two passes, so that the loads of all lanes are in flight together.
            for lane in range(lanes):
                state[lane] += GOLDEN
                random[lane] = mix64(state[lane])
                places[lane] = slot_place(rows[here[lane]], random[lane])
                prefetch(slots, places[lane])
            for lane in range(lanes):
                item = slot_item(slots[places[lane]], random[lane], bits)
                prefetch(rows, item)
                here[lane] = walks[low + lane, step] = item


def walk_key(seed: int, epoch: int) -> np.uint64:
    """The key of the walks of an epoch."""
    return stream_key(seed, epoch, _PURPOSE)


def num_walks(graph: ItemGraph, walks_per_item: int) -> int:
    """Number of walks in an epoch: each item that has a neighbour starts `walks_per_item`."""
    return walks_per_item * len(graph.start_items)


@checked
def draw_walks(
    fill: Callable[[int, int, np.ndarray], None],
    graph: ItemGraph,
    walks_per_item: Count,
    walk_length: WalkLength,
    first: int,
    count: int | None,
) -> np.ndarray:
    """Check the arguments that all kinds of walks share (`random_walks`), and draw the walks.

    `fill(first, num_walks, walks)` fills walks (W, L) with the walk numbers from `first` of an
    epoch of `num_walks`. It releases the interpreter lock; many walks are drawn on all cores.
    """
    if len(graph.start_items) == 0:
        raise ValueError("the graph has no pairs, so there is nothing to walk along")
    total = num_walks(graph, walks_per_item)
    count = total - first if count is None else min(count, total - first)
    if first < 0 or count < 1:
        raise ValueError(f"walks {first} .. are outside an epoch of {total} walks")
    walks = np.empty((count, walk_length), np.int32)
    bounds = even_bounds(count, walks.size // _BLOCK)
    run_blocks(lambda low, high: fill(first + low, total, walks[low:high]), bounds)
    return walks


def random_walks(
    graph: ItemGraph,
    walks_per_item: Count,
    walk_length: WalkLength,
    *,
    seed: int,
    epoch: int = 0,
    first: int = 0,
    count: int | None = None,
) -> np.ndarray:
    """Draw first-order walks: each step goes to a neighbour with probability ~ pair weight.

    Perozzi et al., DeepWalk (KDD 2014), on a weighted graph. An epoch starts `walks_per_item` walks
    at every item that has a neighbour, in a random order; walk number w of an epoch is the same
    whichever block it is drawn in, on however many threads.

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
    rows, slots, bits = graph.tables
    key = walk_key(seed, epoch)

    def fill(first: int, total: int, walks: np.ndarray) -> None:
        _walk_block(rows, slots, bits, graph.start_items, key, first, total, walks)

    return draw_walks(fill, graph, walks_per_item, walk_length, first, count)


def expected_frequencies(graph: ItemGraph, walk_length: int) -> np.ndarray:
    """Share of each item among all places of the walks, in expectation; (N,) float64, sums to 1.

    The start distribution, uniform over the items that have a neighbour, pushed along the
    transition matrix walk_length - 1 times, averaged over the places. The weights are symmetric, so
    a push is their product with the distribution over the sums of the rows.
    """
    strength = graph.strength
    place = np.zeros(len(graph))
    place[graph.start_items] = 1.0 / len(graph.start_items)
    total = place.copy()
    for _ in range(walk_length - 1):
        share = np.divide(place, strength, out=np.zeros_like(place), where=strength > 0)
        place = multiply(graph.indptr, graph.indices, graph.weights, share)
        total += place
    return total / total.sum()
