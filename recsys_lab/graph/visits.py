"""The items that short walks from each item visit most often: PinSage's neighbours."""

import numpy as np

from recsys_lab.compute.checks import checked
from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import even_bounds, run_blocks
from recsys_lab.compute.ranges import Count
from recsys_lab.graph.counter import GOLDEN, mix64, stream_key
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.slots import slot_item, slot_place

_BLOCK = 1 << 10  # items that a thread takes at a time
_PURPOSE = 5  # keeps the stream of these walks apart from other streams of the same seed


@jit()
def _visit_block(
    rows: np.ndarray,
    slots: np.ndarray,
    bits: np.uint64,
    key: np.uint64,
    num_steps: int,
    first: int,
    limit: int,
    visits: np.ndarray,
    neighbours: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Fill neighbours and counts (n, T) of the items from `first`; `visits` has W * S places.

    Items from `limit` on are no neighbours.
    """
    for place in range(len(neighbours)):
        item = first + place
        if rows[item] & np.uint64((1 << 24) - 1) == 0:  # no neighbour
            continue
        state = mix64(key ^ mix64(np.uint64(item) + GOLDEN))
        num_visits = 0
        for visit in range(len(visits)):
            if visit % num_steps == 0:
                here = item
            state += GOLDEN
            random = mix64(state)
            here = slot_item(slots[slot_place(rows[here], random)], random, bits)
            if here != item and here < limit:
                visits[num_visits] = here
                num_visits += 1
        ordered = np.sort(visits[:num_visits])
        start = 0
        for end in range(1, num_visits + 1):
            if end == num_visits or ordered[end] != ordered[start]:
                _keep(ordered[start], end - start, neighbours[place], counts[place])
                start = end


@jit(inline="always")
def _keep(item: int, count: int, neighbours: np.ndarray, counts: np.ndarray) -> None:
    """Put an item among the most visited (T,), which descend; the earlier one stays ahead."""
    place = len(counts)
    while place > 0 and counts[place - 1] < count:
        place -= 1
    if place == len(counts):
        return
    for behind in range(len(counts) - 1, place, -1):
        neighbours[behind], counts[behind] = neighbours[behind - 1], counts[behind - 1]
    neighbours[place], counts[place] = item, count


@checked
def most_visited(
    graph: ItemGraph,
    num_neighbours: Count,
    walks_per_item: Count,
    num_steps: Count,
    *,
    seed: int,
    later: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The T items that first-order walks from each item visit most often, without the item itself.

    Ying et al., PinSage (KDD 2018), section 3.2. A pair of large weight counts for much, and so
    does an item that many paths lead to. Of items with as many visits, the smaller id comes first.

    Args:
        graph: the training graph.
        num_neighbours: T.
        walks_per_item: walks that start at each item.
        num_steps: steps of a walk.
        seed: seed of the walks.
        later: None, or the first of the items that came later. Then the rows are those of these
            items alone, and their neighbours are earlier items; walks pass later ones, too.

    Returns:
        (N, T) int32 items, by visits, and (N, T) float32 shares of their visits, which sum to 1.
        Places that are left over have item 0 and share 0, as has an item without neighbours.
    """
    rows, slots, bits = graph.tables
    key = stream_key(seed, _PURPOSE)
    first, limit = (0, len(graph)) if later is None else (later, later)
    neighbours = np.zeros((len(graph) - first, num_neighbours), np.int32)
    counts = np.zeros((len(graph) - first, num_neighbours), np.float32)

    def visit(low: int, high: int) -> None:
        visits = np.empty(walks_per_item * num_steps, np.int32)
        _visit_block(
            rows, slots, bits, key, num_steps, first + low, limit, visits,
            neighbours[low:high], counts[low:high],
        )  # fmt: skip

    run_blocks(visit, even_bounds(len(counts), len(counts) // _BLOCK))
    total = counts.sum(axis=1, keepdims=True)
    np.divide(counts, total, out=counts, where=total > 0)
    return neighbours, counts
