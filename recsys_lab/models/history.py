"""A history predicts the item that comes next: vectors of what was done, and of what comes."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Penalty
from recsys_lab.data.batch import Batch, HistoryBatch
from recsys_lab.models.blocks import HISTORIES_NEEDED
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.scoring import ScoreVectors


class HistoryModel(nn.Module):
    """Score the next item j of a history by u . key_j + b_j, where u is the mean of its queries.

    The mean has the weights of the batch. The form is that of FISM (Kabbur et al., KDD 2013) and of
    CBOW; the loss is the softmax over the items, or, where negatives are drawn, over these and the
    target. A negative then counts by one over its chance to be drawn, so that the sum over the
    negatives is that over all items in expectation.

    Args:
        queries: encoder of the items of a history; its vectors are the item vectors.
        keys: encoder of next items.
        biases: of next items, vectors of one entry.
        l2: times (|u|^2 + |key|^2) of an event and its target, added to the loss.
    """

    score = "dot"

    @checked
    def __init__(
        self, queries: IdEncoder, keys: IdEncoder, biases: IdEncoder, l2: Penalty = 0.0
    ) -> None:
        super().__init__()
        self.queries = queries
        self.keys = keys
        self.biases = biases
        self.l2 = l2

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Sum of the loss over the events of the batch, in nats, and their number.

        Raises:
            ValueError: the batch is not one of histories.
        """
        if not isinstance(batch, HistoryBatch):
            raise ValueError(HISTORIES_NEEDED)
        users = self.queries.pool(batch.histories, batch.weights)  # (B, D)
        target = self.keys(batch.targets)  # (B, D)
        positive = (users * target).sum(-1) + self.biases(batch.targets)[:, 0]  # (B,)
        others = users @ self.keys(batch.negatives).T  # (B, K)
        others = others + (self.biases(batch.negatives)[:, 0] - batch.chances.log())
        is_target = batch.negatives == batch.targets[:, None]  # (B, K)
        total = torch.logsumexp(others.masked_fill(is_target, -torch.inf), dim=1)  # (B,)
        loss = F.softplus(total - positive).sum()
        if self.l2:
            loss = loss + self.l2 * (users.square().sum() + target.square().sum())
        return loss, loss.new_tensor(len(positive))

    @torch.no_grad()
    def score_vectors(self, items: Tensor | None = None) -> ScoreVectors:
        """Vectors whose inner products are the scores: the key is that of what comes after."""
        queries, keys = self.queries.item_vectors(items), self.keys.item_vectors(items)
        return ScoreVectors(queries, keys, self.biases.item_vectors(items)[:, 0], both_ways=False)

    def can_score(self, seen: Tensor) -> Tensor:
        """Mask (N,): an item that training never met has no vector of meaning."""
        return seen

    def probability(self, scores: Tensor) -> Tensor:
        """Scores (n,) brought into [0, 1] by the logistic function, which keeps their order."""
        return torch.sigmoid(scores)
