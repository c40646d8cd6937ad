"""The loss of a net by a kernel of Triton, where a GPU trains."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from recsys_lab.compute.triton_found import has_triton
from recsys_lab.data.batch import Batch, WindowBatch
from recsys_lab.models.compiled_form import CompiledForm
from recsys_lab.models.losses import LOGISTIC

_MOST_PLACES = 128  # of a group, with the negatives that are drawn: matrices stay on the chip
_MOST_ENTRIES = 128  # of a vector, likewise


def gpu_loss(net: nn.Module, form: CompiledForm) -> Callable[[Batch], tuple[Tensor, Tensor]] | None:
    """What computes the net's `loss`; of batches that the kernel does not know by the net itself.

    None where the kernel does not know the net, or there is no GPU with Triton.
    """
    if form.biases is not None or form.loss.kind != LOGISTIC or form.one_table:
        return None
    for parameter in net.parameters():
        is_plain = parameter.dtype == torch.float32 and parameter.shape[-1] <= _MOST_ENTRIES
        if not (is_plain and has_triton(parameter.device)):
            return None
    from recsys_lab.models.triton_blocks import block_loss

    def loss(batch: Batch) -> tuple[Tensor, Tensor]:
        if not isinstance(batch, WindowBatch) or not _fits(batch):
            return net.loss(batch)  # type: ignore[operator]
        return block_loss(*_encode(form, batch), batch, float(form.l2))

    return loss


def _fits(batch: WindowBatch) -> bool:
    columns = batch.items.shape[1] * batch.items.shape[2] + batch.negatives.shape[1]
    return batch.chosen is None and columns <= _MOST_PLACES


def _encode(form: CompiledForm, batch: WindowBatch) -> tuple[Tensor, Tensor]:
    """Vectors of the centers (G, R, D) of a batch and of its contexts (G, C, D)."""
    places = batch.items.clamp_min(0).flatten(1)
    columns = torch.cat([places, batch.negatives], dim=1)
    if form.centers == form.contexts:
        contexts = form.contexts(columns)
        return contexts[:, : places.shape[1]], contexts
    return form.centers(places), form.contexts(columns + batch.first_context)
