"""Vectors of nodes that training does not know: users by their items, items by their edges."""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count
from recsys_lab.models.lightgcn import LightGCN
from recsys_lab.models.pinsage import PinSage
from recsys_lab.models.scoring import ScoreVectors, score_vectors
from recsys_lab.models.skipgram import SkipGram

_NEIGHBOURS = 100


@checked
def new_node_vectors(
    net: torch.nn.Module, edges: sparse.csr_matrix, *, group: int, neighbours: Count = _NEIGHBOURS
) -> ScoreVectors:
    """Vectors of n nodes by their neighbours, as those that the net gives its own nodes.

    Args:
        net: trained, with encoders that give new nodes a vector.
        edges: (n, V) weights of the edges to the nodes of the net, such as the events of a user
            with its items.
        group: of the new nodes; 0 items, 1 users.
        neighbours: the heaviest edges of a node that count.

    Raises:
        ValueError: the model has no vectors for new nodes.
    """
    encoders = [getattr(net, name, None) for name in ("centers", "contexts")]
    if not isinstance(net, SkipGram) or not all(
        isinstance(encoder, LightGCN | PinSage) for encoder in encoders
    ):
        raise ValueError(
            "this model has no vectors of users or items that came later: use model=pinsage or "
            "lightgcn, or history.vector=pooled"
        )
    nodes, weights = heaviest(edges, neighbours)
    inputs = weights.new_zeros(len(weights), net.centers.item_vectors(nodes[:0, 0]).shape[1])
    centers, contexts = (
        encoder.new_vectors(inputs, nodes, weights, group)  # type: ignore[union-attr]
        for encoder in encoders
    )
    return score_vectors(centers, contexts, weights.new_zeros(len(weights)), net.score)


def heaviest(edges: sparse.csr_matrix, most: int) -> tuple[Tensor, Tensor]:
    """The heaviest entries of each row, at most so many: columns and values, (n, T) both.

    Places that are left over have column 0 and value 0.
    """
    rows = np.repeat(np.arange(edges.shape[0]), np.diff(edges.indptr))
    order = np.lexsort((edges.indices, -edges.data, rows))
    place = np.arange(len(rows)) - edges.indptr[rows]
    kept = place < most
    shape = edges.shape[0], min(most, max(1, int(np.diff(edges.indptr).max(initial=0))))
    columns, values = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
    where = rows[kept], place[kept]
    columns[where], values[where] = edges.indices[order][kept], edges.data[order][kept]
    return torch.from_numpy(columns), torch.from_numpy(values)
