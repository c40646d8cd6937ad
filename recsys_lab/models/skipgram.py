"""Skip-gram with negative sampling over either batch contract."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Margin, Penalty
from recsys_lab.data.batch import Batch, PairBatch, first_context
from recsys_lab.models.blocks import Kernel, ScoreBlock, score_block
from recsys_lab.models.compiled_form import CompiledForm
from recsys_lab.models.encoders import Encoder, side_info_vectors
from recsys_lab.models.label_content import LabelContent
from recsys_lab.models.losses import (
    LOGISTIC,
    MARGIN,
    CellLoss,
    bpr_loss,
    logistic_loss,
    low_rank_loss,
    margin_loss,
)
from recsys_lab.models.scoring import (
    Score,
    ScoreVectors,
    SideInfoVectors,
    as_probability,
    score_vectors,
)

PairLoss = Literal["logistic", "bpr", "margin"]


class SkipGram(nn.Module):
    """Skip-gram: a center predicts the contexts of its window (Mikolov et al., NIPS 2013).

    Args:
        centers: encoder of centers; its vectors are the item vectors.
        contexts: encoder of contexts; it may be that of the centers.
        score: how two items are compared after training (`score_vectors`).
        popularity: (N,) added to the score for both items.
        l2: times (|center|^2 + |context|^2), added to the loss of every pair and every negative; a
            row that is not in the batch does not change.
        kernel: what trains a block (`choose_updater`): "autograd" operations of torch, anywhere;
            "fused" compiled kernels that train tables in place, on a CPU, whose rows or sums of
            rows are the vectors; "auto" compiled kernels where there are some. Of other encoders,
            and on a GPU by Triton, these compute the loss and its gradient, and autograd goes on
            from there.
        fields: names of the encoders' fields of side information.
        loss: "logistic" takes a positive or a negative for itself; "bpr" and "margin" compare every
            positive with the negatives of its center (`losses`).
        margin: that a positive shall lead by, for the loss "margin".
        low_rank_weight: of the loss of a positive and of one of lower weight of the same center
            (`low_rank_loss`), which is added.
        low_rank_margin: that the positive shall lead the other by.
        content: what labels alone add to the score; training knows nothing of it.
    """

    popularity: Tensor

    @checked
    def __init__(
        self,
        centers: Encoder,
        contexts: Encoder,
        score: Score,
        popularity: Tensor,
        l2: Penalty = 0.0,
        kernel: Kernel = "autograd",
        fields: Sequence[str] = (),
        loss: PairLoss = "logistic",
        margin: Margin = 0.1,
        low_rank_weight: Penalty = 0.0,
        low_rank_margin: Margin = 0.1,
        content: LabelContent | None = None,
    ) -> None:
        super().__init__()
        self.centers = centers
        self.contexts = contexts
        self.score = score
        self.l2 = l2
        self.kernel = kernel
        self.fields = tuple(fields)
        self.loss_name = loss
        self.margin = margin
        self.low_rank_weight = low_rank_weight
        self.low_rank_margin = low_rank_margin
        self.content = content
        self.register_buffer("popularity", popularity, persistent=False)

    @torch.no_grad()
    def score_vectors(self, items: Tensor | None = None) -> ScoreVectors:
        """Vectors whose inner products are the scores among items (n,); all if left out."""
        centers, contexts = self.centers.item_vectors(items), self.contexts.item_vectors(items)
        bias = self.popularity if items is None else self.popularity[items]
        found = score_vectors(centers, contexts, bias, self.score)
        return found if self.content is None else self.content.add_to(found, items)

    def can_score(self, seen: Tensor) -> Tensor:
        """Mask (N,) of the items with a vector of meaning, given those seen in training."""
        mask = self.centers.can_encode(seen)
        return mask & self.contexts.can_encode(seen) if self.score == "center_context" else mask

    def probability(self, scores: Tensor) -> Tensor:
        """Scores (n,) brought into [0, 1]: (1 + s) / 2 of a cosine, else the logistic function."""
        return as_probability(scores, self.score)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Weighted sum of the loss over positives and negatives, and the positives' weight.

        Divide one by the other for the loss of a positive and its negatives, in nats.
        """
        block = score_block(batch, low_rank=self.low_rank_weight > 0)
        block = block._replace(contexts=block.contexts + first_context(batch))
        center, context = self._encode(block)
        logits = torch.bmm(center, context.transpose(1, 2))  # (G, R, C)
        total = self._pair_loss(logits, block.positive, block.negative)
        if self.low_rank_weight and isinstance(batch, PairBatch) and batch.low_rank is not None:
            weights = batch.weights * (batch.low_rank >= 0)  # (B,)
            rest = low_rank_loss(logits[:, 0], weights, self.low_rank_margin)
            total = total + self.low_rank_weight * rest
        if self.l2:
            total = total + self.l2 * block.penalty(
                center.square().sum(-1), context.square().sum(-1)
            )
        return total, block.num_positives

    def _encode(self, block: ScoreBlock) -> tuple[Tensor, Tensor]:
        """Vectors of centers (G, R, D) and contexts (G, C, D)."""
        if self.centers is not self.contexts:
            return self.centers(block.centers), self.contexts(block.contexts)
        both = self.centers(torch.cat([block.centers, block.contexts], dim=1))
        center, context = both.split([block.centers.shape[1], block.contexts.shape[1]], dim=1)
        return center, context

    def _pair_loss(self, logits: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        if self.loss_name == "bpr":
            return bpr_loss(logits, positive, negative)
        if self.loss_name == "margin":
            return margin_loss(logits, positive, negative, self.margin)
        return logistic_loss(logits, positive, negative)

    def side_info_vectors(self) -> SideInfoVectors | None:
        """The parts of the item vectors; None for encoders without side information."""
        found = side_info_vectors(self.centers, self.contexts, self.fields, self.score)
        if found is None or self.content is None:
            return found
        columns = zip(found.fields, self.content.of_values(), strict=True)
        fields = [field._replace(content=content) for field, content in columns]
        return found._replace(fields=fields, content_weight=self.content.weight)

    def compiled_form(self) -> CompiledForm | None:
        """See `CompilableNet`."""
        if self.loss_name == "bpr" or self.low_rank_weight:
            return None
        is_margin = self.loss_name == "margin"
        return CompiledForm(
            self.centers,
            self.contexts,
            one_table=False,
            biases=None,
            global_bias=None,
            loss=CellLoss(MARGIN, float(self.margin)) if is_margin else CellLoss(LOGISTIC),
            l2=self.l2,
        )
