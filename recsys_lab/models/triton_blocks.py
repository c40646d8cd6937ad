"""The loss of a group of walks and its gradient in one kernel of Triton, for any encoder.

Score matrices and weights of cells stay on the chip; by operations of torch each of about twenty
passes over them goes through the memory of the GPU.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from recsys_lab.data.batch import WindowBatch

# On an H200 5,400 groups of 60 places take 1.6 ms in float32, .9 in TF32 and .7 in bfloat16; with
# four warps 2.7, 1.0 and more. "tf32x3" is as exact as float32 (the gradients are off by 3e-7);
# "ieee", without tensor cores, takes 30 ms.
_WARPS = 8  # of a group


@triton.jit
def _block(  # type: ignore[no-untyped-def]
    centers, contexts, items, column_weights, distance_weights,
    center_grads, context_grads, losses, masses,
    num_rows, num_columns, dim, length, num_negatives, l2,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DIM: tl.constexpr,
    BF16: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One group: loss, weight of the positives, and the gradients of its vectors.

    The weights of cells are those of `blocks.window_weights`, the loss that of
    `losses.logistic_loss` with the penalty of `blocks.ScoreBlock`.
    """
    group = tl.program_id(0).to(tl.int64)
    row, column, entry = tl.arange(0, ROWS), tl.arange(0, COLUMNS), tl.arange(0, DIM)
    is_row, is_place = row < num_rows, column < num_rows
    is_column, is_entry = column < num_columns, entry < dim
    at_row = (group * num_rows + row)[:, None] * dim + entry[None, :]
    at_column = (group * num_columns + column)[:, None] * dim + entry[None, :]
    row_mask = is_row[:, None] & is_entry[None, :]
    column_mask = is_column[:, None] & is_entry[None, :]
    center = tl.load(centers + at_row, mask=row_mask, other=0.0)
    context = tl.load(contexts + at_column, mask=column_mask, other=0.0)
    if BF16:
        short_center, short_context = center.to(tl.bfloat16), context.to(tl.bfloat16)
        scores = tl.dot(short_center, tl.trans(short_context))
    else:
        scores = tl.dot(center, tl.trans(context), input_precision=PRECISION)
    filled = tl.load(items + group * num_rows + row, mask=is_row, other=-1) >= 0
    filled_column = tl.load(items + group * num_rows + column, mask=is_place, other=-1) >= 0
    same = (row // length)[:, None] == (column // length)[None, :]
    same = same & is_row[:, None] & is_place[None, :]
    in_band = same & filled[:, None] & filled_column[None, :]
    distance = tl.abs(row[:, None] - column[None, :])
    positive = tl.load(distance_weights + distance, mask=in_band, other=0.0)
    mass = tl.sum(positive, axis=1)
    weight = tl.load(column_weights + group * num_columns + column, mask=is_column, other=0.0)
    negative = tl.where(same | (row >= num_rows)[:, None], 0.0, weight[None, :])
    rest = tl.maximum(tl.sum(negative, axis=1), 1e-12)
    negative = negative * (mass * num_negatives / rest)[:, None]

    both = positive + negative
    e = tl.exp(-tl.abs(scores))
    softplus = tl.maximum(scores, 0.0) + tl.log(1.0 + e)
    sigmoid = tl.where(scores > 0, 1.0, e) / (1.0 + e)
    loss = tl.sum(both * softplus - positive * scores)
    slope = both * sigmoid - positive
    if BF16:
        short_slope = slope.to(tl.bfloat16)
        center_grad = tl.dot(short_slope, short_context)
        context_grad = tl.dot(tl.trans(short_slope), short_center)
    else:
        center_grad = tl.dot(slope, context, input_precision=PRECISION)
        context_grad = tl.dot(tl.trans(slope), center, input_precision=PRECISION)
    by_row, by_column = tl.sum(both, axis=1), tl.sum(both, axis=0)
    loss += l2 * tl.sum(by_row * tl.sum(center * center, axis=1))
    loss += l2 * tl.sum(by_column * tl.sum(context * context, axis=1))
    center_grad += 2 * l2 * by_row[:, None] * center
    context_grad += 2 * l2 * by_column[:, None] * context
    tl.store(center_grads + at_row, center_grad, mask=row_mask)
    tl.store(context_grads + at_column, context_grad, mask=column_mask)
    tl.store(losses + group, loss)
    tl.store(masses + group, tl.sum(mass))


class _BlockLoss(torch.autograd.Function):
    """Loss over vectors (G, R, D) of centers and (G, C, D) of contexts; gradients come with it."""

    @staticmethod
    def forward(
        ctx: Any, centers: Tensor, contexts: Tensor, batch: WindowBatch, l2: float, bf16: bool
    ) -> tuple[Tensor, Tensor]:
        groups, _, length = batch.items.shape
        rows, columns, dim = centers.shape[1], contexts.shape[1], centers.shape[2]
        grads = torch.empty_like(centers), torch.empty_like(contexts)
        losses, masses = centers.new_empty(2, groups)
        exact = torch.get_float32_matmul_precision() == "highest"
        _block[(groups,)](
            centers.contiguous(), contexts.contiguous(), batch.items, batch.column_weights,
            batch.distance_weights, *grads, losses, masses,
            rows, columns, dim, length, batch.num_negatives, l2,
            ROWS=_padded(rows), COLUMNS=_padded(columns), DIM=_padded(dim),
            BF16=bf16, PRECISION="tf32x3" if exact else "tf32", num_warps=_WARPS,
        )  # fmt: skip
        ctx.save_for_backward(*grads)
        weight = masses.sum()
        ctx.mark_non_differentiable(weight)
        return losses.sum(), weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        centers, contexts = ctx.saved_tensors
        return centers.mul_(grad), contexts.mul_(grad), None, None, None


def _padded(count: int) -> int:
    """What a product on the chip takes: a power of two, 16 at least."""
    return max(16, triton.next_power_of_2(count))


def block_loss(
    centers: Tensor, contexts: Tensor, batch: WindowBatch, l2: float
) -> tuple[Tensor, Tensor]:
    """What the net's `loss` computes, of vectors (G, R, D) and (G, C, D) in float32."""
    bf16 = torch.is_autocast_enabled(centers.device.type)
    loss: tuple[Tensor, Tensor] = _BlockLoss.apply(centers, contexts, batch, l2, bf16)
    return loss
