"""Blocks of work handed to all nodes of a Ray cluster; what a lost node had, another one does."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from recsys_lab.compute.counts import count_of
from recsys_lab.compute.ray_cluster import ClusterError
from recsys_lab.compute.threads import CORES

_PATIENCE = 30.0  # seconds until it is told that no node has begun

log = logging.getLogger(__name__)

Block = TypeVar("Block")
Result = TypeVar("Result")


class _Node:
    """A process with all CPUs of a node."""

    def __init__(self, num_threads: int) -> None:
        os.environ[CORES] = str(num_threads)

    def begin(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        """Load what all blocks need."""
        self._work = make()

    def work(self, block: Any) -> Any:
        """Do one of them."""
        return self._work(block)


class NodePool:
    """A process on each node of a cluster, for as long as it is open.

    A node is given a block when it has loaded and done the one before, so that one that is slow, or
    busy with other work, holds up none.

    Args:
        ray: connected.

    Raises:
        ClusterError: no node has a CPU.
    """

    def __init__(self, ray: Any) -> None:
        self._ray, self._has_begun = ray, False
        self._nodes = [_on_node(ray, node) for node in _usable(ray)]
        log.info("working on %s of a Ray cluster", count_of(len(self._nodes), "node"))

    def __enter__(self) -> "NodePool":
        return self

    def __exit__(self, *_: object) -> None:
        for node in self._nodes:
            self._ray.kill(node)

    def map(
        self, make: Callable[[], Callable[[Block], Result]], blocks: Sequence[Block]
    ) -> Iterator[Result]:
        """`make()(block)` of every block, in their order; each node calls `make` once.

        What Ray lends to the function is read-only.

        Args:
            make: picklable.
            blocks: of work.

        Raises:
            ClusterError: no node is left.
            RayTaskError: of Ray; its cause is what a node has raised.
        """
        ray, shared = self._ray, self._ray.put(make)
        todo, early, expected = deque(range(len(blocks))), dict[int, Result](), 0
        idle: list[Any] = []
        running: dict[Any, tuple[Any, int | None]] = {
            node.begin.remote(shared): (node, None) for node in self._nodes
        }
        while expected < len(blocks):
            while idle and todo:
                node, number = idle.pop(), todo.popleft()
                running[node.work.remote(blocks[number])] = node, number
            if not running:
                raise ClusterError("no node of the Ray cluster is left")
            ready = self._first_of(list(running))
            node, done = running.pop(ready)
            try:
                found = ray.get(ready)
            except ray.exceptions.RayTaskError:
                raise
            except ray.exceptions.RayError as error:
                todo.extendleft([] if done is None else [done])
                self._lose(node, type(error).__name__)
                continue
            idle.append(node)
            if done is not None:
                early[done] = found
            while expected in early:
                yield early.pop(expected)
                expected += 1

    def _first_of(self, running: list[Any]) -> Any:
        """The first that is done; it is told where none begins, since others hold all CPUs."""
        ready, _ = self._ray.wait(running, timeout=None if self._has_begun else _PATIENCE)
        if not ready:
            log.warning("no node of the Ray cluster has begun yet: others may hold its CPUs")
            ready, _ = self._ray.wait(running)
        self._has_begun = True
        return ready[0]

    def _lose(self, node: Any, reason: str) -> None:
        self._nodes.remove(node)
        left = count_of(len(self._nodes), "node")
        log.warning("a node of the Ray cluster was lost (%s); %s left", reason, left)


def _usable(ray: Any) -> list[Any]:
    found = [one for one in ray.nodes() if one["Alive"] and one["Resources"].get("CPU", 0) >= 1]
    if not found:
        raise ClusterError("no node of the Ray cluster has a CPU: add one")
    return found


def _on_node(ray: Any, node: Any) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    cpus = int(node["Resources"]["CPU"])
    there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    return ray.remote(num_cpus=cpus, scheduling_strategy=there)(_Node).remote(cpus)
