"""Both batch contracts as one: blocks of score matrices with the weights of their cells."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from recsys_lab.data.batch import (
    Batch,
    ChosenContexts,
    GraphBatch,
    HistoryBatch,
    PairBatch,
    TeacherBatch,
    WindowBatch,
    no_chosen,
)

HISTORIES_NEEDED = (
    "data=histories and model=history go together: other models train on data=sequences or "
    "data=pairs"
)
TEACHER_NEEDED = (
    "data=teacher and model=distilled go together: other models train on data=sequences or "
    "data=pairs"
)
GRAPH_NEEDED = (
    "data=graph and model=spectral go together: other models train on data=sequences or data=pairs"
)
Kernel = Literal["auto", "fused", "autograd"]  # what trains a block: see `choose_updater`


class ScoreBlock(NamedTuple):
    """G matrices of R centers by C contexts; a cell counts as a positive, as a negative, or not."""

    centers: Tensor  # (G, R) int64 item ids
    contexts: Tensor  # (G, C) int64
    positive: Tensor  # (G, R, C) weight of the cell as a positive
    negative: Tensor  # (G, R, C) weight of the cell as a negative

    @property
    def num_positives(self) -> Tensor:
        """Weight of all positives, a scalar."""
        return self.positive.sum()

    def penalty(self, center_sizes: Tensor, context_sizes: Tensor) -> Tensor:
        """Squared sizes of the rows (G, R) and columns (G, C), each by the weight of its cells."""
        weight = self.positive + self.negative  # (G, R, C)
        return (weight.sum(2) * center_sizes).sum() + (weight.sum(1) * context_sizes).sum()


LOW_RANK_NEEDED = (
    "low_rank_weight compares what a user has often with what it has less often: use "
    "data=interactions, or low_rank_weight=0"
)


def pairs_or_windows(batch: Batch) -> PairBatch | WindowBatch:
    """The batch, if it is of pairs or of windows.

    Raises:
        ValueError: it is another.
    """
    if isinstance(batch, HistoryBatch):
        raise ValueError(HISTORIES_NEEDED)
    if isinstance(batch, TeacherBatch):
        raise ValueError(TEACHER_NEEDED)
    if isinstance(batch, GraphBatch):
        raise ValueError(GRAPH_NEEDED)
    return batch


def score_block(batch: Batch, *, low_rank: bool = False) -> ScoreBlock:
    """Arrange a batch of either contract for a product of centers and contexts.

    A pair with its negatives is a block of one center; the walks of a group are another. With
    `low_rank` the last context of a pair is its positive of lower weight, which counts as neither
    positive nor negative.
    """
    if low_rank:
        return _with_low_rank(batch)
    batch = pairs_or_windows(batch)
    return _pair_block(batch) if isinstance(batch, PairBatch) else _window_block(batch)


def _pair_block(batch: PairBatch) -> ScoreBlock:
    contexts = torch.cat([batch.contexts[:, None], batch.negatives], dim=1)  # (B, 1 + K)
    weights = batch.weights[:, None, None].expand(-1, 1, contexts.shape[1])  # (B, 1, 1 + K)
    is_positive = torch.zeros_like(weights)
    is_positive[..., 0] = 1
    return ScoreBlock(
        batch.centers[:, None], contexts, weights * is_positive, weights * (1 - is_positive)
    )


def _with_low_rank(batch: Batch) -> ScoreBlock:
    if not isinstance(batch, PairBatch) or batch.low_rank is None:
        raise ValueError(LOW_RANK_NEEDED)
    block, others = _pair_block(batch), batch.low_rank.clamp_min(0)[:, None]
    none = torch.zeros_like(block.positive[..., :1])
    return block._replace(
        contexts=torch.cat([block.contexts, others], dim=1),
        positive=torch.cat([block.positive, none], dim=2),
        negative=torch.cat([block.negative, none], dim=2),
    )


def _window_block(batch: WindowBatch) -> ScoreBlock:
    groups, walks, length = batch.items.shape
    places = batch.items.clamp_min(0).view(groups, walks * length)  # (G, C)
    chosen = batch.chosen or no_chosen(batch)
    band, negative = window_weights(batch)
    positive = torch.zeros_like(negative)
    blocks = positive[:, :, : walks * length].view(groups, walks, length, walks, length)
    blocks.diagonal(dim1=1, dim2=3).copy_(band.permute(0, 2, 3, 1))
    mass = _center_weights(band, chosen)
    return ScoreBlock(
        places,
        torch.cat([places, batch.negatives, chosen.items.clamp_min(0)], dim=1),
        torch.cat([positive, chosen.positive], dim=2),
        torch.cat([negative, mass * chosen.negative], dim=2),
    )


def _center_weights(band: Tensor, chosen: ChosenContexts) -> Tensor:
    """Weight of the positives of each center, (G, C, 1)."""
    return band.sum(-1).flatten(1)[..., None] + chosen.positive.sum(-1, keepdim=True)


def window_weights(batch: WindowBatch) -> tuple[Tensor, Tensor]:
    """Weights of a block's score matrix: a band of positives, the other walks as negatives.

    Row r of a group is the center at place r; column c is the context at place c, then come the
    drawn negatives. A center's own walk holds its positives and never its negatives. A row's
    negatives weigh `num_negatives` times as much as its positives: in expectation the loss of
    word2vec, where each positive draws that many.

    Returns:
        positive weights (G, S, L, L) by walk, and negative weights (G, C, C + K), where S is the
        number of walks of a group and C = S * L; those of chosen contexts are left out.
    """
    _, walks, length = batch.items.shape
    valid = batch.items >= 0  # (G, S, L)
    offsets = torch.arange(length, device=batch.items.device)
    band = batch.distance_weights[(offsets[:, None] - offsets).abs()]  # (L, L)
    positive = band * valid[..., :, None] * valid[..., None, :]  # (G, S, L, L)
    mass = _center_weights(positive, batch.chosen or no_chosen(batch)) * batch.num_negatives
    place = torch.arange(walks * length, device=batch.items.device) // length
    own = torch.zeros(walks * length, batch.column_weights.shape[1], device=place.device)
    own[:, : walks * length] = place[:, None] == place  # (C, C + K)
    negative = batch.column_weights[:, None, :] * (1 - own)
    negative = negative * (mass / negative.sum(-1, keepdim=True).clamp_min(1e-12))
    return positive, negative
