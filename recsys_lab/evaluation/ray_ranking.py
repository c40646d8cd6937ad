"""Ranks of many queries, counted on the nodes of a Ray cluster."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from recsys_lab.compute.ray_cluster import check_ray, connect
from recsys_lab.compute.ray_nodes import LOCAL, map_on_nodes
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


@dataclass(frozen=True)
class RayRanking:
    """Ranks as `rank_targets` does, to the bit where scores are made in tiles or in lists.

    The scorer and the known pairs go to each node once. What is one block of queries is ranked
    here; so are lists that are shown, and a scorer on a GPU.

    Attributes:
        address: of the cluster: auto, host:port, or local to start one here.

    Raises:
        ClusterError: Ray is not installed; when called, no cluster answers, or no node is left.
    """

    address: str

    def __post_init__(self) -> None:
        check_ray(OPTION)

    def __call__(
        self,
        scorer: Scorer,
        targets: Targets,
        lists: ShownLists | None,
        progress: Callable[[int], None],
    ) -> np.ndarray:
        """(R,) filtered mid-ranks."""
        bounds = block_bounds(scorer, targets)
        on_gpu = isinstance(scorer, QueryScorer) and scorer.on_gpu
        if lists is not None or on_gpu or len(bounds) <= 2:
            return rank_targets(scorer, targets, lists, progress)
        ray = connect(None if self.address == LOCAL else self.address, OPTION)
        shared = ray.put((scorer, targets))
        spans, ranks = list(pairwise(bounds)), []
        for (low, high), found in zip(
            spans, map_on_nodes(ray, partial(_open, shared), spans), strict=True
        ):
            ranks.append(found)
            progress(high - low)
        return np.concatenate(ranks)


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
