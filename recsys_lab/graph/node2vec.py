"""Second-order walks (node2vec) by rejection: no table for pairs of pairs.

Grover and Leskovec, node2vec (KDD 2016), section 3.2: having come to v from t, the next item x is a
neighbour of v with probability ~ a(t, x) * weight(v, x), where a is 1 / p if x = t, 1 if x is a
neighbour of t, and 1 / q otherwise. A candidate from the first-order alias table is accepted with
probability ~ a (Yang et al., KnightKing, SOSP 2019).
"""

import numpy as np

from recsys_lab.compute.checks import checked
from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.prefetch import prefetch
from recsys_lab.compute.ranges import Count, WalkBias, WalkLength
from recsys_lab.compute.sorted_rows import find_in_row
from recsys_lab.graph.counter import GOLDEN, mix64, permute_index, stream_key
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.pair_set import bucket_start, look_up, mix_pair
from recsys_lab.graph.slots import slot_item, slot_place
from recsys_lab.graph.walks import LANES, draw_walks, num_walks

_PURPOSE = 7  # of a stream; streams of one seed differ by it
_SAMPLED_PLACES = 4_000_000  # of which frequencies are counted
_COUNTED_WALKS = 1 << 18  # at a time
_MAX_TRIALS = 32  # rejected candidates before the step is drawn by going through the neighbours
_TWO, _THREE = (np.uint64(n * int(GOLDEN) % 2**64) for n in (2, 3))
_REJECTED, _OPEN = -1, -2  # in place of the next item: to try again, to look up
_LANE = np.dtype(
    [
        ("state", np.uint64),  # of the stream of random numbers
        ("random", np.uint64),  # of the candidate; then its pair with the item before, mixed
        ("slot", np.int64),  # of the candidate
        ("before", np.int32),
        ("here", np.int32),
        ("candidate", np.int32),
        ("next", np.int32),  # the next item, or a verdict
        ("row", np.int32),  # of the walk, in the block
        ("place", np.int32),  # to fill next
        ("trials", np.int32),
    ]
)
Arrays = tuple[np.ndarray, ...]
Words = tuple[np.ndarray, np.uint64]


@jit(inline="always")
def _uniform(bits: np.uint64) -> float:
    """A number in [0, 1) from the upper 53 bits."""
    return np.float64(bits >> np.uint64(11)) * 2.0**-53


@jit()
def _bias(graph: Arrays, before: int, item: int, back: float, out: float) -> float:
    """a(before, item), with `back` = 1 / p and `out` = 1 / q."""
    if item == before:
        return back
    return 1.0 if find_in_row(graph[0], graph[1], before, item) >= 0 else out


@jit()
def _draw_exactly(
    graph: Arrays, before: int, here: int, back: float, out: float, coin: float
) -> int:
    """The next item by two passes over the neighbours; only after many rejections."""
    indptr, indices, weights = graph
    total = 0.0
    for slot in range(indptr[here], indptr[here + 1]):
        total += weights[slot] * _bias(graph, before, indices[slot], back, out)
    left = coin * total
    for slot in range(indptr[here], indptr[here + 1]):
        left -= weights[slot] * _bias(graph, before, indices[slot], back, out)
        if left < 0:
            return indices[slot]
    return indices[indptr[here + 1] - 1]


@jit()
def _start(
    lanes: np.ndarray,
    number: int,
    row: int,
    first: int,
    num_walks: int,
    start_items: np.ndarray,
    key: np.uint64,
    walks: np.ndarray,
) -> None:
    """Start the walk of a row in a lane."""
    lane = lanes[number]
    here = start_items[permute_index(first + row, num_walks, key) % len(start_items)]
    lane.state = mix64(key ^ mix64(np.uint64(first + row) + GOLDEN))
    lane.before = lane.here = walks[row, 0] = here
    lane.row, lane.place, lane.trials = row, 1, 0


@jit()
def _propose(lanes: np.ndarray, rows: np.ndarray, slots: np.ndarray) -> None:
    """Find the slot of each lane's candidate."""
    for number in range(len(lanes)):
        lane = lanes[number]
        lane.random = mix64(lane.state + GOLDEN)
        lane.slot = slot_place(rows[lane.here], lane.random)
        prefetch(slots, lane.slot)


@jit()
def _judge(
    lanes: np.ndarray,
    graph: Arrays,
    totals: Arrays,
    tables: tuple[np.ndarray, np.ndarray, np.uint64],
    pairs: Words,
    back: float,
    out: float,
) -> None:
    """Accept candidates with probability a / bound, if that needs no search.

    The bound is max(1, 1 / q). If 1 / p is above it, the surplus of the way back is an outcome of
    its own, of mass weight * excess beside bound * strength, so that a small p does not make every
    other candidate unlikely. Mostly the row's peak is enough to see that it is not drawn.
    """
    indptr, indices, weights = graph
    strength, peak = totals
    _, slots, bits = tables
    words, rest_bits = pairs
    bound, sure = max(1.0, out), min(1.0, out)
    excess = back - bound
    for number in range(len(lanes)):
        lane = lanes[number]
        item = slot_item(slots[lane.slot], lane.random, bits)
        lane.candidate = lane.next = item
        if lane.place == 1:  # of first order
            lane.state += GOLDEN
            continue
        if excess > 0:
            coin = _uniform(mix64(lane.state + _THREE))
            if coin * bound < peak[lane.here] * excess * (1.0 - coin):
                surplus = weights[find_in_row(indptr, indices, lane.here, lane.before)] * excess
                if coin * (surplus + bound * strength[lane.here]) < surplus:
                    lane.next = lane.before
                    lane.state += _THREE
                    continue
        coin = _uniform(mix64(lane.state + _TWO)) * bound
        lane.state += _THREE
        if item == lane.before:
            if coin >= back:
                lane.next = _REJECTED
        elif coin >= sure:
            lane.next = _OPEN
            lane.random = mix_pair(lane.before, item, bits)
            prefetch(words, bucket_start(lane.random, rest_bits))


