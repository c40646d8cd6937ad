"""Scorers: what the protocol evaluates, and the one for vectors."""

from typing import Protocol, TypeGuard

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

PAIRS_PER_CHUNK = 16_384  # 2 x 16 MB of gathered vectors at 256 dimensions
_UNIT_ERROR = 1e-4  # of the length of a vector that float32 divided by its length


class Scorer(Protocol):
    """A symmetric score of two items; higher means more related."""

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) scores of the pairs (heads[p], tails[p]); NaN where a pair cannot be scored."""
        ...

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) float32 scores of every item for each query; NaN where it cannot be scored."""
        ...


class VectorScorer:
    """score(i, j) = <query_i, key_j> + bias_i + bias_j.

    Scores have to be symmetric: queries and keys are the same vectors, or `both_ways` is set.

    Args:
        queries: (N, D) vectors; they stay on their device, in float32.
        keys: (N, D) vectors.
        bias: (N,) or None.
        both_ways: take the mean of <query_i, key_j> and <query_j, key_i> for the product.
        scorable: (N,) bool; a pair with an end that is False scores NaN. None: all are.

    Raises:
        ValueError: shapes disagree, or a vector or a possible score is not finite, also of items
            that are not scorable. Such a score would look like one of a pair without a score.
    """

    def __init__(
        self,
        queries: Tensor | np.ndarray,
        keys: Tensor | np.ndarray,
        bias: Tensor | np.ndarray | None = None,
        both_ways: bool = False,
        scorable: Tensor | np.ndarray | None = None,
    ) -> None:
        self.queries = torch.as_tensor(queries).detach().float()  # (N, D)
        self.keys = torch.as_tensor(keys).detach().float()  # (N, D)
        self.both_ways = both_ways
        num_items, device = len(self.queries), self.queries.device
        bias = torch.zeros(num_items) if bias is None else bias
        scorable = torch.ones(num_items) if scorable is None else scorable
        self.bias = torch.as_tensor(bias, device=device).detach().float()
        self.scorable = torch.as_tensor(scorable, device=device, dtype=torch.bool)
        self._check()
        # (N,) NaN where an item, and so every pair with it, has no score
        self._offset = torch.where(self.scorable, self.bias, torch.nan)

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) scores, computed in chunks so that memory does not grow with D."""
        scores = np.empty(len(heads), np.float32)
        for start in range(0, len(heads), PAIRS_PER_CHUNK):
            chunk = slice(start, start + PAIRS_PER_CHUNK)
            head, tail = self._ids(heads[chunk]), self._ids(tails[chunk])
            # `embedding` gathers rows several times faster than an index does
            values = (F.embedding(head, self.queries) * F.embedding(tail, self.keys)).sum(-1)
            if self.both_ways:
                back = F.embedding(tail, self.queries) * F.embedding(head, self.keys)
                values = (values + back.sum(-1)) / 2
            values += self._offset[head] + self._offset[tail]  # (chunk,)
            scores[chunk] = values.cpu().numpy()
        return scores

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) scores; the caller bounds Q."""
        ids = self._ids(queries)
        # addmm_ adds the products to the biases in place: every further pass over (Q, N) is slow
        scores = self._offset[ids, None] + self._offset  # (Q, N)
        share = 0.5 if self.both_ways else 1.0
        scores.addmm_(self.queries[ids], self.keys.T, alpha=share)
        if self.both_ways:
            scores.addmm_(self.keys[ids], self.queries.T, alpha=share)
        return scores.cpu().numpy()

    def _ids(self, items: np.ndarray) -> Tensor:
        return torch.tensor(items, dtype=torch.int64, device=self.queries.device)

    def _check(self) -> None:
        """Shapes agree, and no score can overflow float32."""
        num_items, dim = self.queries.shape
        if self.keys.shape != self.queries.shape:
            raise ValueError(
                f"queries {tuple(self.queries.shape)} and keys {tuple(self.keys.shape)} must agree"
            )
        for name, values in (("bias", self.bias), ("scorable", self.scorable)):
            if values.shape != (num_items,):
                raise ValueError(f"{name} must be ({num_items},), got {tuple(values.shape)}")
        bound = dim * _largest(self.queries, "queries") * _largest(self.keys, "keys")
        bound += 2 * _largest(self.bias, "bias")
        if bound > torch.finfo(torch.float32).max:
            raise ValueError(f"scores may reach {bound:.3g} and overflow; rescale the vectors")


def has_another_cosine(scorer: Scorer) -> TypeGuard[VectorScorer]:
    """Whether it has vectors whose cosine is another score than its own."""
    if not isinstance(scorer, VectorScorer):
        return False
    lengths = scorer.queries.norm(dim=1)  # (N,)
    is_unit = bool(((lengths - 1.0).abs() <= _UNIT_ERROR)[scorer.scorable].all())
    is_plain = scorer.queries.data_ptr() == scorer.keys.data_ptr() and not scorer.both_ways
    return not (is_plain and is_unit and not scorer.bias.any())


def cosine_scorer(scorer: Scorer) -> VectorScorer | None:
    """Score by the cosine of the plain item vectors, which are the queries of a `VectorScorer`.

    It can score the items that the scorer can. A vector of zeros has a cosine of 0 with all.

    Returns:
        None where the scorer has no vectors, or is that cosine itself.
    """
    if not has_another_cosine(scorer):
        return None
    unit = F.normalize(scorer.queries, dim=1)
    return VectorScorer(unit, unit, scorable=scorer.scorable)


def _largest(values: Tensor, name: str) -> float:
    """Largest absolute value; NaN and infinity are refused."""
    low, high = map(float, torch.aminmax(values))  # NaN if any value is
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} hold NaN or infinite values: training diverged, or a bad file")
    return max(-low, high)
