"""Skip-gram with negative sampling over either batch contract."""

import torch
from torch import Tensor, nn

from recsys_lab.data.batch import Batch, PairBatch, WindowBatch
from recsys_lab.models.losses import logistic_loss
from recsys_lab.models.scoring import Score, ScoreVectors, score_vectors


def window_weights(batch: WindowBatch) -> tuple[Tensor, Tensor]:
    """Weights of a block's score matrix: a band of positives, the other walks as negatives.

    Row r of a group is the center at place r; column c is the context at place c, then come the
    drawn negatives. A center's own walk holds its positives and never its negatives. A row's
    negatives weigh `num_negatives` times as much as its positives: in expectation the loss of
    word2vec, where each positive draws that many.

    Returns:
        positive weights (G, S, L, L) by walk, and negative weights (G, C, C + K), where S is the
        number of walks of a group and C = S * L.
    """
    groups, walks, length = batch.items.shape
    valid = batch.items >= 0  # (G, S, L)
    offsets = torch.arange(length, device=batch.items.device)
    band = batch.distance_weights[(offsets[:, None] - offsets).abs()]  # (L, L)
    positive = band * valid[..., :, None] * valid[..., None, :]  # (G, S, L, L)
    mass = positive.sum(-1).view(groups, walks * length, 1) * batch.num_negatives  # (G, C, 1)
    place = torch.arange(walks * length, device=batch.items.device) // length
    own = torch.zeros(walks * length, batch.column_weights.shape[1], device=place.device)
    own[:, : walks * length] = place[:, None] == place  # (C, C + K)
    negative = batch.column_weights[:, None, :] * (1 - own)
    negative = negative * (mass / negative.sum(-1, keepdim=True).clamp_min(1e-12))
    return positive, negative


class SkipGram(nn.Module):
    """Skip-gram: a center predicts the contexts of its window (Mikolov et al., NIPS 2013).

    Args:
        centers: encoder of centers; its vectors are the item vectors.
        contexts: encoder of contexts.
        score: how two items are compared after training (`score_vectors`).
        popularity: (N,) added to the score for both items.
    """

    popularity: Tensor

    def __init__(
        self, centers: nn.Module, contexts: nn.Module, score: Score, popularity: Tensor
    ) -> None:
        super().__init__()
        self.centers = centers
        self.contexts = contexts
        self.score = score
        self.register_buffer("popularity", popularity)

    @torch.no_grad()
    def score_vectors(self, items: Tensor) -> ScoreVectors:
        """Vectors whose inner products are the scores among the given items (n,)."""
        return score_vectors(
            self.centers(items), self.contexts(items), self.popularity[items], self.score
        )

    def can_score(self, seen: Tensor) -> Tensor:
        """Mask (N,): an item that training never met has no vector of meaning."""
        return seen

    def probability(self, scores: Tensor) -> Tensor:
        """Scores (n,) brought into [0, 1]: (1 + s) / 2 of a cosine, else the logistic function."""
        if self.score == "cosine":
            return ((1 + scores) / 2).clamp(0, 1)
        return torch.sigmoid(scores)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Weighted sum of the loss over positives and negatives, and the positives' weight.

        Divide one by the other for the loss of a positive and its negatives, in nats.
        """
        return self._pair_loss(batch) if isinstance(batch, PairBatch) else self._window_loss(batch)

    def _pair_loss(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        center = self.centers(batch.centers)  # (B, D)
        others = torch.cat([batch.contexts[:, None], batch.negatives], dim=1)  # (B, 1 + K)
        logits = torch.einsum("bd,bkd->bk", center, self.contexts(others))
        weights = batch.weights[:, None].expand_as(logits)
        is_positive = torch.zeros_like(logits)
        is_positive[:, 0] = 1
        total = logistic_loss(logits, weights * is_positive, weights * (1 - is_positive))
        return total, batch.weights.sum()

    def _window_loss(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        groups, walks, length = batch.items.shape
        places = batch.items.clamp_min(0).view(groups, walks * length)  # (G, C)
        center = self.centers(places)  # (G, C, D)
        context = self.contexts(torch.cat([places, batch.negatives], dim=1))  # (G, C + K, D)
        logits = torch.bmm(center, context.transpose(1, 2))  # (G, C, C + K)
        band, negative = window_weights(batch)
        positive = torch.zeros_like(logits)
        blocks = positive[:, :, : walks * length].view(groups, walks, length, walks, length)
        blocks.diagonal(dim1=1, dim2=3).copy_(band.permute(0, 2, 3, 1))
        return logistic_loss(logits, positive, negative), band.sum()
