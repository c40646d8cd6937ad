"""The edges of a list in ascending order, as arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from recsys_lab.readers.ids import Ranks


class EdgeRows(NamedTuple):
    """Edges in ascending order, as arrays (E,)."""

    sources: np.ndarray  # int32
    targets: np.ndarray  # int32
    values: np.ndarray  # float64
    types: np.ndarray  # int8, -1 for none

    def take(self, chosen: np.ndarray) -> "EdgeRows":
        """Some of the edges."""
        return EdgeRows(*(column[chosen] for column in self))

    def repeats(self, *, undirected: bool) -> np.ndarray:
        """Mask (E,) of the edges that repeat an earlier one."""
        columns = self
        if undirected:
            low, high = np.minimum(*self[:2]), np.maximum(*self[:2])
            order = np.lexsort((self.types, self.values, high, low))
            columns = EdgeRows(low, high, self.values, self.types).take(order)
        repeated = np.zeros(len(self.sources), bool)
        repeated[1:] = np.logical_and.reduce([column[1:] == column[:-1] for column in columns])
        if undirected:
            repeated[order] = repeated.copy()
        return repeated


def sorted_rows(table: pl.DataFrame, ranks: Ranks, names: Sequence[str]) -> EdgeRows:
    """Rows of the vocabulary, and values, sorted.

    Both ends are packed into one number to sort by; hashing the lines takes four times the memory.
    """
    key = ranks.of_code[table["source"].to_numpy()].astype(np.int64)
    key <<= 31
    key |= ranks.of_code[table["target"].to_numpy()]
    values = table["value"].to_numpy()
    types = np.full(len(key), -1, np.int8)
    for number, name in enumerate(names):
        types[(table["type"] == name).fill_null(False).to_numpy()] = number
    order = np.lexsort((types, values, key)) if names else np.lexsort((values, key))
    key = key[order]
    return EdgeRows(
        (key >> 31).astype(np.int32),
        (key & (2**31 - 1)).astype(np.int32),
        values[order],
        types[order],
    )
