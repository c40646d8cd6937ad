"""Whether kernels of Triton can run on a device."""

from functools import cache
from importlib.util import find_spec
from typing import Any


@cache
def has_triton(device: Any) -> bool:
    """Whether the device (of torch) is a GPU of CUDA, and Triton is installed, as with its wheels.

    Kernels take tensor cores from the generation of Ampere on (compute capability 8.0).
    """
    if device.type != "cuda" or find_spec("triton") is None:
        return False
    import torch

    return torch.cuda.get_device_capability(device) >= (8, 0)
