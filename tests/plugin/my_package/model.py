"""Skip-gram with one table of vectors for centers and contexts."""

import torch

from recsys_lab.data.batch import Items
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.skipgram import SkipGram


def skipgram_tied(items: Items, *, embedding_dim: int, l2: float) -> SkipGram:
    """Skip-gram whose items have the same vector in both roles."""
    num_items = len(items.degrees)
    encoder = IdEncoder(num_items, embedding_dim)
    return SkipGram(encoder, encoder, "dot", popularity=torch.zeros(num_items), l2=l2)
