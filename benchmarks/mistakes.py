"""The mistakes behind the negative results of the article, as variations of the models.

They are no options of the product; `benchmarks.ablations` measures what they do.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from recsys_lab.data.batch import Batch, FieldCodes
from recsys_lab.models.blocks import score_block
from recsys_lab.models.encoders import SideInfoEncoder
from recsys_lab.models.losses import logistic_loss
from recsys_lab.models.mf import MatrixFactorization
from recsys_lab.models.skipgram import SkipGram


class CentersMetadata(SkipGram):
    """The skip-gram with side information whose contexts wear the metadata of their center.

    Training sees (own vector of the context + values of the center) / parts; scoring, as always,
    gives each item its own values.
    """

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """As that of the skip-gram, but for the contexts."""
        block, encoder = score_block(batch), self.contexts
        if not isinstance(encoder, SideInfoEncoder):
            raise TypeError(f"contexts without side information: {type(encoder).__name__}")
        center = self.centers(block.centers)  # (G, R, D)
        parts = encoder.present[block.centers].sum(-1, keepdim=True)  # (G, R, 1)
        own = F.embedding(block.centers, encoder.table, sparse=True)
        values = encoder(block.centers) - own / parts  # (G, R, D) what the center's metadata adds
        context = F.embedding(block.contexts, encoder.table, sparse=True)  # (G, C, D)
        logits = torch.bmm(center, context.transpose(1, 2)) / parts
        logits = logits + (center * values).sum(-1, keepdim=True)
        return logistic_loss(logits, block.positive, block.negative), block.num_positives


class WholeTable(MatrixFactorization):
    """Matrix factorisation that regularises every row in every step, in the batch or not."""

    whole_l2 = 1e-4

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mean loss of a pair and the squared size of the whole table."""
        total, weight = super().loss(batch)
        return total / weight + self.whole_l2 * self.encoder.table.square().sum(), weight


def with_centers_metadata(net: SkipGram) -> CentersMetadata:
    """The mistake put into a skip-gram with side information."""
    return CentersMetadata(net.centers, net.contexts, net.score, net.popularity)


def with_whole_table(net: MatrixFactorization) -> WholeTable:
    """The mistake put into a factorisation without biases, which loses its own l2."""
    return WholeTable(net.encoder, None, loss="logistic", l2=0.0, popularity=net.popularity)


def start_wide(net: SkipGram) -> SkipGram:
    """Both tables as `nn.Embedding` starts them if it is left to itself."""
    for encoder in (net.centers, net.contexts):
        encoder.table.data.normal_()  # type: ignore[attr-defined]
    return net


def share_missing(field: FieldCodes) -> FieldCodes:
    """The field with one more value, which stands wherever there is none."""
    counts = field.offsets.diff()
    filled = counts.clamp_min(1)
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), filled.cumsum(0)])
    codes = torch.full((int(offsets[-1]),), field.cardinality)
    codes[torch.repeat_interleave(counts > 0, filled)] = field.codes
    return FieldCodes(offsets, codes, field.cardinality + 1)
