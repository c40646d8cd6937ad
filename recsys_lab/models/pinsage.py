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


class Projection(nn.Module):
    """A linear layer whose steps suit the learning rate of the tables.

    Its weights start at a deviation of 1 and are scaled by 1 / sqrt(inputs) when they are used, so
    that a step of Adagrad changes an output by about the learning rate, whatever the number of
    inputs (Karras et al., Progressive growing, ICLR 2018, section 4.1).
    """

    def __init__(self, num_inputs: int, num_outputs: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_outputs, num_inputs))
        self.bias = nn.Parameter(torch.zeros(num_outputs))
        self.scale = gain / num_inputs**0.5

    def forward(self, vectors: Tensor) -> Tensor:
        """Vectors (..., outputs) of vectors (..., inputs)."""
        return F.linear(vectors, self.scale * self.weight, self.scale * self.bias)


class Convolution(nn.Module):
    """An item's vector of one layer from those of the layer below: PinSage, algorithm 1."""

    def __init__(self, embedding_dim: int) -> None:
        super().__init__()
        self.message = Projection(embedding_dim, embedding_dim, gain=2**0.5)
        self.combine = Projection(2 * embedding_dim, embedding_dim, gain=2**0.5)

    def messages(self, below: Tensor) -> Tensor:
        """What items (v, D) of the layer below give to those that have them as neighbours."""
        return F.relu(self.message(below))

    def forward(self, own: Tensor, messages: Tensor, neighbours: Tensor, shares: Tensor) -> Tensor:
        """Vectors (n, D), of length one or zero.

        Args:
            own: (n, D), of the items in the layer below.
            messages: (v, D).
            neighbours: (n, T) rows of `messages`.
            shares: (n, T) importance of the neighbours.
        """
        pooled = F.embedding_bag(
            neighbours, messages, mode="sum", per_sample_weights=shares.to(messages.dtype)
        )
        return F.normalize(F.relu(self.combine(torch.cat([own, pooled], dim=1))), dim=1)


class PinSage(nn.Module):
    """Convolutions over the neighbours that short walks visit most, weighted by their visits.

    Ying et al., Graph convolutional neural networks for web-scale recommender systems (KDD 2018).
    A batch needs the vectors of its items, their neighbours, the neighbours of these and so on, and
    computes each of them once. No weight belongs to one item but those of `inputs`, so an item that
    comes later has a vector, too (`new_vectors`). An item without neighbours has one that comes
    from its own input, such as its side information.

    Args:
        inputs: item ids -> vectors (D) of layer 0.
        visited: T neighbours of every item.
        embedding_dim: D.
        layers: number of convolutions.
        zero_start: whether all vectors start at zero.
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
        *,
        zero_start: bool = False,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.layers = nn.ModuleList(Convolution(embedding_dim) for _ in range(layers))
        self.hidden = Projection(embedding_dim, embedding_dim, gain=2**0.5)
        self.output = Projection(embedding_dim, embedding_dim)
        if zero_start:
            nn.init.zeros_(self.output.weight)
        for name, tensor in visited._asdict().items():  # facts of the data, not weights
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, items: Tensor) -> Tensor:
        """Vectors of items of any shape: (..., D)."""
        distinct, place, _ = find_distinct(items, padded=False)
        return F.embedding(place, self._top(self._hidden(distinct, len(self.layers))))

    def can_encode(self, seen: Tensor) -> Tensor:
        """Mask (N,) of the items with a trained input or with neighbours."""
        return self.inputs.can_encode(seen) | (self.shares > 0).any(-1)

    @torch.no_grad()
    def item_vectors(self, items: Tensor | None = None) -> Tensor:
        """The vectors of items (n,), (n, D), without gradients; of all if left out."""
        if items is not None:
            return self(items)
        hidden = self.inputs.item_vectors()
        for layer in self.layers:
            messages = layer.messages(hidden)
            blocks = zip(
                *(x.split(_BLOCK) for x in (hidden, self.neighbours, self.shares)), strict=True
            )
            hidden = torch.cat(
                [layer(own, messages, items, shares) for own, items, shares in blocks]
            )
        return torch.cat([self._top(block) for block in hidden.split(_BLOCK)])

    @torch.no_grad()
    def new_vectors(self, inputs: Tensor, neighbours: Tensor, shares: Tensor) -> Tensor:
        """Vectors (n, D) of items that are not among the N items.

        Args:
            inputs: (n, D) of layer 0; zero for an item of which nothing is known.
            neighbours: (n, T) items of the N.
            shares: (n, T) their importance; those of an item sum to one.
        """
        hidden = inputs
        for number, layer in enumerate(self.layers):
            distinct, place, _ = find_distinct(neighbours, padded=False)
            messages = layer.messages(self._hidden(distinct, number))
            hidden = layer(hidden, messages, place, shares)
        return self._top(hidden)

    def _hidden(self, items: Tensor, layer: int) -> Tensor:
        """Vectors (n, D) of distinct items (n,) in a layer."""
        if layer == 0:
            return self.inputs(items)
        neighbours = self.neighbours[items].long()  # (n, T)
        both = torch.cat([items, neighbours.flatten()])
        distinct, place, _ = find_distinct(both, padded=False)
        below = self._hidden(distinct, layer - 1)
        own, others = place[: len(items)], place[len(items) :].view(neighbours.shape)
        convolve = self.layers[layer - 1]
        messages = convolve.messages(below)
        return convolve(F.embedding(own, below), messages, others, self.shares[items])

    def _top(self, hidden: Tensor) -> Tensor:
        """Vectors that are scored (n, D) of those of the last layer."""
        return self.output(F.relu(self.hidden(hidden)))
