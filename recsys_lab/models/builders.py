"""One builder for each model: from plain numbers in a configuration to a network."""

import torch
from torch import Tensor

from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.scoring import Score
from recsys_lab.models.skipgram import SkipGram


def skipgram(
    num_items: int,
    degrees: Tensor,
    *,
    embedding_dim: int,
    score: Score,
    popularity_weight: float,
) -> SkipGram:
    """Skip-gram on item ids alone (word2vec).

    Args:
        num_items: N.
        degrees: (N,) training pairs of each item, for the popularity term of the score.
        embedding_dim: D.
        score: see `SkipGram`.
        popularity_weight: see `SkipGram`.
    """
    return SkipGram(
        centers=IdEncoder(num_items, embedding_dim),
        contexts=IdEncoder(num_items, embedding_dim, init_scale=0.0),
        score=score,
        popularity=popularity_weight * torch.log1p(degrees.float()),
    )
