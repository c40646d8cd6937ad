"""The alias tables of a graph's rows, packed so that a step of a walk reads two words of memory.

A row is the word start << 24 | degree. A slot is the word threshold << 2B | alias << B | neighbour,
with B bits for an item id and the rest, at most 24 bits, for the threshold.
"""

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import run_blocks
from recsys_lab.graph.alias import fill_alias
from recsys_lab.graph.rows import row_bounds

_COIN_BITS = 24
MAX_ITEMS = 1 << 24  # keeps 16 bits for a threshold
_LOW, _HALF = np.uint64((1 << _COIN_BITS) - 1), np.uint64(32)
_ROW_SHIFT, _WORD = np.uint64(24), np.uint64(64)


def id_bits(num_items: int) -> int:
    """Bits of an item id, B."""
    return max(1, (num_items - 1).bit_length())


@jit(inline="always")
def slot_place(row: np.uint64, random: np.uint64) -> np.int64:
    """Place of a slot of the row, uniform in the upper 32 bits of `random`."""
    degree = row & _LOW
    return np.int64((row >> _ROW_SHIFT) + (((random >> _HALF) * degree) >> _HALF))


@jit(inline="always")
def slot_item(slot: np.uint64, random: np.uint64, bits: np.uint64) -> np.int64:
    """The neighbour or the alias of a slot, by the lower 24 bits of `random`."""
    coin = random & _LOW
    spare = _WORD - bits - bits
    if spare < _ROW_SHIFT:
        coin >>= _ROW_SHIFT - spare
    chosen = slot if coin < slot >> (bits + bits) else slot >> bits
    return np.int64(chosen & ((np.uint64(1) << bits) - np.uint64(1)))


@jit()
def _pack_rows(
    indptr: np.ndarray,
    indices: np.ndarray,
    weights: np.ndarray,
    bits: int,
    first: int,
    last: int,
    slots: np.ndarray,
) -> None:
    """Fill the slots of the rows first .. last - 1."""
    largest = 0
    for row in range(first, last):
        largest = max(largest, indptr[row + 1] - indptr[row])
    scaled, stack = np.empty(largest), np.empty(largest, np.int32)
    threshold, alias = np.empty(largest, np.float32), np.empty(largest, np.int32)
    coin_bits = min(_COIN_BITS, 64 - 2 * bits)
    for row in range(first, last):
        low, degree = indptr[row], indptr[row + 1] - indptr[row]
        fill_alias(weights[low : low + degree], scaled[:degree], stack, threshold, alias)
        for slot in range(degree):
            own, other = indices[low + slot], indices[low + alias[slot]]
            # Rounded up, so that every pair can be walked.
            coins = int(np.ceil(np.float64(threshold[slot]) * 2.0**coin_bits))
            if coins >= 1 << coin_bits:  # one too large for its field, and of no effect
                coins, other = (1 << coin_bits) - 1, own
            word = np.uint64(coins) << np.uint64(2 * bits)
            slots[low + slot] = word | (np.uint64(other) << np.uint64(bits)) | np.uint64(own)


def pack_graph(
    indptr: np.ndarray, indices: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.uint64]:
    """Rows (N,) uint64, slots (E,) uint64 and the bits of an item id.

    A probability is off by at most 2**-C of a slot, with C = min(24, 64 - 2B).

    Raises:
        ValueError: there are more items than fit into a slot.
    """
    num_items = len(indptr) - 1
    if num_items > MAX_ITEMS:
        raise ValueError(f"walks are made for at most {MAX_ITEMS:,} items, got {num_items:,}")
    bits = id_bits(num_items)
    rows = indptr[:-1].astype(np.uint64) << _ROW_SHIFT
    rows |= np.diff(indptr).astype(np.uint64)
    slots = np.empty(len(indices), np.uint64)

    def pack(first: int, last: int) -> None:
        _pack_rows(indptr, indices, weights, bits, first, last, slots)

    run_blocks(pack, row_bounds(indptr))
    return rows, slots, np.uint64(bits)
