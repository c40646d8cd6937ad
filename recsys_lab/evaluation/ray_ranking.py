"""Ranks of many queries, counted on the nodes of a Ray cluster."""

from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from itertools import pairwise

import numpy as np

from recsys_lab.compute.ray_cluster import ClusterError, connect
from recsys_lab.compute.ray_nodes import NodePool
from recsys_lab.evaluation.rank_counts import (
    QUERY_TILES,
    TILE_QUERIES,
    Targets,
    rank_targets,
    rows_at_a_time,
)
from recsys_lab.evaluation.scorers import ListedScorer, QueryScorer, Scorer, TileScorer
from recsys_lab.evaluation.shown_lists import ShownLists

OPTION = "evaluation.ray"
_BLOCK = TILE_QUERIES * QUERY_TILES  # queries


class RayRanking:
    """Ranks as `rank_targets` does, to the bit where scores are made in tiles or in lists.

    The scorer and the known pairs go to each node once. What is one block of queries is ranked
    here; so are lists that are shown, and a scorer on a GPU.

    Args:
        address: of the cluster: auto, host:port, or local to start one here. It is used when there
            is something for it to rank, until this is closed.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._stack = ExitStack()
        self._nodes: NodePool | None = None

    def __call__(
        self,
        scorer: Scorer,
        targets: Targets,
        lists: ShownLists | None,
        progress: Callable[[int], None],
    ) -> np.ndarray:
        """(R,) filtered mid-ranks.

        Raises:
            ClusterError: no cluster answers, a node cannot rank, or none is left.
        """
        bounds = block_bounds(scorer, targets)
        on_gpu = isinstance(scorer, QueryScorer) and scorer.on_gpu
        if lists is not None or on_gpu or len(bounds) <= 2:
            return rank_targets(scorer, targets, lists, progress)
        ray = connect(self._address, OPTION)
        self._nodes = self._nodes or self._stack.enter_context(NodePool(ray))
        make, ranks = partial(_open, ray.put((scorer, targets))), []
        try:
            for found in self._nodes.map(make, list(pairwise(bounds))):
                ranks.append(found)
                progress(bounds[len(ranks)] - bounds[len(ranks) - 1])
        except ray.exceptions.RayTaskError as error:
            raise ClusterError(f"a node of the Ray cluster cannot rank: {error.cause}") from error
        return np.concatenate(ranks)

    def close(self) -> None:
        """Leave the nodes."""
        self._stack.close()


def block_bounds(scorer: Scorer, targets: Targets) -> list[int]:
    """Bounds of the blocks of queries: 0, .., Q; none cuts a tile, nor a chunk of rows."""
    in_tiles = isinstance(scorer, TileScorer) and scorer.in_tiles
    rows = 1 if in_tiles or isinstance(scorer, ListedScorer) else rows_at_a_time(targets.num_items)
    size = rows * max(1, _BLOCK // rows)
    return [*range(0, len(targets.items), size), len(targets.items)]


def _open(shared: object) -> Callable[[tuple[int, int]], np.ndarray]:
    """What a node ranks by; `shared` refers to the scorer and the targets."""
    import ray

    # arrays that Ray lends are read-only, for which kernels would be compiled anew
    scorer, targets = deepcopy(ray.get(shared))

    def rank(span: tuple[int, int]) -> np.ndarray:
        return rank_targets(scorer, targets.part(*span), None, lambda ranked: None)

    return rank
