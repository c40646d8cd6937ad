"""Spectral vectors: leading directions of the training graph, by subspace iteration."""

import torch
from torch import Tensor, nn

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Dimension, Exponent, Penalty, Share
from recsys_lab.data.batch import Batch, GraphBatch
from recsys_lab.models.blocks import GRAPH_NEEDED
from recsys_lab.models.lightgcn import normalized_weights, sums_over_neighbours
from recsys_lab.models.scoring import Score, ScoreVectors, score_vectors

_LEAST_SIZE = 1e-3  # of a direction over that of the largest; float32 leaves noise of smaller ones


class SpectralVectors(nn.Module):
    """Directions of a matrix of the training graph, found by a few steps from random ones.

    The matrix is M = D^-a A D^-a + c m I, with A the weights of pairs, D its sums of rows, and m
    the mean sum of a row of D^-a A D^-a. A step of subspace iteration (Halko, Martinsson and Tropp,
    SIAM Review 2011, algorithm 4.4) takes Z = M Q = U S W' and goes on with Q = U; rows of Q are
    items. After many steps these are the singular vectors of M; the first few keep more of every
    item's surroundings. The vector of an item is

        v_i = n_i ** p * u_i / |u_i| ** l,   u_i = row i of U sqrt(S)

    with n_i one more than the item's number of training pairs. A score is v_i . v_j.

    Args:
        degrees: (N,) training pairs of each item.
        embedding_dim: D.
        degree_exponent: a.
        self_weight: c.
        length_exponent: l; 1 compares directions, 0 leaves the lengths.
        popularity_exponent: p.
    """

    score: Score = "dot"
    sizes: Tensor
    degrees: Tensor

    @checked
    def __init__(
        self,
        degrees: Tensor,
        embedding_dim: Dimension,
        *,
        degree_exponent: Exponent,
        self_weight: Penalty,
        length_exponent: Share,
        popularity_exponent: Exponent,
    ) -> None:
        super().__init__()
        self.degree_exponent = degree_exponent
        self.self_weight = self_weight
        self.length_exponent = length_exponent
        self.popularity_exponent = popularity_exponent
        num_seen = int((degrees > 0).sum())
        start = torch.randn(len(degrees), embedding_dim)
        start.mul_((degrees > 0)[:, None]).div_(max(num_seen, 1) ** 0.5)  # almost orthonormal
        self.basis = nn.Parameter(start)
        self.register_buffer("sizes", torch.ones(embedding_dim))  # (D,), S
        self.register_buffer("degrees", degrees, persistent=False)

    def begin(self, frequencies: object) -> None:
        """Nothing is to be made ready; see `SelfUpdatingNet`."""

    @torch.no_grad()
    def update(self, batch: Batch, rate: float) -> tuple[Tensor, Tensor]:
        """One step of subspace iteration; returns what `loss` does, of before it."""
        product, left = self._multiply(batch)
        values, turns = torch.linalg.eigh((product.T @ product).double())  # ascending
        sizes = values.flip(0).clamp_min(0).sqrt()  # (D,)
        is_there = sizes > _LEAST_SIZE * sizes[0]
        scales = torch.where(is_there, 1 / sizes, 0.0)
        torch.mm(product, (turns.flip(1) * scales).to(product.dtype), out=self.basis.data)
        self.sizes.copy_(sizes * is_there)
        return left, torch.ones_like(left)

    @torch.no_grad()
    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Share of the matrix's sum of squares that the directions so far leave out, and 1.

        It is exact after the first step; random directions are not orthonormal.

        Raises:
            ValueError: the batch is not the training graph.
        """
        _, left = self._multiply(batch)
        return left, torch.ones_like(left)

    def _multiply(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """M Q (N, D), and the share of M's sum of squares that Q leaves out."""
        if not isinstance(batch, GraphBatch):
            raise ValueError(GRAPH_NEEDED)
        offsets, items, _ = batch.neighbours
        shares, _ = normalized_weights(batch.neighbours, self.degree_exponent)  # (E,)
        num_seen = (offsets.diff() > 0).sum().clamp_min(1)
        own = self.self_weight * shares.sum() / num_seen
        product = sums_over_neighbours(self.basis.data, offsets.to(items.dtype), items, shares)
        product.add_(self.basis.data * own)
        squares = shares.square().sum() + own.square() * num_seen
        return product, (1 - product.square().sum() / squares).clamp_min(0)

    @torch.no_grad()
    def score_vectors(self, items: Tensor | None = None) -> ScoreVectors:
        """Vectors whose inner products are the scores among items (n,); all if left out."""
        some = slice(None) if items is None else items
        rows = self.basis[some] * self.sizes.sqrt()  # (n, D)
        # Columns of the basis have length 1, so this is the mean of squared lengths over items.
        mean_square = self.sizes.sum() / (self.degrees > 0).sum().clamp_min(1)
        rows = rows / mean_square.sqrt().clamp_min(1e-12)
        scales = (1 + self.degrees[some]) ** self.popularity_exponent
        scales = scales / rows.norm(dim=1).clamp_min(1e-6) ** self.length_exponent  # (n,)
        vectors = rows * scales[:, None]
        return score_vectors(vectors, vectors, vectors.new_zeros(len(vectors)), self.score)

    def can_score(self, seen: Tensor) -> Tensor:
        """Mask (N,): an item that training never met has no vector of meaning."""
        return seen

    def probability(self, scores: Tensor) -> Tensor:
        """Scores (n,) brought into [0, 1] by the logistic function, which keeps their order."""
        return torch.sigmoid(scores)
