"""Who lists whom, collected as integers."""

from array import array

import numpy as np

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

    def columns(self, of_code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sources and targets as rows of the vocabulary, and the relations: each (E,)."""
        sources, targets = self.codes()
        lengths = np.frombuffer(self._lengths, np.int32)
        relations = np.frombuffer(self._relations, np.int32).astype(np.int8)
        return (
            np.repeat(of_code[sources], lengths),
            of_code[targets],
            np.repeat(relations, lengths),
        )


def drop_unusable(
    sources: np.ndarray, targets: np.ndarray, relations: np.ndarray, report: ReadReport
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Listings without those of items that do not stay and of the item itself, which are noted."""
    outside = targets < 0
    itself = sources == targets
    report.note("listings of outside items", int(outside.sum()))
    report.note("self-listings", int(itself.sum()))
    usable = ~(outside | itself)
    return sources[usable], targets[usable], relations[usable]


def distinct_listings(
    sources: np.ndarray, targets: np.ndarray, relations: np.ndarray, report: ReadReport
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct (source, target, relation) triples, sorted; repeats are noted.

    A triple of at most four relations is packed into 64 bits (31 + 31 + 2) and sorted as one
    number.
    """
    key = sources.astype(np.uint64)
    key <<= np.uint64(31)
    key |= targets.astype(np.uint64)
    key <<= np.uint64(2)
    key |= relations.astype(np.uint64)
    key.sort()
    if len(key):
        is_new = np.concatenate([[True], key[1:] != key[:-1]])
        report.note("repeated listings", len(key) - int(is_new.sum()))
        key = key[is_new]
    relations = (key & np.uint64(3)).astype(np.int8)
    key >>= np.uint64(2)
    targets = (key & np.uint64(2**31 - 1)).astype(np.int32)
    key >>= np.uint64(31)
    return key.astype(np.int32), targets, relations
