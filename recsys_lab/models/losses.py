"""Losses: pure functions of scores (logits) and their weights."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


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


def bpr_loss(logits: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """-log sigmoid(positive - negative), the mean over the negatives of a positive's row.

    Rendle et al., BPR (UAI 2009), with all negatives of a row instead of one that is drawn.

    Args:
        logits: (..., C), rows of C cells.
        positive: weights of the positives; 0 for other cells. Few cells of a row are positives.
        negative: weights in the mean of the row; 0 for other cells.

    Returns:
        The sum over positives by their weight. A row without negatives counts for nothing.
    """
    return _pairwise(lambda lead: F.softplus(-lead), logits, positive, negative)


def margin_loss(logits: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """max(0, negative - positive + margin), the mean over the negatives of a positive's row.

    Ying et al., PinSage (KDD 2018), equation 1. The arguments are those of `bpr_loss`.
    """
    return _pairwise(lambda lead: F.relu(margin - lead), logits, positive, negative)


def _pairwise(
    cost: Callable[[Tensor], Tensor], logits: Tensor, positive: Tensor, negative: Tensor
) -> Tensor:
    """Cost of the lead of each positive over each negative of its row."""
    positive, negative = (torch.broadcast_to(w, logits.shape) for w in (positive, negative))
    most = max(1, int((positive > 0).sum(-1).max()))
    weights, places = positive.topk(most, dim=-1)  # (..., P)
    shares = negative / negative.sum(-1, keepdim=True).clamp_min(1e-12)  # (..., C)
    leads = logits.gather(-1, places)[..., None] - logits[..., None, :]  # (..., P, C)
    return torch.einsum("...pc,...p,...c->", cost(leads), weights, shares)
