"""The counter-based random numbers of `graph.counter` as operations of torch, on any device.

Words are int64 whose bits are those of the uint64 there: products and sums wrap alike, and shifts
to the right are made logical.
"""

import numpy as np
import torch
from torch import Tensor

from recsys_lab.graph import counter


def word(value: int) -> int:
    """The int64 with the bits of a uint64."""
    return int(np.uint64(value).astype(np.int64))


GOLDEN = word(int(counter.GOLDEN))
_M1, _M2 = word(0xBF58476D1CE4E5B9), word(0x94D049BB133111EB)  # of `counter.mix64`


def shift_right(words: Tensor, bits: int) -> Tensor:
    """A logical shift by 1 .. 63 bits."""
    return (words >> bits) & ((1 << (64 - bits)) - 1)


def mix64(words: Tensor) -> Tensor:
    """`counter.mix64` of words of any shape."""
    words = (words ^ shift_right(words, 30)) * _M1
    words = (words ^ shift_right(words, 27)) * _M2
    return words ^ shift_right(words, 31)


def permute_range(first: int, last: int, size: int, key: int, device: torch.device) -> Tensor:
    """`counter.permute_range`, (last - first,) int64; waits for the device some thirty times."""
    half_bits = 1
    while (1 << 2 * half_bits) < size:
        half_bits += 1
    places = torch.arange(first, last, device=device)
    turns = [word((int(key) + turn * int(counter.GOLDEN)) % 2**64) for turn in range(4)]
    outside = torch.arange(last - first, device=device)  # still to be brought below the size
    while len(outside):
        left, right = places[outside] >> half_bits, places[outside] & ((1 << half_bits) - 1)
        for turn in turns:
            left, right = right, left ^ (mix64(right + turn) & ((1 << half_bits) - 1))
        values = (left << half_bits) | right
        places[outside] = values
        outside = outside[values >= size]
    return places
