"""The edges of a list in order, without those that repeat another.

They are sorted in ranges of their smaller item, so that beside the edges only a range needs memory.
The lines of a pair lie in one range, whichever item is first.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl

from recsys_lab.readers.ids import Ranks

_BYTES_OF_EDGE = 21  # that ordering takes beside the tables: those of EdgeRows, and a weight
_BYTES_WITHIN = 64  # that sorting takes for each edge of the largest range
_RANGE = 1 << 21  # edges; of one item there can be more


class EdgeRows(NamedTuple):
    """Edges as arrays (E,)."""

    sources: np.ndarray  # int32
    targets: np.ndarray  # int32
    values: np.ndarray  # float64
    types: np.ndarray  # int8, -1 for none

    def take(self, chosen: np.ndarray | slice) -> "EdgeRows":
        """Some of the edges."""
        return EdgeRows(*(column[chosen] for column in self))

    def put(self, place: np.ndarray | slice, rows: "EdgeRows") -> None:
        """Write edges over those of some places."""
        for column, new in zip(self, rows, strict=True):
            column[place] = new

    def in_order(self) -> "EdgeRows":
        """The edges by source, target, value and type."""
        # both ends are packed into one number to sort by, which is faster
        key = self.sources.astype(np.int64) << 31 | self.targets
        return self.take(np.lexsort((self.types, self.values, key)))

    def repeats(self, *, undirected: bool) -> np.ndarray:
        """Mask (E,) of the edges that repeat an earlier one; they are in order."""
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


def ordered_edges(
    tables: list[pl.DataFrame],
    ranks: Ranks,
    names: Sequence[str],
    *,
    undirected: bool,
    once: bool,
    require: Callable[[int], object],
) -> tuple[EdgeRows, int]:
    """The edges of tables, each range in order, and how many of them repeat another.

    Args:
        tables: with source and target (codes), value and type; the list is empty afterwards.
        ranks: of the codes.
        names: of the types, by their number.
        undirected: whether an edge with source and target exchanged repeats another, too.
        once: whether those that repeat another are left out.
        require: called with the bytes that this takes, before it does.
    """
    rows, bounds = _in_ranges(tables, ranks, names, require)
    kept = repeated = 0
    for begin, end in pairwise(bounds):
        part = rows.take(slice(begin, end)).in_order()
        mask = part.repeats(undirected=undirected)
        repeated += int(mask.sum())
        part = part.take(~mask) if once else part
        rows.put(slice(kept, kept + len(part.sources)), part)
        kept += len(part.sources)
    return rows.take(slice(kept)), repeated


def _in_ranges(
    tables: list[pl.DataFrame],
    ranks: Ranks,
    names: Sequence[str],
    require: Callable[[int], object],
) -> tuple[EdgeRows, list[int]]:
    """The edges by the range of their smaller item, else as they come; and the ranges' bounds."""
    counts = np.zeros(len(ranks.ids), np.int64)
    for table in tables:
        low = np.minimum(*(ranks.of_code[table[end].to_numpy()] for end in ("source", "target")))
        counts += np.bincount(low, minlength=len(counts))
    total = int(counts.sum())
    range_of_item = (np.cumsum(counts) - counts) // _RANGE
    sizes = np.bincount(range_of_item, weights=counts).astype(np.int64)
    ends = np.cumsum(sizes)
    require(_BYTES_OF_EDGE * total + _BYTES_WITHIN * int(sizes.max(initial=0)))
    rows = EdgeRows(*(np.empty(total, of) for of in (np.int32, np.int32, np.float64, np.int8)))
    filled = ends - sizes
    while tables:
        part = _rows(tables.pop(0), ranks, names)
        of_row = range_of_item[np.minimum(part.sources, part.targets)]
        order = np.argsort(of_row, kind="stable")
        part, of_row = part.take(order), of_row[order]
        begins = np.flatnonzero(np.diff(of_row, prepend=-1))
        for begin, end in pairwise([*begins, len(of_row)]):
            place = filled[of_row[begin]]
            rows.put(slice(place, place + end - begin), part.take(slice(begin, end)))
            filled[of_row[begin]] += end - begin
    return rows, [0, *ends.tolist()]


def _rows(table: pl.DataFrame, ranks: Ranks, names: Sequence[str]) -> EdgeRows:
    """The rows of a table, with items of the vocabulary."""
    types = np.full(len(table), -1, np.int8)
    if table["type"].dtype != pl.Null:
        for number, name in enumerate(names):
            types[(table["type"] == name).fill_null(False).to_numpy()] = number
    sources, targets = (ranks.of_code[table[end].to_numpy()] for end in ("source", "target"))
    return EdgeRows(sources, targets, table["value"].to_numpy(), types)
