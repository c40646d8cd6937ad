"""StarSpace: entities are bags of features in one table, ranked by a margin or by softmax."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Decay, Margin, Positive
from recsys_lab.data.batch import Batch, WindowBatch
from recsys_lab.models.blocks import Kernel, ScoreBlock, score_block
from recsys_lab.models.compiled_form import CompiledForm
from recsys_lab.models.encoders import Encoder, side_info_vectors
from recsys_lab.models.losses import MARGIN, SOFTMAX, CellLoss, margin_loss, softmax_loss
from recsys_lab.models.scoring import (
    ScoreVectors,
    SideInfoVectors,
    as_probability,
    score_vectors,
)

Similarity = Literal["cosine", "dot"]
RankingLoss = Literal["margin", "softmax"]
Query = Literal["item", "history"]


class StarSpace(nn.Module):
    """A query ranks the item that goes with it before other items (Wu et al., AAAI 2018).

    One encoder makes the vectors of both sides. An item with itself is no pair, and no negative.

    Args:
        encoder: item ids -> vectors.
        score: how two vectors are compared, in training as in the test.
        loss: "margin" or "softmax" (`losses.margin_loss`, `losses.softmax_loss`).
        margin: of loss="margin".
        temperature: scores are divided by it, of loss="softmax".
        query: "item" ranks the contexts of a pair or window; "history" the next item of a sequence
            by all items before it in the window batch. A pair is a history of one item.
        decay: an item of a history weighs this much of the next one.
        popularity: (N,) added to the score for both items, in the test.
        kernel: see `SkipGram`; "history" trains by autograd.
        fields: names of the encoder's fields of side information.
    """

    popularity: Tensor

    @checked
    def __init__(
        self,
        encoder: Encoder,
        *,
        score: Similarity,
        loss: RankingLoss,
        margin: Margin,
        temperature: Positive,
        query: Query,
        decay: Decay,
        popularity: Tensor,
        kernel: Kernel = "autograd",
        fields: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.score = score
        self.loss_name = loss
        self.margin = margin
        self.temperature = temperature
        self.query = query
        self.decay = decay
        self.kernel = kernel
        self.fields = tuple(fields)
        self.register_buffer("popularity", popularity, persistent=False)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Weighted sum of the loss over the positives, and their weight."""
        block = _without_itself(score_block(batch))
        queries = block.centers.shape[1]
        vectors = self._encode(torch.cat([block.centers, block.contexts], dim=1))
        centers, contexts = vectors[:, :queries], vectors[:, queries:]
        if self.query == "history" and isinstance(batch, WindowBatch):
            valid = batch.items >= 0  # (G, S, L)
            block = _next_items(block, valid, batch.num_negatives)
            centers = self._unit(pool_before(centers, valid, self.decay))
        scores = torch.bmm(centers, contexts.transpose(1, 2))  # (G, R, C)
        if self.loss_name == "margin":
            total = margin_loss(scores, block.positive, block.negative, self.margin)
        else:
            total = softmax_loss(scores / self.temperature, block.positive, block.negative)
        return total, block.num_positives

    def compiled_form(self) -> CompiledForm | None:
        """See `CompilableNet`."""
        if self.query == "history":
            return None
        if self.loss_name == "margin":
            loss = CellLoss(MARGIN, float(self.margin))
        else:
            loss = CellLoss(SOFTMAX, float(self.temperature))
        return CompiledForm(
            self._encode,
            self._encode,
            one_table=True,
            biases=None,
            global_bias=None,
            loss=loss,
            l2=0.0,
        )

    def _encode(self, items: Tensor) -> Tensor:
        return self._unit(self.encoder(items))

    def _unit(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, dim=-1) if self.score == "cosine" else vectors

    @torch.no_grad()
    def score_vectors(self, items: Tensor | None = None) -> ScoreVectors:
        """Vectors whose inner products are the scores among items (n,); all if left out."""
        vectors = self.encoder.item_vectors(items)
        bias = self.popularity if items is None else self.popularity[items]
        return score_vectors(vectors, vectors, bias, self.score)

    def can_score(self, seen: Tensor) -> Tensor:
        """Mask (N,) of the items with a vector of meaning, given those seen in training."""
        return self.encoder.can_encode(seen)

    def probability(self, scores: Tensor) -> Tensor:
        """Scores (n,) brought into [0, 1]."""
        return as_probability(scores, self.score)

    def side_info_vectors(self) -> SideInfoVectors | None:
        """The parts of the item vectors; None for an encoder without side information."""
        return side_info_vectors(self.encoder, self.encoder, self.fields, self.score)


def _without_itself(block: ScoreBlock) -> ScoreBlock:
    other = block.centers[:, :, None] != block.contexts[:, None, :]  # (G, R, C)
    return block._replace(positive=block.positive * other, negative=block.negative * other)


def _next_items(block: ScoreBlock, valid: Tensor, num_negatives: float) -> ScoreBlock:
    """The block with the item of each row as its one positive, where its walk has items before it.

    Args:
        block: of windows; the first contexts are the items of the rows.
        valid: (G, S, L), places that are not padding.
        num_negatives: weight of a row's negatives.
    """
    has_history = (valid.cumsum(-1) > 1) & valid
    weight = has_history.flatten(1).to(block.negative.dtype)  # (G, R)
    positive = torch.zeros_like(block.positive)
    positive.diagonal(dim1=1, dim2=2).copy_(weight)
    mass = block.negative.sum(-1, keepdim=True).clamp_min(1e-12)
    negative = block.negative / mass * num_negatives * weight[:, :, None]
    return block._replace(positive=positive, negative=negative)


def pool_before(vectors: Tensor, valid: Tensor, decay: float) -> Tensor:
    """Sums of the vectors at earlier places of the same walk, by decay ** (steps in between).

    Args:
        vectors: (G, S * L, D) of the places.
        valid: (G, S, L), places that count.
        decay: weight of a place over that of the next.

    Returns:
        (G, S * L, D); zero at the first place of a walk.
    """
    length = valid.shape[-1]
    place = torch.arange(length, device=vectors.device)
    age = place[:, None] - place - 1  # (L, L), of column j as seen from row i
    weights = torch.where(age >= 0, float(decay) ** age.clamp_min(0), 0.0).to(vectors.dtype)
    walks = (vectors.unflatten(1, valid.shape[1:])) * valid[..., None]  # (G, S, L, D)
    return (weights @ walks).flatten(1, 2)
