"""Load memory into the caches before it is read."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from recsys_lab.compute.kernel_cache import jit


@intrinsic
def _prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Emit the instruction; called by numba with the types of the arguments."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        call = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        to_read, keep, as_data = number(0), number(3), number(1)
        builder.call(call, [address, to_read, keep, as_data])
        return context.get_dummy_value()

    return types.void(array, index), emit


@jit(inline="always")
def prefetch(array: np.ndarray, index: int | np.integer) -> None:
    """Start loading array[index] into the caches.

    A hint to the processor: it changes no result, and an index out of range is allowed. With it,
    more loads run at the same time than the processor starts on its own.
    """
    _prefetch(array, index)  # type: ignore[call-arg]  # numba passes the context