@jit()
def _settle(
    lanes: np.ndarray,
    graph: Arrays,
    tables: tuple[np.ndarray, np.ndarray, np.uint64],
    peak: np.ndarray,
    pairs: Words,
    back: float,
    out: float,
    walks: np.ndarray,
    done: np.ndarray,
) -> int:
    """Decide on the open candidates; lanes that have a next item go a step.

    Returns:
        number of walks that are complete; `done` lists their lanes.
    """
    indptr, indices, _ = graph
    words, rest_bits = pairs
    ended = 0
    for number in range(len(lanes)):
        lane = lanes[number]
        if lane.place == walks.shape[1]:  # no walk is left for it
            continue
        item = lane.next
        if item == _OPEN:
            known = look_up(words, lane.random, rest_bits)
            if known < 0:
                known = find_in_row(indptr, indices, lane.before, lane.candidate) >= 0
            item = lane.candidate if (known == 1) == (out < 1.0) else _REJECTED
        if item == _REJECTED:
            lane.trials += 1
            if lane.trials < _MAX_TRIALS:
                continue
            lane.state += GOLDEN
            coin = _uniform(mix64(lane.state))
            item = _draw_exactly(graph, lane.before, lane.here, back, out, coin)
        prefetch(tables[0], item)
        prefetch(peak, item)
        walks[lane.row, lane.place] = item
        lane.before, lane.here, lane.trials = lane.here, item, 0
        lane.place += 1
        if lane.place == walks.shape[1]:
            done[ended] = number
            ended += 1
    return ended


@jit()
def _walk_block(
    graph: Arrays,
    totals: Arrays,
    tables: tuple[np.ndarray, np.ndarray, np.uint64],
    pairs: Words,
    start_items: np.ndarray,
    key: np.uint64,
    first: int,
    num_walks: int,
    back: float,
    out: float,
    walks: np.ndarray,
) -> None:
    """Fill walks (W, L) with walk numbers first .. first + W - 1 of an epoch.

    The arrays of the graph are those of `node2vec_walks`; `back` is 1 / p and `out` is 1 / q.
    """
    lanes = np.empty(min(LANES, walks.shape[0]), _LANE)
    done = np.arange(len(lanes))
    started, left, ended = 0, walks.shape[0], len(lanes)
    while left > 0:
        for number in done[:ended]:
            if started < walks.shape[0]:
                _start(lanes, number, started, first, num_walks, start_items, key, walks)
                started += 1
        # Three passes, so that the loads of all lanes are in flight together.
        _propose(lanes, tables[0], tables[1])
        _judge(lanes, graph, totals, tables, pairs, back, out)
        ended = _settle(lanes, graph, tables, totals[1], pairs, back, out, walks, done)
        left -= ended


@checked
def node2vec_walks(
    graph: ItemGraph,
    walks_per_item: Count,
    walk_length: WalkLength,
    *,
    p: WalkBias,
    q: WalkBias,
    seed: int,
    epoch: int = 0,
    first: int = 0,
    count: int | None = None,
) -> np.ndarray:
    """Draw second-order walks with exact transition probabilities.

    With p = q = 1 they follow the distribution of `random_walks`, whose other arguments, result and
    errors these are. `p` is the return parameter, > 0: a large one makes it unlikely to go straight
    back. `q` is the in-out parameter, > 0: a large one keeps the walk near the item before.
    """
    arrays = (graph.indptr, graph.indices, graph.weights)
    totals, tables, pairs = (graph.strength, graph.peak), graph.tables, graph.pair_set
    key = stream_key(seed, epoch, _PURPOSE)

    def fill(first: int, total: int, walks: np.ndarray) -> None:
        _walk_block(
            arrays, totals, tables, pairs, graph.start_items,
            key, first, total, 1.0 / p, 1.0 / q, walks,
        )  # fmt: skip

    return draw_walks(fill, graph, walks_per_item, walk_length, first, count)


def estimated_frequencies(
    graph: ItemGraph, walk_length: int, *, p: float, q: float, seed: int
) -> np.ndarray:
    """Share of each item among all places of the walks, counted; (N,) float64, sums to 1.

    Unlike the first order, the second has no short formula: the state is a pair of items. A fixed
    sample of one to ten walks from every item is counted instead, so that every item that has a
    neighbour occurs.
    """
    places = max(1, len(graph.start_items) * walk_length)
    per_item = int(np.clip(_SAMPLED_PLACES // places, 1, 10))
    counts = np.zeros(len(graph), np.int64)
    for first in range(0, num_walks(graph, per_item), _COUNTED_WALKS):
        walks = node2vec_walks(
            graph, per_item, walk_length, p=p, q=q, seed=seed, first=first, count=_COUNTED_WALKS
        )
        counts += np.bincount(walks.ravel(), minlength=len(graph))
    return counts / counts.sum()
