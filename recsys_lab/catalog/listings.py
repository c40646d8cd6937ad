"""Who lists whom, collected as integers."""

from array import array

import numba
import numpy as np

from recsys_lab.catalog.ids import Ranks
from recsys_lab.catalog.ordering import distinct_sorted, order_by_item
from recsys_lab.catalog.report import ReadReport


class ListingBuffer:
    """Listings as they are read: one segment for each list, four bytes for each target."""

    def __init__(self) -> None:
        self._targets = array("i")
        self._sources = array("i")  # of each segment, as the two below
        self._relations = array("i")
        self._lengths = array("i")

    def extend(
        self, sources: np.ndarray, relations: np.ndarray, lengths: np.ndarray, targets: np.ndarray
    ) -> None:
        """Append lists: (S,) source, relation and length of each, and all their targets, as codes.

        All are int32.
        """
        self._targets.frombytes(targets.tobytes())
        self._sources.frombytes(sources.tobytes())
        self._relations.frombytes(relations.tobytes())
        self._lengths.frombytes(lengths.tobytes())

    def codes(self) -> tuple[np.ndarray, np.ndarray]:
        """The codes of all sources and of all targets, with repetitions."""
        return np.frombuffer(self._sources, np.int32), np.frombuffer(self._targets, np.int32)

    def distinct(
        self, ranks: Ranks, report: ReadReport
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distinct (source, target, relation) triples, sorted: each (E,).

        Sources and targets are rows of the vocabulary, both int32, relations int8. Listings of
        items that do not stay and of the item itself are left out and noted, as repeats are.
        """
        sources, targets = self.codes()
        relations = np.frombuffer(self._relations, np.int32)
        lengths = np.frombuffer(self._lengths, np.int32)
        lists = (ranks.of_code[sources], relations, lengths)
        columns, outside, itself = _distinct(*lists, targets, ranks.of_code, len(ranks.ids))
        report.note("listings of outside items", outside)
        report.note("self-listings", itself)
        report.note("repeated listings", len(targets) - outside - itself - len(columns[0]))
        return columns


@numba.njit(nogil=True, cache=True)
def _distinct(
    sources: np.ndarray,
    relations: np.ndarray,
    lengths: np.ndarray,
    targets: np.ndarray,
    of_code: np.ndarray,
    num_items: int,
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], int, int]:
    """The distinct triples, the listings of items that do not stay, and those of the item itself.

    Args:
        sources: (S,) row of the vocabulary that each list belongs to.
        relations: (S,) of each list.
        lengths: (S,) of each list.
        targets: (T,) codes, one list after the other.
        of_code: row of each code, or -1.
        num_items: rows of the vocabulary.
    """
    order, ends = order_by_item(sources, num_items)
    starts = np.cumsum(lengths) - lengths
    columns = (
        np.empty(len(targets), np.int32),
        np.empty(len(targets), np.int32),
        np.empty(len(targets), np.int8),
    )
    keys = np.empty(64, np.int64)
    count = outside = itself = first = 0
    for source in range(num_items):
        lists = order[first : ends[source]]
        first = ends[source]
        most = 0
        for k in lists:
            most += lengths[k]
        if most > len(keys):
            keys = np.empty(2 * most, np.int64)
        found = 0
        for k in lists:
            for place in range(starts[k], starts[k] + lengths[k]):
                target = of_code[targets[place]]
                outside += target < 0
                itself += target == source
                if target >= 0 and target != source:
                    keys[found] = np.int64(target) << 8 | relations[k]
                    found += 1
        for key in distinct_sorted(keys[:found]):
            columns[0][count] = source
            columns[1][count] = key >> 8
            columns[2][count] = key & 255
            count += 1
    return (columns[0][:count], columns[1][:count], columns[2][:count]), outside, itself
