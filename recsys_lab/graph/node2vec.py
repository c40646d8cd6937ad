"""Second-order walks (node2vec) by rejection: no table for pairs of pairs.

Grover and Leskovec, node2vec (KDD 2016), section 3.2: having come to v from t, the next item x is a
neighbour of v with probability ~ a(t, x) * weight(v, x), where a is 1 / p if x = t, 1 if x is a
neighbour of t, and 1 / q otherwise. A candidate from the first-order alias table is accepted with
probability ~ a (Yang et al., KnightKing, SOSP 2019).
"""

import numpy as np

from recsys_lab.graph.counter import stream_key
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.node2vec_kernel import walk_block
from recsys_lab.graph.walks import draw_walks, num_walks

_PURPOSE = 7  # keeps this stream apart from other streams of the same seed
_SAMPLED_PLACES = 4_000_000  # of which frequencies are counted
_COUNTED_WALKS = 1 << 18  # at a time


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
    epoch is the same whichever block it is drawn in, on however many threads.

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
    arrays = (graph.indptr, graph.indices, graph.weights)
    totals, tables, pairs = (graph.strength, graph.peak), graph.tables, graph.pair_set
    key = stream_key(seed, epoch, _PURPOSE)

    def fill(first: int, total: int, walks: np.ndarray) -> None:
        walk_block(
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
