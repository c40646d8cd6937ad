"""The lists of all items, searched on the nodes of a Ray cluster."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from recsys_lab.compute.ray_cluster import ClusterError, connect
from recsys_lab.compute.ray_nodes import NodePool
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.index import IndexPlan
from recsys_lab.vectors.list_files import Lists
from recsys_lab.vectors.neighbours import search_by

OPTION = "--ray"


def search_on_ray(address: str) -> Callable[..., Iterator[Lists]]:
    """How `write_neighbours` searches on all nodes of a cluster, which read the same path.

    Args:
        address: auto, host:port, or local to start a cluster here.

    Raises:
        ClusterError: Ray is not installed, or no cluster answers.
    """
    ray = connect(address, OPTION)

    def search(
        embeddings: Embeddings, k: int, plan: IndexPlan | None, blocks: list[np.ndarray]
    ) -> Iterator[Lists]:
        path = embeddings.path.resolve()
        try:
            with NodePool(ray) as nodes:
                yield from nodes.map(partial(_open, path, k, plan), blocks)
        except ray.exceptions.RayTaskError as error:
            raise VectorsError(f"a node cannot search {path}: {error.cause}") from error
        except ClusterError as error:  # lists that are there are kept
            raise VectorsError(f"{error}: the same command goes on") from error

    return search


def _open(path: Path, k: int, plan: IndexPlan | None) -> Callable[[np.ndarray], Lists]:
    """What a node searches by; `path` is of the embeddings, `plan` of the index, if it has one."""
    search = search_by(Embeddings.load(path), k, plan)
    return lambda rows: search(rows.copy())  # Ray lends it read-only
