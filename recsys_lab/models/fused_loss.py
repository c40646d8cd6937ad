"""The loss by compiled kernels, for any encoder: autograd goes on from the vectors' gradients."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys_lab.compute.threads import num_threads
from recsys_lab.data.batch import Batch, PairBatch, WindowBatch, first_context
from recsys_lab.models.blocks import pairs_or_windows
from recsys_lab.models.compiled_form import CompiledForm
from recsys_lab.models.fused import train_batch
from recsys_lab.models.group_steps import NO_TABLE, Settings, Table, Tables


def fused_loss(form: CompiledForm, batch: Batch) -> tuple[Tensor, Tensor]:
    """What the net's `loss` computes, with every distinct item encoded once.

    Encoders and batch are on the CPU in float32. Returns loss and weight of the positives.
    """
    distinct, local = _distinct(batch)
    centers = form.centers(distinct)
    if form.contexts == form.centers:
        contexts = centers
    else:
        contexts = form.contexts(distinct + first_context(batch))
    loss, mass = _FusedLoss.apply(centers, contexts, _adding_up(form), local)
    return loss, mass


def _adding_up(form: CompiledForm) -> Settings:
    """The target of each table is an array of gradients: a step of SGD at rate -1 adds to it."""
    return Settings(form.one_table, *form.loss, l2=float(form.l2), rate=-1.0, eps=0.0)


def _distinct(batch: Batch) -> tuple[Tensor, Batch]:
    """The distinct items (u,) of a batch, and the batch with their places as item ids."""
    ids = _ids_of(batch)
    flat = torch.cat([part.reshape(-1) for part in ids.values()])
    distinct, place = torch.unique(flat.clamp_min(0), return_inverse=True)
    place[flat < 0] = -1
    places = place.split([part.numel() for part in ids.values()])
    local = {n: part.view_as(ids[n]) for n, part in zip(ids, places, strict=True)}
    if isinstance(batch, WindowBatch) and batch.chosen is not None:
        chosen = batch.chosen._replace(items=local.pop("chosen"))
        batch = batch._replace(chosen=chosen)
    return distinct, batch._replace(**local)


def _ids_of(batch: Batch) -> dict[str, Tensor]:
    """The item ids of a batch by name."""
    batch = pairs_or_windows(batch)
    if isinstance(batch, PairBatch):
        return {n: getattr(batch, n) for n in ("centers", "contexts", "negatives")}
    ids = {n: getattr(batch, n) for n in ("items", "negatives")}
    return ids if batch.chosen is None else ids | {"chosen": batch.chosen.items}


class _FusedLoss(torch.autograd.Function):
    """Loss over vectors (u, D) of centers and of contexts; both gradients come with it."""

    @staticmethod
    def forward(
        ctx: Any, centers: Tensor, contexts: Tensor, settings: Settings, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        vectors = [part.detach().numpy() for part in (centers, contexts)]
        grads = [np.zeros_like(part) for part in vectors]
        center, context = (Table(*both, NO_TABLE.sums) for both in zip(vectors, grads, strict=True))
        tables, threads = Tables(center, context), num_threads()
        with ThreadPoolExecutor(threads) as pool:
            loss, mass = train_batch(tables, settings, batch, pool, threads)
        ctx.save_for_backward(*map(torch.from_numpy, grads))
        weight = torch.tensor(mass)
        ctx.mark_non_differentiable(weight)
        return torch.tensor(loss), weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None]:
        centers, contexts = ctx.saved_tensors
        return grad * centers, grad * contexts, None, None
