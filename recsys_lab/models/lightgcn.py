"""Vectors smoothed over the training graph: LightGCN."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys_lab.data.batch import Neighbours
from recsys_lab.models.encoders import Encoder


class LightGCN(nn.Module):
    """The weighted sum of an item's own vector and of those of its neighbours, hop by hop.

    He et al., LightGCN (SIGIR 2020), equations 3, 4 and 8, with the weights of pairs: layer 0 holds
    the vectors of `inputs`, layer k + 1 is A times layer k, where A_ij = w_ij / sqrt(s_i s_j), w is
    the weight of a pair and s the sum of an item's weights. An item without neighbours keeps its
    own vector alone. The vectors of all items are computed for a batch, whatever its size, by one
    product with A for each layer, and one more for its gradient.

    Args:
        inputs: item ids -> own vectors.
        neighbours: of the N items, symmetric.
        layer_weights: of layer 0, 1, .., L.
    """

    offsets: Tensor
    neighbours: Tensor
    shares: Tensor
    sums: Tensor

    def __init__(
        self, inputs: Encoder, neighbours: Neighbours, layer_weights: Sequence[float]
    ) -> None:
        super().__init__()
        if not layer_weights or not any(layer_weights):
            raise ValueError(f"layer_weights must have one that is not 0, got {layer_weights}")
        self.inputs = inputs
        self.layer_weights = tuple(layer_weights)
        tensors = {"offsets": neighbours.offsets.to(torch.int32), "neighbours": neighbours.items}
        tensors["shares"], tensors["sums"] = normalized_weights(neighbours)
        for name, tensor in tensors.items():  # facts of the data, not weights of the model
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, items: Tensor) -> Tensor:
        """Vectors of items of any shape: (..., D)."""
        return F.embedding(items, self._all())

    def can_encode(self, seen: Tensor) -> Tensor:
        """Mask (N,) of the items with a trained vector, given those seen, or with neighbours."""
        return self.inputs.can_encode(seen) | (self.offsets.diff() > 0)

    @torch.no_grad()
    def item_vectors(self, items: Tensor | None = None) -> Tensor:
        """The vectors of items (n,), (n, D), without gradients; of all if left out."""
        vectors = self._all()
        return vectors if items is None else vectors[items]

    @torch.no_grad()
    def new_vectors(self, inputs: Tensor, neighbours: Tensor, weights: Tensor) -> Tensor:
        """Vectors (n, D) of nodes that training does not know, such as users who came later.

        The vectors of all other nodes are as in training, as if their edges were not changed.

        Args:
            inputs: (n, D) of layer 0; zero for a node of which nothing is known.
            neighbours: (n, T) nodes that training knows, such as the items of a user.
            weights: (n, T) of the edges to them, 0 where there is none.
        """
        own, others = weights.sum(1, keepdim=True), self.sums[neighbours]
        shares = weights / (own * others).sqrt().clamp_min(1e-12)
        below = self.inputs(torch.arange(len(self.sums), device=self.sums.device))
        total, matrix = self.layer_weights[0] * inputs, self._matrix
        for weight in self.layer_weights[1:]:
            mixed = F.embedding_bag(
                neighbours, below, mode="sum", per_sample_weights=shares.to(below.dtype)
            )
            total = total + weight * mixed
            below = _Propagate.apply(below, matrix, (0.0, 1.0))
        return total

    @property
    def _matrix(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.offsets, self.neighbours, self.shares

    def _all(self) -> Tensor:
        """The vectors of all items (N, D)."""
        every = torch.arange(len(self.offsets) - 1, device=self.offsets.device)
        return _Propagate.apply(self.inputs(every), self._matrix, self.layer_weights)


def normalized_weights(neighbours: Neighbours, exponent: float = 0.5) -> tuple[Tensor, Tensor]:
    """w_ij / (s_i s_j) ** exponent of every entry (E,), and s (N,), the sums of rows."""
    offsets, items, weights = neighbours
    owners = torch.repeat_interleave(offsets.diff())
    sums = torch.zeros(len(offsets) - 1, dtype=torch.float64, device=weights.device).index_add_(
        0, owners, weights.double()
    )
    shares = weights / (sums[owners] * sums[items.long()]) ** exponent
    return shares.to(weights.dtype), sums.to(weights.dtype)


def sums_over_neighbours(
    vectors: Tensor, offsets: Tensor, neighbours: Tensor, shares: Tensor
) -> Tensor:
    """(N, D), the sum of the vectors of each item's neighbours, times their shares."""
    # On two cores a fourth of the time of torch's product with a sparse matrix.
    return F.embedding_bag(
        neighbours,
        vectors,
        offsets,
        mode="sum",
        per_sample_weights=shares.to(vectors.dtype),
        include_last_offset=True,
    )


class _Propagate(torch.autograd.Function):
    """sum_k w_k A^k X for a symmetric A, whose gradient is the same sum for the gradient.

    So no layer is kept for the gradient.
    """

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, matrix: Any, weights: tuple[float, ...]) -> Tensor:
        ctx.matrix, ctx.weights = matrix, weights
        offsets, neighbours, shares = matrix
        layer, total = vectors, weights[0] * vectors
        for weight in weights[1:]:
            layer = sums_over_neighbours(layer, offsets, neighbours, shares)
            total.add_(layer, alpha=weight)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _Propagate.apply(grad.contiguous(), ctx.matrix, ctx.weights), None, None
