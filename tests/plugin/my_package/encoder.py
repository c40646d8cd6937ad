"""Fixed vectors of the items, such as those of a text model, under a layer that is learned."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from recsys_lab.data.batch import Items
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.skipgram import SkipGram


class FixedEncoder(nn.Module):
    """A linear layer over fixed vectors (N, P), which do not change."""

    def __init__(self, fixed: Tensor, embedding_dim: int) -> None:
        super().__init__()
        self.register_buffer("fixed", fixed, persistent=False)
        self.layer = nn.Linear(fixed.shape[1], embedding_dim, bias=False)

    def forward(self, items: Tensor) -> Tensor:
        """Vectors of items of any shape: (..., D)."""
        return self.layer(self.fixed[items])

    def can_encode(self, seen: Tensor) -> Tensor:
        """Mask (N,) of the items with a meaningful vector: all, cold ones too."""
        return torch.ones_like(seen)

    @torch.no_grad()
    def item_vectors(self, items: Tensor | None = None) -> Tensor:
        """Vectors (n, D) of items (n,), or of all."""
        return self.layer(self.fixed if items is None else self.fixed[items])


def skipgram_fixed(items: Items, *, embedding_dim: int, path: str) -> SkipGram:
    """Skip-gram whose centers are fixed vectors from a .npy file (N, P) under a learned layer."""
    fixed = torch.from_numpy(np.load(Path(path)).astype(np.float32))
    num_items = len(items.degrees)
    if len(fixed) != num_items:
        raise ValueError(f"path must hold {num_items} vectors, one for each item, got {len(fixed)}")
    centers = FixedEncoder(fixed, embedding_dim)
    contexts = IdEncoder(num_items, embedding_dim, init_scale=0.0)
    return SkipGram(centers, contexts, "cosine", popularity=torch.zeros(num_items))
