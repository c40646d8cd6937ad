"""Vectors whose inner products are the scores of item pairs, the same kind for every model."""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

Score = Literal["cosine", "dot", "center_context"]


class ScoreVectors(NamedTuple):
    """What a model gives to score pairs: the arguments of `evaluation.scorers.VectorScorer`."""

    queries: Tensor  # (n, D)
    keys: Tensor  # (n, D)
    bias: Tensor  # (n,)
    both_ways: bool


class FieldVectors(NamedTuple):
    """The vectors of the values of one field of side information."""

    name: str
    trained: Tensor  # (V,) bool, values that training meets; the vectors of others are zero
    centers: Tensor  # (V, D)
    contexts: Tensor  # (V, D); zero where contexts are item ids alone
    content: Tensor | None = None  # (V, C) columns that stand behind those (`label_content`)


class SideInfoVectors(NamedTuple):
    """What the vectors of items with side information are pooled from.

    The center vector of an item is the weighted sum of its own vector and of the mean vector of its
    values in each field; so is its context vector. Where the score is a cosine, the weights of
    centers are those of the vector of length one.
    """

    fields: list[FieldVectors]
    center_weights: Tensor  # (N, 1 + F), of the own vector and of each field
    context_weights: Tensor  # (N, 1 + F)
    size_exponent: float | None  # p where features are summed and scaled by size ** -p, else None
    content_weight: float = 0.0  # of the cosine of labels in the score


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


def as_probability(scores: Tensor, score: Score) -> Tensor:
    """Scores (n,) brought into [0, 1]: (1 + s) / 2 of a cosine, else the logistic function."""
    if score == "cosine":
        return ((1 + scores) / 2).clamp(0, 1)
    return torch.sigmoid(scores)
