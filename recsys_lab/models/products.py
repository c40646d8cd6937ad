"""Products of small matrices in the cache, for the compiled kernels.

A tile of 6 rows and 16 columns of the result stays in registers (with AVX2 the most that fit) while
the products are added up. BLAS libraries are made for large matrices: for the blocks of a training
step, on a processor that they do not know, they reach a third of this speed.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from recsys_lab.models.kernels import jit_piece

ROWS, WIDTH = 6, 16  # of a tile

_FLAGS = ("contract",)  # a product and a sum may be one instruction
_LONG = ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
_INDEX = types.int64


@intrinsic
def _tile(
    typing_context: Any,
    out: Any,
    out_at: Any,
    out_row: Any,
    left: Any,
    left_at: Any,
    left_row: Any,
    left_step: Any,
    right: Any,
    right_at: Any,
    right_step: Any,
    steps: Any,
) -> Any:
    """Emit one tile; called by numba with the types of the arguments. All arrays are flat."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, left, right = (
            context.make_array(signature.args[k])(context, builder, arguments[k]).data
            for k in (0, 3, 7)
        )
        _, out_at, out_row, _, left_at, left_row, left_step, _, right_at, right_step, steps = (
            arguments
        )

        def vector_at(data: Any, place: Any) -> Any:
            return builder.bitcast(builder.gep(data, [place]), _VECTOR.as_pointer())

        before = builder.block
        loop = builder.append_basic_block("products")
        after = builder.append_basic_block("sums")
        starts = [builder.add(left_at, builder.mul(left_row, _LONG(row))) for row in range(ROWS)]
        builder.branch(loop)

        builder.position_at_end(loop)
        step = builder.phi(_LONG)
        step.add_incoming(_LONG(0), before)
        sums = [builder.phi(_VECTOR) for _ in range(ROWS)]
        place = builder.add(right_at, builder.mul(step, right_step))
        columns = builder.load(vector_at(right, place), align=4)
        offset, totals = builder.mul(step, left_step), []
        for start, total in zip(starts, sums, strict=True):
            entry = builder.load(builder.gep(left, [builder.add(start, offset)]))
            product = builder.fmul(_repeated(builder, entry), columns, flags=_FLAGS)
            totals.append(builder.fadd(total, product, flags=_FLAGS))
            total.add_incoming(ir.Constant(_VECTOR, [0.0] * WIDTH), before)
            total.add_incoming(totals[-1], loop)
        following = builder.add(step, _LONG(1))
        step.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, steps), loop, after)

        builder.position_at_end(after)
        for row, total in enumerate(totals):
            place = builder.add(out_at, builder.mul(out_row, _LONG(row)))
            builder.store(total, vector_at(out, place), align=4)
        return context.get_dummy_value()

    i, one = _INDEX, types.void
    return one(out, i, i, left, i, i, i, right, i, i, i), emit


def _repeated(builder: Any, entry: Any) -> Any:
    """A vector of the same entries."""
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(nothing, entry, ir.IntType(32)(0))
    return builder.shuffle_vector(
        first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    )


@jit_piece
def round_up(count: int, unit: int) -> int:
    """The least multiple of a unit that is not below a count."""
    return -(-count // unit) * unit


@jit_piece
def multiply(
    out: np.ndarray,
    out_at: int,
    out_row: int,
    left: np.ndarray,
    left_at: int,
    left_row: int,
    left_step: int,
    right: np.ndarray,
    right_at: int,
    right_step: int,
    rows: int,
    columns: int,
    steps: int,
) -> None:
    """out[r, c] = sum over s of left[r, s] * right[s, c], for flat float32 arrays.

    An array begins at `_at`; its rows are `_row`, its entries in the sum `_step` apart. Rows and
    columns are rounded up to whole tiles, which the arrays must have room for.
    """
    for column in range(0, columns, WIDTH):
        for row in range(0, rows, ROWS):
            _tile(  # type: ignore[call-arg]  # numba passes the context
                out, out_at + row * out_row + column, out_row,
                left, left_at + row * left_row, left_row, left_step,
                right, right_at + column, right_step, steps,
            )  # fmt: skip
