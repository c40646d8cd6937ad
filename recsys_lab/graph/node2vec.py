"""Second-order walks (node2vec) by rejection: no table beyond those of first-order walks.

Grover and Leskovec, node2vec (KDD 2016), section 3.2: having come to v from t, the next item x is a
neighbour of v with probability ~ a(t, x) * weight(v, x), where a is 1 / p if x = t, 1 if x is a
neighbour of t, and 1 / q otherwise. A candidate from the first-order alias table is accepted with
probability ~ a (Yang et al., KnightKing, SOSP 2019).
"""

import numpy as np
from numba import njit

from recsys_lab.graph.counter import GOLDEN, mix64, permute_index, stream_key
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.walks import check_walks, num_walks

_PURPOSE = 7  # keeps this stream apart from other streams of the same seed
_MAX_TRIALS = 32  # rejected candidates before the step is drawn by going through the neighbours
_TWO, _THREE = (np.uint64(n * int(GOLDEN) % 2**64) for n in (2, 3))
_SAMPLED_PLACES = 4_000_000  # of which frequencies are counted


@njit(cache=True, nogil=True, inline="always")
def _uniform(bits: np.uint64) -> float:
    """A number in [0, 1) from the upper 53 bits."""
    return np.float64(bits >> np.uint64(11)) * 2.0**-53


@njit(cache=True, nogil=True)
def _find(indices: np.ndarray, low: int, high: int, item: int) -> int:
    """Slot of an item in the sorted indices[low:high], or -1."""
    end = high
    while low < high:
        middle = (low + high) >> 1
        if indices[middle] < item:
            low = middle + 1
        else:
            high = middle
    return low if low < end and indices[low] == item else -1


@njit(cache=True, nogil=True)
def _bias(
    indptr: np.ndarray, indices: np.ndarray, before: int, item: int, back: float, out: float
) -> float:
    """a(before, item), with `back` = 1 / p and `out` = 1 / q."""
    if item == before:
        return back
    return 1.0 if _find(indices, indptr[before], indptr[before + 1], item) >= 0 else out


@njit(cache=True, nogil=True)
def _draw_exactly(
    indptr: np.ndarray,
    indices: np.ndarray,
    weights: np.ndarray,
    before: int,
    here: int,
    back: float,
    out: float,
    coin: float,
) -> int:
    """The next item by two passes over the neighbours; only after many rejections."""
    total = 0.0
    for slot in range(indptr[here], indptr[here + 1]):
        total += weights[slot] * _bias(indptr, indices, before, indices[slot], back, out)
    left = coin * total
    for slot in range(indptr[here], indptr[here + 1]):
        left -= weights[slot] * _bias(indptr, indices, before, indices[slot], back, out)
        if left < 0:
            return indices[slot]
    return indices[indptr[here + 1] - 1]


@njit(cache=True, nogil=True)
def _try_step(
    indptr: np.ndarray,
    indices: np.ndarray,
    weights: np.ndarray,
    strength: np.ndarray,
    before: int,
    candidate: int,
    here: int,
    back: float,
    out: float,
    coins: tuple[float, float],
) -> int:
    """The candidate, the item before, or -1 for another trial.

    The bound is max(1, 1 / q). Where 1 / p lies above it, the surplus of the way back is drawn as
    an outcome of its own, so that a small p does not make every other candidate unlikely.
    """
    bound = max(1.0, out)
    if back > bound:
        slot = _find(indices, indptr[here], indptr[here + 1], before)
        surplus = weights[slot] * (back - bound)
        if coins[1] * (surplus + bound * strength[here]) < surplus:
            return before
        back = bound
    bias = _bias(indptr, indices, before, candidate, back, out)
    return candidate if coins[0] * bound < bias else -1


@njit(cache=True, nogil=True)
def _draw_first_order(
    indptr: np.ndarray,
    indices: np.ndarray,
    tables: tuple[np.ndarray, np.ndarray],
    here: int,
    bits: np.uint64,
) -> int:
    """A neighbour with probability ~ weight."""
    threshold, alias = tables
    degree = np.uint64(indptr[here + 1] - indptr[here])
    slot = indptr[here] + np.int64(((bits >> np.uint64(32)) * degree) >> np.uint64(32))
    coin = np.float32(bits & np.uint64(0xFFFFFF)) * np.float32(2.0**-24)
    return indices[slot] if coin < threshold[slot] else alias[slot]


