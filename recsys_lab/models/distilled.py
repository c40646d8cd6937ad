"""Vectors that learn the ranking of a teacher."""

import torch
from torch import Tensor, nn

from recsys_lab.compute.checks import checked
from recsys_lab.data.batch import Batch, TeacherBatch
from recsys_lab.models.blocks import TEACHER_NEEDED
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.scoring import ScoreVectors, score_vectors


class DistilledVectors(nn.Module):
    """Item vectors whose scores have the softmax that a teacher's scores have.

    The score of two items is that of a skip-gram, (c_i . k_j + c_j . k_i) / 2 + b_i + b_j. The loss
    of an item is the cross-entropy from the shares of what the teacher ranks for it to the softmax
    of its scores, over these items and the negatives (knowledge distillation, Hinton et al., 2015).
    A negative is weighted by one over its chance to be drawn. Training pairs are neither targets
    nor negatives, since a ranking leaves them out.

    Args:
        centers: encoder of the item vectors.
        contexts: of their second vectors.
        biases: vectors of one entry.
        start: what the vectors start as; the teacher's shares are then multiplied by the softmax of
            its scores. None: the vectors of the encoders, and the teacher's shares alone.
    """

    score = "center_context"
    start: Tensor
    start_contexts: Tensor
    start_biases: Tensor

    @checked
    def __init__(
        self,
        centers: IdEncoder,
        contexts: IdEncoder,
        biases: IdEncoder,
        start: ScoreVectors | None = None,
    ) -> None:
        super().__init__()
        self.centers = centers
        self.contexts = contexts
        self.biases = biases
        self.has_start = start is not None
        if start is not None:
            self._start_from(start)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Sum of the loss over the queries of the batch, in nats, and their number.

        Raises:
            ValueError: the batch is not one of a teacher.
        """
        if not isinstance(batch, TeacherBatch):
            raise ValueError(TEACHER_NEEDED)
        scores = self._scores(batch.queries, batch.items)  # (B, T)
        others = self._scores(batch.queries, batch.negatives) - batch.chances.log()  # (B, K)
        is_ranked = batch.shares > 0
        ranked = scores.masked_fill(~is_ranked, -torch.inf)
        every = torch.cat([ranked, others.masked_fill(batch.excluded, -torch.inf)], dim=1)
        targets = batch.shares
        if self.has_start:
            targets = targets.log() + self._start_scores(batch.queries, batch.items)
            targets = targets.masked_fill(~is_ranked, -torch.inf).softmax(dim=1)
        loss = torch.logsumexp(every, dim=1).sum() - (targets * scores).sum()
        return loss, loss.new_tensor(len(scores))

    def _scores(self, queries: Tensor, items: Tensor) -> Tensor:
        """(B, n) scores, but for the bias of the query, of items (B, n) or (n,)."""
        centers, contexts = self.centers(queries), self.contexts(queries)
        return (
            _products(centers, contexts, self.centers(items), self.contexts(items))
            + (self.biases(items)[..., 0])
        )

    @torch.no_grad()
    def _start_scores(self, queries: Tensor, items: Tensor) -> Tensor:
        """The same scores of items (B, n), by the vectors that training started from."""
        centers, contexts = self.start[queries], self.start_contexts[queries]
        return (
            _products(centers, contexts, self.start[items], self.start_contexts[items])
            + (self.start_biases[items])
        )

    @torch.no_grad()
    def _start_from(self, start: ScoreVectors) -> None:
        """Copy vectors (N, d) into the first d columns of the tables, which have as many or more.

        Raises:
            ValueError: the tables have fewer.
        """
        dim, most = start.queries.shape[1], self.centers.table.shape[1]
        if dim > most:
            raise ValueError(f"embedding_dim must be >= {dim}, that of start, got {most}")
        names = ("start", "start_contexts", "start_biases")
        for name, table in zip(names, start[:3], strict=True):
            self.register_buffer(name, table, persistent=False)
        self.centers.table[:, :dim] = start.queries
        self.contexts.table[:, :dim] = start.keys
        self.biases.table[:, 0] = start.bias

    def score_vectors(self, items: Tensor | None = None) -> ScoreVectors:
        """Vectors whose inner products are the scores among items (n,); all if left out."""
        parts = self.centers, self.contexts, self.biases
        centers, contexts, biases = (part.item_vectors(items) for part in parts)
        return score_vectors(centers, contexts, biases[:, 0], "center_context")

    def can_score(self, seen: Tensor) -> Tensor:
        """Mask (N,): an item that training never met has no vector of meaning."""
        return seen

    def probability(self, scores: Tensor) -> Tensor:
        """Scores (n,) brought into [0, 1] by the logistic function, which keeps their order."""
        return torch.sigmoid(scores)


def _products(centers: Tensor, contexts: Tensor, others: Tensor, other_contexts: Tensor) -> Tensor:
    """(B, n) means of both directions, of queries (B, D) with items (B, n, D) or (n, D)."""
    one = torch.cat([centers, contexts], dim=-1) / 2  # (B, 2 D)
    other = torch.cat([other_contexts, others], dim=-1)
    return one @ other.T if other.dim() == 2 else (other @ one[..., None])[..., 0]
