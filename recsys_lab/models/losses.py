"""Losses: pure functions of scores (logits) and their weights."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

LOGISTIC, SQUARED, MARGIN, SOFTMAX = range(4)


class CellLoss(NamedTuple):
    """A loss over the cells of a block, as the compiled kernels know it."""

    kind: int  # LOGISTIC, SQUARED, MARGIN or SOFTMAX
    setting: float = 0.0  # the margin, or what divides the scores of a softmax


class _WeightedLogistic(torch.autograd.Function):
    """sum(positive * softplus(-s) + negative * softplus(s)) with its gradient in one pass."""

    @staticmethod
    def forward(ctx, logits: Tensor, positive: Tensor, negative: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        total = positive + negative
        # softplus(-s) = softplus(s) - s, so one softplus serves both classes.
        ctx.save_for_backward(torch.sigmoid(logits).mul_(total).sub_(positive))
        return (F.softplus(logits).mul_(total) - positive * logits).sum()

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        (slope,) = ctx.saved_tensors
        return slope * grad, None, None


def logistic_loss(logits: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Binary cross-entropy of logits that carry weight as positives, as negatives, or both.

    Mikolov et al. (NIPS 2013), equation 4. Nothing is clamped: a positive at -20 has a slope of -1.

    Args:
        logits: any shape.
        positive: weight of log sigmoid(s), of the same shape or broadcast to it.
        negative: weight of log sigmoid(-s), likewise.

    Returns:
        The weighted sum, not a mean: updates keep the size they have for single pairs.
    """
    positive, negative = (torch.broadcast_to(w, logits.shape) for w in (positive, negative))
    return _WeightedLogistic.apply(logits, positive, negative)


def squared_loss(scores: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Squared distance of positives to their weight, and of negatives to 0.

    The article's matrix factorisation that regresses the weight of a pair.

    Args:
        scores: any shape.
        positive: weight that a positive is fit to, 0 where there is none; of the same shape.
        negative: weight of the squared score of a negative, likewise.

    Returns:
        The sum.
    """
    return ((positive > 0) * (scores - positive).square() + negative * scores.square()).sum()


def margin_loss(scores: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Margin ranking loss of every positive and the negatives of its row that violate the margin.

    Wu et al. (StarSpace, AAAI 2018), equation 1. A negative violates if it scores more than the
    positive less the margin. The loss of a positive is the mean over its violators, so that one of
    them moves it as far as many. An update of the authors' program takes the first ten of them.

    Args:
        scores: (G, R, C).
        positive: weight of a cell as a positive, (G, R, C).
        negative: weight of a cell in the mean over the violators of its row, (G, R, C).
        margin: of scores.

    Returns:
        The sum over the positives by their weights.
    """
    group, row, column = torch.nonzero(positive, as_tuple=True)  # (M,)
    own = scores[group, row, column][:, None]
    excess = (margin - own + scores[group, row]).clamp_min(0)  # (M, C)
    counted = negative[group, row] * (excess > 0)
    mean = (counted * excess).sum(-1) / counted.sum(-1).clamp_min(1e-12)
    return (positive[group, row, column] * mean).sum()


def softmax_loss(logits: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Negative log-likelihood of every positive against the negatives of its row.

    Args:
        logits: (G, R, C).
        positive: weight of a cell as a positive, (G, R, C).
        negative: weight of a cell as a negative, (G, R, C); over the weight of the row's positives
            it is how often the negative stands in the sum.

    Returns:
        The sum over the positives by their weights.
    """
    mass = positive.sum(-1, keepdim=True).clamp_min(1e-12)
    rest = torch.logsumexp(logits + (negative / mass).clamp_min(1e-30).log(), -1, keepdim=True)
    return (positive * F.softplus(rest - logits)).sum()


def bpr_loss(logits: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """-log sigmoid(positive - negative), the mean over the negatives of a positive's row.

    Rendle et al., BPR (UAI 2009), with all negatives of a row instead of one that is drawn.

    Args:
        logits: (G, R, C).
        positive: weight of a cell as a positive, (G, R, C).
        negative: weight of a cell in the mean of its row, (G, R, C).

    Returns:
        The sum over the positives by their weights. A row without negatives counts for nothing.
    """
    group, row, column = torch.nonzero(positive, as_tuple=True)  # (M,)
    leads = logits[group, row, column][:, None] - logits[group, row]  # (M, C)
    shares = negative / negative.sum(-1, keepdim=True).clamp_min(1e-12)
    mean = (shares[group, row] * F.softplus(-leads)).sum(-1)
    return (positive[group, row, column] * mean).sum()


def low_rank_loss(scores: Tensor, weights: Tensor, margin: float) -> Tensor:
    """sum_b w_b max(0, margin - s_b0 + s_bC): the first context shall lead the last.

    Uber Eats (Jain et al., Food Discovery with Uber Eats: Using Graph Learning, 2019): what a user
    ordered less often ranks below what it ordered often.

    Args:
        scores: (B, 1 + C) of a positive, its negatives and, last, its positive of lower weight.
        weights: (B,), 0 where there is none.
        margin: of scores.
    """
    return (weights * (margin - scores[:, 0] + scores[:, -1]).clamp_min(0)).sum()
