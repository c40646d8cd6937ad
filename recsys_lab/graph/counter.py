"""Counter-based random numbers: a draw is a pure function of its key, in numba and in numpy alike.

SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014):
the n-th number of a stream is a bijective mix of key + n * GOLDEN, so any draw can be made alone,
in any order and in any thread.
"""

import numpy as np
from numba import uint64

from recsys_lab.compute.kernel_cache import jit

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # the odd integer nearest to 2^64 / golden ratio
# Multipliers and shifts of the mix: "Mix13" of Stafford's "Better bit mixing" (2011), as used by
# SplitMix64's reference code (Vigna, 2015).
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)


@jit(uint64(uint64), inline="always")
def mix64(x: np.uint64) -> np.uint64:
    """Mix 64 bits (the finaliser of SplitMix64), a bijection."""
    x = (x ^ (x >> np.uint64(30))) * _M1
    x = (x ^ (x >> np.uint64(27))) * _M2
    return x ^ (x >> np.uint64(31))


def stream_key(*parts: int) -> np.uint64:
    """Fold integers, such as (seed, epoch, purpose), into the key of one stream."""
    key = np.uint64(0)
    with np.errstate(over="ignore"):
        for part in parts:
            key = np.uint64(mix64(key + GOLDEN + np.uint64(int(part) & 0xFFFFFFFFFFFFFFFF)))
    return key


@jit()
def permute_index(index: int, size: int, key: np.uint64) -> int:
    """Place of `index` in a keyed pseudo-random permutation of 0 .. size - 1, in constant memory.

    A four-round Feistel network on the next even power of two, walked along its cycle until the
    value falls below `size` (Black and Rogaway, CT-RSA 2002).
    """
    half_bits = np.uint64(1)
    while (np.uint64(1) << (half_bits + half_bits)) < np.uint64(size):
        half_bits += np.uint64(1)
    mask = (np.uint64(1) << half_bits) - np.uint64(1)
    value = np.uint64(index)
    while True:
        left, right = value >> half_bits, value & mask
        for turn in range(4):
            mixed = mix64(key + np.uint64(turn) * GOLDEN + right)
            left, right = right, left ^ (mixed & mask)
        value = (left << half_bits) | right
        if value < np.uint64(size):
            return int(value)


@jit()
def permute_range(first: int, last: int, size: int, key: np.uint64) -> np.ndarray:
    """`permute_index` of first .. last - 1, (last - first,) int64."""
    places = np.empty(last - first, np.int64)
    for index in range(first, last):
        places[index - first] = permute_index(index, size, key)
    return places
