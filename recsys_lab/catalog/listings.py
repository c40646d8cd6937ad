"""Who lists whom, collected as integers: raw ids are coded once and never held twice."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_lab.catalog.report import ReadReport


class IdCodes(dict[str, int]):
    """Codes of raw ids in the order of their first appearance; a new id gets the next one."""

    def __missing__(self, raw: str) -> int:
        code = self[raw] = len(self)
        return code

    def encode(self, raws: Iterable[str]) -> list[int]:
        """The code of every id."""
        return list(map(self.__getitem__, raws))


@dataclass(frozen=True)
class Ranks:
    """The sorted vocabulary and the place of every code in it.

    Attributes:
        ids: the raw ids that stay, sorted.
        of_code: (number of codes,) int32, the row of a code in ids, -1 where it does not stay.
    """

    ids: pl.Series
    of_code: np.ndarray


def rank_ids(codes: IdCodes, stays: np.ndarray) -> Ranks:
    """Sort the ids that stay; the result does not depend on the order of their codes."""
    ids = pl.Series("item", list(codes), dtype=pl.String).filter(pl.Series(stays, dtype=pl.Boolean))
    order = ids.arg_sort().to_numpy()
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    of_code = np.full(len(codes), -1, np.int32)
    of_code[stays] = rank
    return Ranks(ids.sort(), of_code)


class ListingBuffer:
    """Listings as they are read: one segment for each list, four bytes for each target."""

    def __init__(self) -> None:
        self._targets = array("i")
        self._sources = array("i")  # of each segment, as the two below
        self._relations = array("b")
        self._lengths = array("i")

    def add(self, source: int, relation: int, targets: list[int]) -> None:
        """Append the list of one item under one relation, all as codes."""
        self._targets.fromlist(targets)
        self._sources.append(source)
        self._relations.append(relation)
        self._lengths.append(len(targets))

    def columns(self, of_code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sources and targets as rows of the vocabulary, and the relations: each (E,)."""
        lengths = np.array(self._lengths, np.int32)
        sources = np.repeat(of_code[np.array(self._sources, np.int32)], lengths)
        relations = np.repeat(np.array(self._relations, np.int8), lengths)
        return sources, of_code[np.array(self._targets, np.int32)], relations


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
