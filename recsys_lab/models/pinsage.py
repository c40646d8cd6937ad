"""Vectors from an item and the items that short walks visit: PinSage."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count, Dimension
from recsys_lab.data.batch import VisitedItems
from recsys_lab.models.distinct import find_distinct
from recsys_lab.models.encoders import Encoder

_BLOCK = 1 << 16  # items whose vectors are computed at a time, where all are asked for
_SLOWNESS = 0.1  # steps of the layers, relative to those of the tables; more and they collapse


class Projection(nn.Module):
    """A linear layer whose steps suit the learning rate of the tables.

    Adagrad moves every weight by about the learning rate at first, so the weights are held large
    and multiplied by a small scale when they are used (Karras et al., Progressive growing of GANs,
    ICLR 2018, section 4.1).

    Args:
        num_inputs: of a vector.
        num_outputs: of its projection.
        zero: whether the weights start at zero, and not as He et al. (ICCV 2015) have them.
    """

    @checked
    def __init__(self, num_inputs: Dimension, num_outputs: Dimension, *, zero: bool) -> None:
        super().__init__()
        self.scale = _SLOWNESS / num_inputs**0.5
        deviation = 0.0 if zero else (2 / num_inputs) ** 0.5 / self.scale
        self.weight = nn.Parameter(deviation * torch.randn(num_outputs, num_inputs))
        self.bias = nn.Parameter(torch.zeros(num_outputs))

    def forward(self, vectors: Tensor) -> Tensor:
        """Vectors (..., outputs) of vectors (..., inputs)."""
        return F.linear(vectors, self.scale * self.weight, self.scale * self.bias)


class Convolution(nn.Module):
    """An item's vector h in one layer from the vectors of the layer below.

    h + c n + W2 relu(W1 [h, n] + b1) + b2, where n is the mean of the neighbours by importance. The
    first two terms are not in the paper: without them all vectors soon become the same, at rates
    that tables need. W2 starts at zero.

    Args:
        embedding_dim: D.
        neighbour_weight: c.
    """

    def __init__(self, embedding_dim: int, neighbour_weight: float) -> None:
        super().__init__()
        self.hidden = Projection(2 * embedding_dim, embedding_dim, zero=False)
        self.output = Projection(embedding_dim, embedding_dim, zero=True)
        self.neighbour_weight = neighbour_weight

    def forward(self, own: Tensor, below: Tensor, neighbours: Tensor, shares: Tensor) -> Tensor:
        """Vectors (n, D).

        Args:
            own: (n, D), of the items in the layer below.
            below: (v, D), vectors of the layer below.
            neighbours: (n, T) rows of `below`.
            shares: (n, T) importance of the neighbours.
        """
        pooled = F.embedding_bag(
            neighbours, below, mode="sum", per_sample_weights=shares.to(below.dtype)
        )
        learned = self.output(F.relu(self.hidden(torch.cat([own, pooled], dim=1))))
        return own + self.neighbour_weight * pooled + learned


class PinSage(nn.Module):
    """Convolutions over the neighbours that short walks visit most, weighted by their visits.

    Ying et al., Graph convolutional neural networks for web-scale recommender systems (KDD 2018),
    with the terms that `Convolution` names. A batch needs the vectors of its items, their
    neighbours, the neighbours of these and so on, and computes each of them once. No weight belongs
    to one item but those of `inputs`, so an item that comes later has a vector, too
    (`new_vectors`). An item without neighbours has one that comes from its own input, such as its
    side information.

    Args:
        inputs: item ids -> vectors (D) of layer 0.
        visited: T neighbours of every item.
        embedding_dim: D.
        layers: number of convolutions.
        neighbour_weight: of the neighbours' mean beside the own vector.
    """

    neighbours: Tensor
    shares: Tensor

    @checked
    def __init__(
        self,
        inputs: Encoder,
        visited: VisitedItems,
        embedding_dim: Dimension,
        layers: Count,
        neighbour_weight: float,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.layers = nn.ModuleList(
            Convolution(embedding_dim, neighbour_weight) for _ in range(layers)
        )
        for name, tensor in visited._asdict().items():  # facts of the data, not weights
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, items: Tensor) -> Tensor:
        """Vectors of items of any shape: (..., D)."""
        distinct, place, _ = find_distinct(items, padded=False)
        return F.embedding(place, self._layer(distinct, len(self.layers)))

    def can_encode(self, seen: Tensor) -> Tensor:
        """Mask (N,) of the items with a trained input or with neighbours."""
        return self.inputs.can_encode(seen) | (self.shares > 0).any(-1)

    @torch.no_grad()
    def item_vectors(self, items: Tensor | None = None) -> Tensor:
        """The vectors of items (n,), (n, D), without gradients; of all if left out."""
        if items is not None:
            return self(items)
        vectors = self.inputs.item_vectors()
        for convolve in self.layers:
            tables = vectors, self.neighbours, self.shares
            blocks = zip(*(table.split(_BLOCK) for table in tables), strict=True)
            vectors = torch.cat(
                [convolve(own, vectors, items, shares) for own, items, shares in blocks]
            )
        return vectors

    @torch.no_grad()
    def new_vectors(self, inputs: Tensor, neighbours: Tensor, shares: Tensor) -> Tensor:
        """Vectors (n, D) of items that are not among the N items.

        Args:
            inputs: (n, D) of layer 0; zero for an item of which nothing is known.
            neighbours: (n, T) items of the N.
            shares: (n, T) their importance; those of an item sum to one.
        """
        distinct, place, _ = find_distinct(neighbours, padded=False)
        vectors = inputs
        for number, convolve in enumerate(self.layers):
            vectors = convolve(vectors, self._layer(distinct, number), place, shares)
        return vectors

    def _layer(self, items: Tensor, number: int) -> Tensor:
        """Vectors (n, D) of distinct items (n,) in a layer."""
        if number == 0:
            return self.inputs(items)
        neighbours = self.neighbours[items]  # (n, T)
        both = torch.cat([items, neighbours.flatten()])
        distinct, place, _ = find_distinct(both, padded=False)
        below = self._layer(distinct, number - 1)
        own, others = place[: len(items)], place[len(items) :].view(neighbours.shape)
        convolve = self.layers[number - 1]
        return convolve(F.embedding(own, below), below, others, self.shares[items])
