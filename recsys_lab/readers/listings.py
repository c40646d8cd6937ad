"""The listings of a catalogue, collected as integers."""

from array import array

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.ordering import distinct_sorted, first_places
from recsys_lab.readers.account import ReadAccount
from recsys_lab.readers.ids import Ranks


class ListingBuffer:
    """Listings as they are read: one segment for each list, four bytes for each target."""

    def __init__(self) -> None:
        self._targets = array("i")
        self._sources = array("i")  # of each segment, as the two below
        self._relations = array("i")
        self._lengths = array("i")

    def __len__(self) -> int:
        return len(self._targets)

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

    def take(self, other: "ListingBuffer", code_of: np.ndarray) -> None:
        """Append the listings of another buffer, whose codes have other codes here."""
        sources, targets = other.codes()
        relations = np.frombuffer(other._relations, np.int32)
        lengths = np.frombuffer(other._lengths, np.int32)
        self.extend(code_of[sources], relations, lengths, code_of[targets])

    def codes(self) -> tuple[np.ndarray, np.ndarray]:
        """The codes of all sources and of all targets, with repetitions."""
        return np.frombuffer(self._sources, np.int32), np.frombuffer(self._targets, np.int32)

    def distinct(
        self, ranks: Ranks, account: ReadAccount
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
        account.note("listings of outside items", outside)
        account.note("self-listings", itself)
        account.note("repeated listings", len(targets) - outside - itself - len(columns[0]))
        return columns


@jit()
def _distinct(
    sources: np.ndarray,
    relations: np.ndarray,
    lengths: np.ndarray,
    targets: np.ndarray,
    of_code: np.ndarray,
    num_items: int,
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], int, int]:
    """The distinct triples, the listings of items that do not stay, and those of the item itself.

    A list has its row of the vocabulary in `sources`, its relation and its length. The codes in
    `targets` follow each other; `of_code` gives their rows, or -1.
    """
    begins = first_places(sources, num_items, lengths)
    ends = begins[:-1].copy()
    heads = np.empty(len(targets), np.int32)
    tails = np.empty(len(targets), np.int32)
    kinds = np.empty(len(targets), np.int8)
    outside = itself = first = 0
    for k, source in enumerate(sources):  # in reading order: random writes cost less than reads
        place = ends[source]
        for code in targets[first : first + lengths[k]]:
            target = of_code[code]
            outside += target < 0
            itself += target == source
            if target >= 0 and target != source:
                tails[place], kinds[place] = target, relations[k]
                place += 1
        ends[source] = place
        first += lengths[k]
    keys = np.empty(64, np.int64)
    count = 0
    for source in range(num_items):
        first, found = begins[source], ends[source] - begins[source]
        if found > len(keys):
            keys = np.empty(2 * found, np.int64)
        for k in range(found):
            keys[k] = np.int64(tails[first + k]) << 8 | kinds[first + k]
        for key in distinct_sorted(keys[:found]):
            heads[count], tails[count], kinds[count] = source, key >> 8, key & 255
            count += 1
    return (heads[:count], tails[:count], kinds[:count]), outside, itself
