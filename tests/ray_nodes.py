"""A Ray cluster of several nodes in one machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STORE = 80 * 2**20  # bytes of objects of a node


@contextmanager
def ray_nodes(count: int) -> Iterator[Any]:
    """A head that runs nothing, and so many nodes with one CPU each."""
    import ray
    from ray.cluster_utils import Cluster

    found = Cluster(True, head_node_args={"num_cpus": 0, "object_store_memory": STORE})
    try:
        for _ in range(count):
            found.add_node(num_cpus=1, object_store_memory=STORE)
        yield found
    finally:
        ray.shutdown()
        found.shutdown()
