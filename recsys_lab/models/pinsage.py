"""Vectors from a node and the nodes that short walks visit: PinSage."""

from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import MinLen
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


class GroupProjections(nn.Module):
    """h + W h + b, where W and b are those of the group of a node and start at zero.

    Uber Eats (Jain et al., Food Discovery with Uber Eats: Using Graph Learning, 2019) project the
    inputs of each type of node for itself.

    Args:
        embedding_dim: D.
        firsts: id of the first node of each group behind the items.
    """

    def __init__(self, embedding_dim: int, firsts: Sequence[int]) -> None:
        super().__init__()
        self.firsts = tuple(firsts)
        self.projections = nn.ModuleList(
            Projection(embedding_dim, embedding_dim, zero=True) for _ in range(len(firsts) + 1)
        )

    def forward(self, vectors: Tensor, nodes: Tensor) -> Tensor:
        """Projected vectors (n, D) of nodes (n,)."""
        firsts = torch.tensor(self.firsts, device=nodes.device)
        group_of = torch.searchsorted(firsts, nodes, right=True)
        found = vectors
        for group, project in enumerate(self.projections):
            places = torch.nonzero(group_of == group)[:, 0]
            found = found.index_add(0, places, project(vectors[places]))
        return found


class PinSage(nn.Module):
    """Convolutions over the neighbours that short walks visit most, weighted by their visits.

    Ying et al., Graph convolutional neural networks for web-scale recommender systems (KDD 2018),
    with the terms that `Convolution` names. A batch needs the vectors of its items, their
    neighbours, the neighbours of these and so on, and computes each of them once. No weight belongs
    to one item but those of `inputs`, so an item that comes later has a vector, too
    (`new_vectors`). An item without neighbours has one that comes from its own input, such as its
    side information. Users are items in this, with a projection of their own.

    Args:
        inputs: item ids -> vectors (D) of layer 0.
        visited: T neighbours of every item.
        embedding_dim: D.
        num_neighbours: neighbours of an item that count at each hop from it, at most T; there is a
            convolution for each hop.
        neighbour_weight: of the neighbours' mean beside the own vector.
        group_firsts: of groups of nodes beside the items; without any, inputs are not projected.
    """

    neighbours: Tensor
    shares: Tensor

    @checked
    def __init__(
        self,
        inputs: Encoder,
        visited: VisitedItems,
        embedding_dim: Dimension,
        num_neighbours: Annotated[Sequence[Count], MinLen(1)],
        neighbour_weight: float,
        group_firsts: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.inputs = inputs
        self.layers = nn.ModuleList(
            Convolution(embedding_dim, neighbour_weight) for _ in num_neighbours
        )
        self.num_neighbours = tuple(num_neighbours)
        self.projections = GroupProjections(embedding_dim, group_firsts) if group_firsts else None
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
        every = torch.arange(len(self.neighbours), device=self.neighbours.device).split(_BLOCK)
        vectors = torch.cat([self._input(block) for block in every])
        for number, convolve in enumerate(self.layers, 1):
            vectors = torch.cat(
                [
                    convolve(vectors[block], vectors, *self._nearest(block, number))
                    for block in every
                ]
            )
        return vectors

    @torch.no_grad()
    def new_vectors(
        self, inputs: Tensor, neighbours: Tensor, weights: Tensor, group: int = 0
    ) -> Tensor:
        """Vectors (n, D) of nodes that training does not know, such as users who came later.

        Args:
            inputs: (n, D) of layer 0; zero for a node of which nothing is known.
            neighbours: (n, T) nodes that training knows, such as the items of a user.
            weights: (n, T) their importance, descending, 0 where there is none.
            group: of the new nodes; 0 items, 1 the first group beside them.
        """
        distinct, place, _ = find_distinct(neighbours, padded=False)
        vectors = inputs
        if self.projections is not None:
            vectors = inputs + self.projections.projections[group](inputs)
        for number, convolve in enumerate(self.layers):
            nearest = self._first(place, weights, number + 1)
            vectors = convolve(vectors, self._layer(distinct, number), *nearest)
        return vectors

    def _input(self, items: Tensor) -> Tensor:
        """Vectors (n, D) of distinct items (n,) in layer 0."""
        vectors = self.inputs(items)
        return vectors if self.projections is None else self.projections(vectors, items)

    def _nearest(self, items: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Neighbours (n, t) of items (n,) that count in a layer, and their shares."""
        neighbours, shares = self.neighbours[items], self.shares[items]
        if self.num_neighbours[len(self.layers) - number] >= neighbours.shape[1]:
            return neighbours, shares  # they sum to one
        return self._first(neighbours, shares, number)

    def _first(self, neighbours: Tensor, weights: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Those of neighbours (n, T) that count in a layer, (n, t), and their shares."""
        count = self.num_neighbours[len(self.layers) - number]
        neighbours, weights = neighbours[:, :count], weights[:, :count]
        return neighbours, weights / weights.sum(1, keepdim=True).clamp_min(1e-12)

    def _layer(self, items: Tensor, number: int) -> Tensor:
        """Vectors (n, D) of distinct items (n,) in a layer."""
        if number == 0:
            return self._input(items)
        neighbours, shares = self._nearest(items, number)  # (n, t)
        both = torch.cat([items, neighbours.flatten()])
        distinct, place, _ = find_distinct(both, padded=False)
        below = self._layer(distinct, number - 1)
        own, others = place[: len(items)], place[len(items) :].view(neighbours.shape)
        return self.layers[number - 1](F.embedding(own, below), below, others, shares)
