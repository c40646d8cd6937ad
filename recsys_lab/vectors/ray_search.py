"""The lists of all items, searched on the nodes of a Ray cluster."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from recsys_lab.compute.ray_cluster import connect
from recsys_lab.compute.threads import CORES
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.index import IndexPlan
from recsys_lab.vectors.list_files import Lists
from recsys_lab.vectors.neighbours import search_by

OPTION = "--ray"
LOCAL = "local"  # instead of an address: a cluster on this machine


class NodeSearch:
    """A node that has read the embeddings.

    Args:
        path: of the embeddings.
        k: length of the lists.
        plan: of the index; None for exact search.
        num_threads: of the node.
    """

    def __init__(self, path: Path, k: int, plan: IndexPlan | None, num_threads: int) -> None:
        os.environ[CORES] = str(num_threads)
        self._search = search_by(Embeddings.load(path), k, plan)

    def lists(self, rows: np.ndarray) -> Lists:
        """The lists of items rows (n,)."""
        return self._search(rows.copy())  # Ray lends it read-only


def search_on_ray(address: str) -> Callable[..., Iterator[Lists]]:
    """How `write_neighbours` searches on all nodes of a cluster, which read the same path.

    Args:
        address: auto, host:port, or local to start a cluster here.

    Raises:
        ClusterError: Ray is not installed, or no cluster answers.
    """
    ray = connect(None if address == LOCAL else address, OPTION)

    def search(
        embeddings: Embeddings, k: int, plan: IndexPlan | None, blocks: Iterable[np.ndarray]
    ) -> Iterator[Lists]:
        from ray.util import ActorPool

        path, kept = embeddings.path.resolve(), ray.put(plan)
        nodes = [_on_node(ray, node)(path, k, kept) for node in _usable(ray)]
        try:
            yield from ActorPool(nodes).map(lambda node, rows: node.lists.remote(rows), blocks)
        except ray.exceptions.RayTaskError as error:
            raise VectorsError(f"a node cannot search {path}: {error.cause}") from error
        except ray.exceptions.RayError as error:
            raise VectorsError(
                f"a node was lost ({type(error).__name__}): the same command goes on"
            ) from error
        finally:
            for node in nodes:
                ray.kill(node)

    return search


def _usable(ray: Any) -> list[Any]:
    found = [one for one in ray.nodes() if one["Alive"] and one["Resources"].get("CPU", 0) >= 1]
    if not found:
        raise VectorsError("no node of the Ray cluster has a CPU: add one")
    return found


def _on_node(ray: Any, node: Any) -> Callable[..., Any]:
    """Starts a search that has all CPUs of a node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    cpus = int(node["Resources"]["CPU"])
    there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    actor = ray.remote(num_cpus=cpus, scheduling_strategy=there)(NodeSearch)
    return lambda *values: actor.remote(*values, num_threads=cpus)
