"""Work of compiled kernels, which release the GIL, spread over threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

PARTS_PER_THREAD = 4  # hubs make parts uneven


def for_parts(
    function: Callable[[slice], None], count: int, num_threads: int | None = None
) -> None:
    """Call a function with slices that together cover 0 .. count - 1, none of them empty.

    Args:
        function: writes its part of a result; parts run at the same time.
        count: what is divided.
        num_threads: None: as many as torch uses, which is what a run has chosen.
    """
    num_threads = num_threads or torch.get_num_threads()
    size = max(1, -(-count // (num_threads * PARTS_PER_THREAD)))
    parts = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    with ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(function, parts))