@njit(cache=True, nogil=True)
def _walk_block(
    indptr: np.ndarray,
    indices: np.ndarray,
    weights: np.ndarray,
    strength: np.ndarray,
    tables: tuple[np.ndarray, np.ndarray],
    start_items: np.ndarray,
    key: np.uint64,
    first: int,
    num_walks: int,
    back: float,
    out: float,
    walks: np.ndarray,
) -> None:
    """Fill walks (W, L) with walk numbers first .. first + W - 1 of an epoch."""
    for row in range(walks.shape[0]):
        number = first + row
        here = start_items[permute_index(number, num_walks, key) % len(start_items)]
        state = mix64(key ^ mix64(np.uint64(number) + GOLDEN)) + GOLDEN
        walks[row, 0] = here
        before, here = here, _draw_first_order(indptr, indices, tables, here, mix64(state))
        walks[row, 1] = here
        for place in range(2, walks.shape[1]):
            item = -1
            for _ in range(_MAX_TRIALS):
                candidate = _draw_first_order(indptr, indices, tables, here, mix64(state + GOLDEN))
                coins = _uniform(mix64(state + _TWO)), _uniform(mix64(state + _THREE))
                state += _THREE
                item = _try_step(
                    indptr, indices, weights, strength, before, candidate, here, back, out, coins
                )
                if item >= 0:
                    break
            if item < 0:
                state += GOLDEN
                item = _draw_exactly(
                    indptr, indices, weights, before, here, back, out, _uniform(mix64(state))
                )
            before, here = here, item
            walks[row, place] = item


def node2vec_walks(
    graph: ItemGraph,
    walks_per_item: int,
    walk_length: int,
    *,
    p: float,
    q: float,
    seed: int,
    epoch: int = 0,
    first: int = 0,
    count: int | None = None,
) -> np.ndarray:
    """Draw second-order walks with exact transition probabilities.

    With p = q = 1 they follow the distribution of `random_walks`. As there, walk number w of an
    epoch is the same whichever block it is drawn in.

    Args:
        graph: the training graph.
        walks_per_item: walks that start at each item in an epoch.
        walk_length: items in a walk, the start included.
        p: return parameter, > 0: a large p makes it unlikely to go straight back.
        q: in-out parameter, > 0: a large q keeps the walk near the item before.
        seed: seed of the stream.
        epoch: number of the epoch.
        first: number of the first walk to draw.
        count: how many walks to draw; the rest of the epoch if left out.

    Returns:
        (W, L) int32 item ids.

    Raises:
        ValueError: an argument is out of range, or the graph has no pair to walk along.
    """
    for name, value in (("p", p), ("q", q)):
        if not 0 < value < np.inf:
            raise ValueError(f"data.{name} must be > 0 and finite, got {value}")
    count = check_walks(graph, walks_per_item, walk_length, first, count)
    walks = np.empty((count, walk_length), np.int32)
    _walk_block(
        graph.indptr,
        graph.indices,
        graph.weights,
        graph.strength,
        graph.alias,
        graph.start_items,
        stream_key(seed, epoch, _PURPOSE),
        first,
        num_walks(graph, walks_per_item),
        1.0 / p,
        1.0 / q,
        walks,
    )
    return walks


def estimated_frequencies(
    graph: ItemGraph, walk_length: int, *, p: float, q: float, seed: int
) -> np.ndarray:
    """Share of each item among all places of the walks, counted; (N,) float64, sums to 1.

    Unlike the first order, the second has no short formula: the state is a pair of items. A fixed
    sample of one to ten walks from every item is counted instead, so that every item that has a
    neighbour occurs.
    """
    places = max(1, len(graph.start_items) * walk_length)
    walks_per_item = int(np.clip(_SAMPLED_PLACES // places, 1, 10))
    walks = node2vec_walks(graph, walks_per_item, walk_length, p=p, q=q, seed=seed)
    counts = np.bincount(walks.ravel(), minlength=len(graph))
    return counts / counts.sum()
