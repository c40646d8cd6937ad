"""Scores of item pairs as inner products, so that every model is evaluated in one way."""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

Score = Literal["cosine", "dot", "center_context"]


class ScoreVectors(NamedTuple):
    """score(i, j) = queries[i] . keys[j] + bias[i] + bias[j], the same for (j, i).

    Where both ways count, the product is the mean of that and queries[j] . keys[i].
    """

    queries: Tensor  # (n, D)
    keys: Tensor  # (n, D)
    bias: Tensor  # (n,)
    both_ways: bool

    def pairs(self, heads: Tensor, tails: Tensor) -> Tensor:
        """Scores of pairs of places (P,) in these vectors, (P,)."""
        inner = torch.einsum("pd,pd->p", self.queries[heads], self.keys[tails])
        if self.both_ways:
            inner = (inner + torch.einsum("pd,pd->p", self.queries[tails], self.keys[heads])) / 2
        return inner + self.bias[heads] + self.bias[tails]


def score_vectors(centers: Tensor, contexts: Tensor, bias: Tensor, score: Score) -> ScoreVectors:
    """Arrange center and context vectors (n, D) so that inner products are the chosen score.

    - "cosine": of the center vectors (the article's).
    - "dot": of the center vectors.
    - "center_context": center . context, averaged over both directions: what training fits.
    """
    if score == "cosine":
        unit = F.normalize(centers, dim=-1)
        return ScoreVectors(unit, unit, bias, both_ways=False)
    if score == "dot":
        return ScoreVectors(centers, centers, bias, both_ways=False)
    if score == "center_context":
        return ScoreVectors(centers, contexts, bias, both_ways=True)
    raise ValueError(f"score must be one of {', '.join(get_args(Score))}, got {score}")
