"""The whole training graph as the only batch of an epoch."""

import torch

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Exponent
from recsys_lab.data.batch import GraphBatch, Neighbours
from recsys_lab.data.batch_module import BatchDataModule
from recsys_lab.graph.graph import ItemGraph


class GraphDataModule(BatchDataModule):
    """The training graph, once an epoch.

    Args:
        graph: of the training pairs.
        weight_exponent: a pair weighs its weight ** weight_exponent.
    """

    num_batches = 1
    num_workers = 0

    @checked
    def __init__(self, graph: ItemGraph, *, weight_exponent: Exponent) -> None:
        super().__init__()
        raised = graph.raised(weight_exponent)
        rows = (raised.indptr, raised.indices, raised.weights)
        neighbours = Neighbours(*(torch.from_numpy(part) for part in rows))
        self._batch = GraphBatch(neighbours, num_trained=len(graph.start_items))
        self.frequencies = graph.degrees / max(graph.degrees.sum(), 1)

    def draw(self, epoch: int, number: int) -> GraphBatch:
        """The graph."""
        return self._batch
