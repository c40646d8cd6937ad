"""Integers that several compiled threads change at once."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from recsys_lab.compute.kernel_cache import jit


def _address(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    return builder.gep(data, [arguments[1]])


@intrinsic
def _add(typing_context: Any, array: Any, index: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature, arguments)
        return builder.atomic_rmw("add", address, ir.IntType(64)(1), "seq_cst")

    return types.int64(array, types.int64), emit


@intrinsic
def _read(typing_context: Any, array: Any, index: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature, arguments)
        return builder.load_atomic(address, ordering="seq_cst", align=8)

    return types.int64(array, types.int64), emit


@jit(inline="always")
def count_up(counts: np.ndarray, index: int) -> int:
    """Add one to counts[index], an int64, and return what stood there.

    What a thread wrote before is seen by a thread that reads the new count with `read_count`.
    """
    return _add(counts, index)  # type: ignore[call-arg]  # numba passes the context


@jit(inline="always")
def read_count(counts: np.ndarray, index: int) -> int:
    """The present value of counts[index], an int64."""
    return _read(counts, index)  # type: ignore[call-arg]
