"""Encoders turn item ids into vectors."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class IdEncoder(nn.Module):
    """One free vector for each item, in a table whose gradient is sparse.

    Args:
        num_items: N.
        embedding_dim: D.
        init_scale: vectors start uniform in +- init_scale / D; 0 starts at zero, as word2vec does
            with its context vectors.
    """

    def __init__(self, num_items: int, embedding_dim: int, init_scale: float = 0.5) -> None:
        super().__init__()
        if embedding_dim < 1:
            raise ValueError(f"embedding_dim must be >= 1, got {embedding_dim}")
        bound = init_scale / embedding_dim
        table = torch.empty(num_items, embedding_dim).uniform_(-bound, bound)
        self.table = nn.Parameter(table)

    def forward(self, items: Tensor) -> Tensor:
        """Vectors of items of any shape: (..., D)."""
        return F.embedding(items, self.table, sparse=True)

    @torch.no_grad()
    def item_vectors(self) -> Tensor:
        """The vectors of all items, (N, D)."""
        return self.table.detach()
