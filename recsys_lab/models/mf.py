"""Matrix factorisation over either batch contract."""

from typing import Literal

import torch
from torch import Tensor, nn

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Penalty
from recsys_lab.data.batch import Batch
from recsys_lab.models.blocks import Kernel, score_block
from recsys_lab.models.compiled_form import CompiledForm
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.losses import LOGISTIC, SQUARED, CellLoss, logistic_loss, squared_loss
from recsys_lab.models.scoring import ScoreVectors

Loss = Literal["logistic", "squared"]
_LOSSES = {"logistic": logistic_loss, "squared": squared_loss}


class MatrixFactorization(nn.Module):
    """One vector for each item: score(i, j) = u_i . u_j, with biases + b_i + b_j + b.

    Koren, Bell and Volinsky (Computer 2009), equations 2 and 5, on a symmetric matrix of items. As
    there, every pair of the batch regularises its own two rows, by its weight; a row that is not in
    the batch does not change, however large the catalogue. The score of an item with itself is
    nothing to be learned: where a window holds an item twice, that cell is left out.

    Args:
        encoder: item ids -> vectors.
        biases: item ids -> (..., 1), or None for no biases at all.
        loss: "logistic" takes pairs as labels that count by their weight; "squared" regresses the
            weight of a positive, and 0 for a negative.
        l2: times (|u_i|^2 + |u_j|^2 + b_i^2 + b_j^2), added to the loss of every pair.
        popularity: (N,) added to the score for both items.
        kernel: see `SkipGram`.
    """

    popularity: Tensor

    @checked
    def __init__(
        self,
        encoder: IdEncoder,
        biases: IdEncoder | None,
        *,
        loss: Loss,
        l2: Penalty,
        popularity: Tensor,
        kernel: Kernel = "autograd",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.biases = biases
        self.global_bias = nn.Parameter(torch.zeros(1)) if biases else None
        self.loss_name = loss
        self.l2 = l2
        self.kernel = kernel
        self.register_buffer("popularity", popularity, persistent=False)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Weighted sum of the loss over positives and negatives, and the positives' weight."""
        block = score_block(batch)
        other = block.centers[:, :, None] != block.contexts[:, None, :]  # (G, R, C)
        block = block._replace(positive=block.positive * other, negative=block.negative * other)
        center, context = self.encoder(block.centers), self.encoder(block.contexts)
        scores = torch.bmm(center, context.transpose(1, 2))  # (G, R, C)
        sizes = [(v**2).sum(-1) for v in (center, context)]  # (G, R) and (G, C)
        if self.biases is not None:
            rows, columns = (
                self.biases(items)[..., 0] for items in (block.centers, block.contexts)
            )  # (G, R) and (G, C)
            scores = scores + rows[:, :, None] + columns[:, None, :] + self.global_bias
            sizes = [sizes[0] + rows**2, sizes[1] + columns**2]
        total = _LOSSES[self.loss_name](scores, block.positive, block.negative)
        if self.l2:
            total = total + self.l2 * block.penalty(*sizes)
        return total, block.num_positives

    def compiled_form(self) -> CompiledForm:
        """See `CompilableNet`."""
        return CompiledForm(
            self.encoder,
            self.encoder,
            one_table=True,
            biases=self.biases,
            global_bias=self.global_bias,
            loss=CellLoss(LOGISTIC if self.loss_name == "logistic" else SQUARED),
            l2=self.l2,
        )

    @torch.no_grad()
    def score_vectors(self, items: Tensor | None = None) -> ScoreVectors:
        """Vectors whose inner products are the scores among items (n,); all if left out."""
        vectors = self.encoder.item_vectors(items)
        bias = self.popularity if items is None else self.popularity[items]
        if self.biases is not None and self.global_bias is not None:
            bias = bias + self.biases.item_vectors(items)[:, 0] + self.global_bias / 2
        return ScoreVectors(vectors, vectors, bias, both_ways=False)

    def can_score(self, seen: Tensor) -> Tensor:
        """Mask (N,): an item that training never met has no vector of meaning."""
        return self.encoder.can_encode(seen)

    def probability(self, scores: Tensor) -> Tensor:
        """Scores (n,) brought into [0, 1]: the logistic function, or cut where weights are fit."""
        return torch.sigmoid(scores) if self.loss_name == "logistic" else scores.clamp(0, 1)
