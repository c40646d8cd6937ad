"""Who lists whom, collected as integers."""

from array import array

import numba
import numpy as np

from recsys_lab.catalog.ids import Ranks
from recsys_lab.catalog.ordering import sort_pairs
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
        codes_of_sources, codes_of_targets = self.codes()
        lengths = np.frombuffer(self._lengths, np.int32)
        relations = np.frombuffer(self._relations, np.int32).astype(np.int8)
        sources = np.repeat(ranks.of_code[codes_of_sources], lengths)
        targets = ranks.of_code[codes_of_targets]
        outside, itself = targets < 0, sources == targets
        report.note("listings of outside items", int(outside.sum()))
        report.note("self-listings", int(itself.sum()))
        relations = np.repeat(relations, lengths)
        unusable = outside | itself
        if unusable.any():
            sources, targets, relations = (
                column[~unusable] for column in (sources, targets, relations)
            )
        sources, targets, relations = sort_pairs(sources, targets, relations, len(ranks.ids))
        before, count = len(sources), _keep_distinct(sources, targets, relations)
        report.note("repeated listings", before - count)
        return sources[:count], targets[:count], relations[:count]


@numba.njit(nogil=True, cache=True)
def _keep_distinct(sources: np.ndarray, targets: np.ndarray, relations: np.ndarray) -> int:
    """Move the distinct triples to the front, relations in order, and return their number.

    The triples come sorted by source and target.
    """
    count = k = 0
    while k < len(sources):
        source, target, found = sources[k], targets[k], 0
        while k < len(sources) and sources[k] == source and targets[k] == target:
            found |= 1 << relations[k]
            k += 1
        relation = 0
        while found >> relation:
            if found >> relation & 1:
                sources[count], targets[count], relations[count] = source, target, relation
                count += 1
            relation += 1
    return count
