"""Products of small matrices in the cache, for the compiled kernels.

A tile of 6 rows and 16 columns of the result stays in registers (with AVX2 the most that fit) while
the products are added up. BLAS libraries are made for large matrices: for the blocks of a training
step, on a processor that they do not know, they reach a third of this speed.
"""

from functools import partial
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from recsys_lab.models.kernels import jit_piece

ROWS, WIDTH = 6, 16  # of a tile
TURNED = 8  # rows and columns of a tile that is transposed

_FLAGS = ("contract",)  # a product and a sum may be one instruction
_LONG = ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
_EIGHT = ir.VectorType(ir.FloatType(), TURNED)
_INDEX = types.int64


def _tile_of(vectors: int) -> Any:
    """The product of a tile of so many vectors side by side."""

    @intrinsic
    def tile(
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
        i, one = _INDEX, types.void
        return one(out, i, i, left, i, i, i, right, i, i, i), partial(_emit_tile, vectors)

    return tile


def _emit_tile(vectors: int, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    out, left, right = (
        context.make_array(signature.args[k])(context, builder, arguments[k]).data
        for k in (0, 3, 7)
    )
    _, out_at, out_row, _, left_at, left_row, left_step, _, right_at, right_step, steps = arguments

    def vectors_at(data: Any, place: Any) -> list[Any]:
        places = [builder.add(place, _LONG(WIDTH * k)) for k in range(vectors)]
        return [builder.bitcast(builder.gep(data, [k]), _VECTOR.as_pointer()) for k in places]

    before = builder.block
    loop = builder.append_basic_block("products")
    after = builder.append_basic_block("sums")
    starts = [builder.add(left_at, builder.mul(left_row, _LONG(row))) for row in range(ROWS)]
    builder.branch(loop)

    builder.position_at_end(loop)
    step = builder.phi(_LONG)
    step.add_incoming(_LONG(0), before)
    sums = [[builder.phi(_VECTOR) for _ in range(vectors)] for _ in range(ROWS)]
    place = builder.add(right_at, builder.mul(step, right_step))
    columns = [builder.load(at, align=4) for at in vectors_at(right, place)]
    offset = builder.mul(step, left_step)
    for start, totals in zip(starts, sums, strict=True):
        entry = _repeated(builder, builder.load(builder.gep(left, [builder.add(start, offset)])))
        for k, total in enumerate(totals):
            product = builder.fmul(entry, columns[k], flags=_FLAGS)
            totals[k] = builder.fadd(total, product, flags=_FLAGS)
            total.add_incoming(ir.Constant(_VECTOR, [0.0] * WIDTH), before)
            total.add_incoming(totals[k], loop)
    following = builder.add(step, _LONG(1))
    step.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, steps), loop, after)

    builder.position_at_end(after)
    for row, totals in enumerate(sums):
        place = builder.add(out_at, builder.mul(out_row, _LONG(row)))
        for total, at in zip(totals, vectors_at(out, place), strict=True):
            builder.store(total, at, align=4)
    return context.get_dummy_value()


@intrinsic
def _turn(
    typing_context: Any, out: Any, out_at: Any, out_row: Any, rows: Any, at: Any, row: Any
) -> Any:
    """Transpose a tile of 8 by 8; all arrays are flat."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, rows = (
            context.make_array(signature.args[k])(context, builder, arguments[k]).data
            for k in (0, 3)
        )
        _, out_at, out_row, _, at, row = arguments

        def pointer(data: Any, first: Any, step: Any, number: int) -> Any:
            place = builder.add(first, builder.mul(step, _LONG(number)))
            return builder.bitcast(builder.gep(data, [place]), _EIGHT.as_pointer())

        tile = [builder.load(pointer(rows, at, row, k), align=4) for k in range(TURNED)]
        for size in (1, 2, 4):  # squares of this size change places across the diagonal
            turned = {
                k + size * half: builder.shuffle_vector(
                    tile[k], tile[k + size], _halves(size, half)
                )
                for k in range(TURNED)
                if not k & size
                for half in (0, 1)
            }
            tile = [turned[k] for k in range(TURNED)]
        for k, vector in enumerate(tile):
            builder.store(vector, pointer(out, out_at, out_row, k), align=4)
        return context.get_dummy_value()

    i = _INDEX
    return types.void(out, i, i, rows, i, i), emit


def _halves(size: int, half: int) -> Any:
    """Of two vectors side by side: every second piece of so many entries, in turns."""
    places = [n & ~size | size * half | (TURNED if n & size else 0) for n in range(TURNED)]
    return ir.Constant(ir.VectorType(ir.IntType(32), TURNED), places)


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


_tile, _wide_tile = _tile_of(1), _tile_of(2)
_WIDE = 2 * WIDTH if binding.get_host_cpu_features().get("avx512f") else 1 << 62  # floats


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
    wide = round_up(columns, WIDTH) // _WIDE * _WIDE  # columns in wide tiles
    for column in range(0, wide, _WIDE):
        for row in range(0, rows, ROWS):
            _wide_tile(
                out, out_at + row * out_row + column, out_row,
                left, left_at + row * left_row, left_row, left_step,
                right, right_at + column, right_step, steps,
            )  # fmt: skip
    for column in range(wide, columns, WIDTH):
        for row in range(0, rows, ROWS):
            _tile(
                out, out_at + row * out_row + column, out_row,
                left, left_at + row * left_row, left_row, left_step,
                right, right_at + column, right_step, steps,
            )  # fmt: skip


@jit_piece
def transpose(
    out: np.ndarray, out_row: int, rows: np.ndarray, rows_at: int, count: int, columns: int
) -> None:
    """out[c, r] = rows[r, c] for so many rows, which begin at `rows_at`; arrays as in `multiply`.

    The columns are whole tiles, and all there are.
    """
    whole = count // TURNED * TURNED
    for column in range(0, columns, TURNED):
        for row in range(0, whole, TURNED):
            at = rows_at + row * columns + column
            _turn(out, column * out_row + row, out_row, rows, at, columns)  # type: ignore[call-arg]
        for one in range(column, column + TURNED):
            for row in range(whole, count):
                out[one * out_row + row] = rows[rows_at + row * columns + one]
