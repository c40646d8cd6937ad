"""A step of row-wise Adagrad on a GPU in one pass over the gradients, by kernels of Triton.

A first kernel sums pieces of the sorted gradients, so that a row that a batch names very often,
such as a category of many items, is shared out; a second one adds the pieces of a row and takes
its step. Sums have a fixed order: two runs give the same bits.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_PIECE = 32  # gradients of a row that one program adds
_PIECES = 16  # of one row that are added at a time


@triton.jit(do_not_specialize=["count"])  # else some counts are compiled anew
def _sum_pieces(ordered, order, grads, sums, count, dim, PIECE: tl.constexpr, DIM: tl.constexpr):  # type: ignore[no-untyped-def]
    """Sum the gradients of a piece, within each row of it; a sum stands where its row begins."""
    first = tl.program_id(0) * PIECE
    entry = tl.arange(0, DIM)
    is_entry = entry < dim
    total = tl.zeros((DIM,), tl.float32)
    begin = first
    last = tl.minimum(first + PIECE, count)
    row = tl.load(ordered + first)
    for place in range(first, last):
        own = tl.load(ordered + place)
        if own != row:
            tl.store(sums + begin.to(tl.int64) * dim + entry, total, mask=is_entry)
            total = tl.zeros((DIM,), tl.float32)
            begin = place
            row = own
        source = tl.load(order + place)
        total += tl.load(grads + source * dim + entry, mask=is_entry, other=0.0)
    tl.store(sums + begin.to(tl.int64) * dim + entry, total, mask=is_entry)


@triton.jit(do_not_specialize=["count"])  # else some counts are compiled anew
def _step_rows(  # type: ignore[no-untyped-def]
    ordered, ends, sums, table, accumulators, count, dim, rate, eps,
    PIECE: tl.constexpr, PIECES: tl.constexpr, DIM: tl.constexpr,
):  # fmt: skip
    """Add the pieces of the row that begins here, and take its step; other places do nothing."""
    place = tl.program_id(0)
    row = tl.load(ordered + place)
    before = tl.load(ordered + tl.maximum(place - 1, 0))
    if (place == 0) | (before != row):
        entry = tl.arange(0, DIM)
        is_entry = entry < dim
        end = tl.load(ends + place)
        total = tl.load(sums + place.to(tl.int64) * dim + entry, mask=is_entry, other=0.0)
        some = tl.arange(0, PIECES) * PIECE
        for piece in range((place // PIECE + 1) * PIECE, end, PIECE * PIECES):
            at = (piece + some).to(tl.int64)[:, None] * dim + entry[None, :]
            mask = (piece + some < end)[:, None] & is_entry[None, :]
            total += tl.sum(tl.load(sums + at, mask=mask, other=0.0), axis=0)
        sum_of_row = tl.load(accumulators + row) + tl.sum(total * total) / dim
        tl.store(accumulators + row, sum_of_row)
        at = row.to(tl.int64) * dim + entry
        value = tl.load(table + at, mask=is_entry)
        step = rate / (tl.sqrt(sum_of_row) + eps)
        tl.store(table + at, value - step * total, mask=is_entry)


@torch.no_grad()
def step_rows(
    table: Tensor, accumulators: Tensor, indices: Tensor, grads: Tensor, rate: float, eps: float
) -> None:
    """One step on the rows of a table (N, D) in place; see `optimizers.RowWiseAdagrad`.

    Args:
        table: (N, D) float32.
        accumulators: (N,).
        indices: (n,) int64 rows that have a gradient, with repetition.
        grads: (n, D).
        rate: learning rate.
        eps: added to the root of an accumulator.
    """
    count, dim = grads.shape
    if count == 0:
        return
    ordered, order = torch.sort(indices.int())  # half the passes of int64
    ends = torch.searchsorted(ordered, ordered, right=True)
    sums = torch.empty_like(grads)
    sizes = {"PIECE": _PIECE, "DIM": triton.next_power_of_2(dim)}
    pieces = triton.cdiv(count, _PIECE)
    grads = grads.contiguous()
    _sum_pieces[(pieces,)](ordered, order, grads, sums, count, dim, **sizes, num_warps=1)
    _step_rows[(count,)](
        ordered, ends, sums, table, accumulators, count, dim, rate, eps, PIECES=_PIECES, **sizes,
        num_warps=1,
    )  # fmt: skip
