"""Vectors whose inner products are the scores of item pairs, the same kind for every model."""

from typing import Literal, NamedTuple, get_args

from torch import Tensor
from torch.nn import functional as F

Score = Literal["cosine", "dot", "center_context"]


class ScoreVectors(NamedTuple):
    """What a model gives to score pairs: the arguments of `evaluation.scorers.VectorScorer`."""

    queries: Tensor  # (n, D)
    keys: Tensor  # (n, D)
    bias: Tensor  # (n,)
    both_ways: bool


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
