"""Counting sort of item pairs, whose ends are small integers."""

import numpy as np

from recsys_lab.compute.kernel_cache import jit

_MAX_RANKED = 256  # keys; more are sorted


@jit()
def sort_pairs(
    heads: np.ndarray, tails: np.ndarray, values: np.ndarray, num_items: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort pairs of items by head, then by tail; equal pairs keep their order.

    Args:
        heads: (E,) integers in 0 .. N - 1.
        tails: (E,) likewise.
        values: (E,) one value for each pair.
        num_items: N.

    Returns:
        heads, tails (int32) and values in their new order.
    """
    places = first_places(tails, num_items)
    heads_by_tail = np.empty(len(heads), np.int32)
    values_by_tail = np.empty_like(values)
    for k in range(len(heads)):
        place = places[tails[k]]
        places[tails[k]] += 1
        heads_by_tail[place] = heads[k]
        values_by_tail[place] = values[k]
    ends, places = places, first_places(heads, num_items)
    sorted_tails, sorted_values = np.empty(len(heads), np.int32), np.empty_like(values)
    k = 0
    for tail in range(num_items):
        while k < ends[tail]:
            place = places[heads_by_tail[k]]
            places[heads_by_tail[k]] += 1
            sorted_tails[place] = tail
            sorted_values[place] = values_by_tail[k]
            k += 1
    sorted_heads = heads_by_tail  # reuses an array that is no longer needed
    k = 0
    for head in range(num_items):
        sorted_heads[k : places[head]] = head
        k = places[head]
    return sorted_heads, sorted_tails, sorted_values


@jit()
def first_places(
    items: np.ndarray, num_items: int, lengths: np.ndarray | None = None
) -> np.ndarray:
    """Where the entries of each item begin when they are sorted, and the end: (N + 1,) int64.

    Each of items (n,) has one entry, or as many as its place in `lengths` (n,).
    """
    places = np.zeros(num_items + 1, np.int64)
    for k, item in enumerate(items):
        places[item + 1] += 1 if lengths is None else lengths[k]
    for item in range(num_items):
        places[item + 1] += places[item]
    return places


@jit()
def distinct_sorted(keys: np.ndarray) -> np.ndarray:
    """The distinct values of non-negative integers, sorted.

    A few are ranked by comparing each with all others. That has no branches and runs in vector
    registers (numba vectorises a loop over indices, not one over values), and is much faster than
    sorting.
    """
    ranked = np.full(len(keys), -1, keys.dtype)  # equal keys share a rank; gaps follow it
    if len(keys) > _MAX_RANKED:
        ordered = np.sort(keys)
        for i in range(len(keys)):
            if i == 0 or ordered[i] != ordered[i - 1]:
                ranked[i] = ordered[i]
    else:
        for i in range(len(keys)):
            rank = np.int32(0)
            for j in range(len(keys)):
                rank = np.int32(rank + np.int32(keys[j] < keys[i]))
            ranked[rank] = keys[i]
    count = 0
    for i in range(len(keys)):
        ranked[count] = ranked[i]
        count += ranked[i] >= 0
    return ranked[:count]
