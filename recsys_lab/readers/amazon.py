"""Amazon product metadata of 2014 and 2018, one record per line, to records."""

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress
from typing import Literal

import numpy as np

from recsys_lab.compute.checks import checked
from recsys_lab.compute.memory import check_reading
from recsys_lab.compute.parallel import map_in_order
from recsys_lab.compute.ranges import CountOrZero, RelationWeight, Share
from recsys_lab.readers.account import CatalogError, ReadAccount
from recsys_lab.readers.amazon_layouts import read_records
from recsys_lab.readers.amazon_records import (
    PARENT_IDS,
    RELATIONS,
    WRONG_TYPE,
    Decoded,
    Record,
    decode_lines,
)
from recsys_lab.readers.encodings import convert
from recsys_lab.readers.fields import read_brand, read_categories, read_price, read_title
from recsys_lab.readers.ids import IdCodes, rank_ids
from recsys_lab.readers.items import ItemBuffer, complete_items
from recsys_lab.readers.lines import full_parts
from recsys_lab.readers.listed_paths import Paths, join_paths
from recsys_lab.readers.listings import ListingBuffer
from recsys_lab.readers.literals import parse_line
from recsys_lab.readers.options import check_weights
from recsys_lab.readers.records import Records

BAD_REASONS = ("malformed", "too long", "not an object", "no id")
_BYTES_OF_LISTING, _BYTES_OF_ITEM = 13, 150  # that the records take beside what has been read
_REMEDIES = {
    "filtered: no title": "require_title=false",
    "filtered: few also_bought": "a smaller min_also_bought",
}


@checked
@dataclass(frozen=True)
class AmazonSource:
    """Amazon metadata: plain or gzip, strict JSON or Python literals, of 2014 or 2018.

    A record is dropped, and counted, when it is malformed, too long, not an object, without a
    usable id, or filtered; a field of a wrong type is only ignored, and noted. Records of the
    same item merge in a way that does not depend on their order: their listings unite, and the
    side information is that of the record with most fields, of equally full ones that whose JSON
    sorts first.

    Attributes:
        path: a file, a folder of parts, a pattern, or a list of these.
        relation_weights: weight of a listing by relation (names: RELATIONS); 0 ignores it.
        outside_items: whether listed items without a record of their own stay in the vocabulary.
        require_title: drop records without a title.
        min_also_bought: drop records that list fewer items under also_bought.
        max_bad_fraction: largest tolerated fraction of the non-blank lines that are no record.
    """

    path: Paths
    relation_weights: Mapping[str, RelationWeight]
    outside_items: Literal["keep", "drop"]
    require_title: bool
    min_also_bought: CountOrZero
    max_bad_fraction: Share

    def __post_init__(self) -> None:
        join_paths(self, ("path",))
        check_weights("relation_weights", self.relation_weights, RELATIONS)

    @property
    def files(self) -> dict[str, str]:
        """The metadata file."""
        return {"metadata": self.path}

    def read(self) -> Records:
        """Read all files.

        Raises:
            CatalogError: a file cannot be read, too many lines are bad, or nothing is left.
        """
        return self.join(self.read_part(*part) for part in self.parts())

    def parts(self) -> list[tuple[str]]:
        """The arguments of `read_part`, for each file that is not empty."""
        return [(file,) for file in full_parts(self.path)]

    def read_part(self, path: str) -> "AmazonPart":
        """Read some of the files, with ids coded by themselves."""
        reading = AmazonPart(self, path)

        def decode(block: bytes | None) -> Decoded | None:
            return None if block is None else decode_lines(block, reading.looked_at)

        with _garbage_uncollected():
            for decoded in map_in_order(decode, read_records(path)):
                reading.take_block(decoded)
        return reading

    def join(self, parts: Iterable["AmazonPart"]) -> Records:
        """The records of all parts, in the order of the files.

        Raises:
            CatalogError: too many lines are bad, or nothing is left.
        """
        following = iter(parts)
        whole = next(following)
        for part in following:
            whole.take_part(part)
        return _finish(self, whole)


@contextmanager
def _garbage_uncollected() -> Iterator[None]:
    """Pause the search for cycles, which takes a fifth of the time; the records hold none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class AmazonPart:
    """What has been read so far: codes of ids, listings and items of the kept records, counts."""

    def __init__(self, source: AmazonSource, path: str) -> None:
        self.account = ReadAccount()
        self.path = path  # of the first bad line
        self.first_bad = 0  # its number in the file, from 1
        self.first_bad_line = b""
        self.codes = IdCodes()
        self.listings = ListingBuffer()
        self.items = ItemBuffer()
        self._require_title = source.require_title
        self._min_also_bought = source.min_also_bought
        weights = source.relation_weights
        self._used = np.array([weights.get(name, 0.0) > 0 for name in RELATIONS])
        looked_at = {0} if source.min_also_bought > 0 else set()
        looked_at.update(np.flatnonzero(self._used).tolist())
        self.looked_at = [name for number, name in enumerate(RELATIONS) if number in looked_at]

    def take_block(self, decoded: Decoded | None) -> None:
        """Take the lines of a block (None: one line, which is too long)."""
        before = self.account.lines
        if decoded is None:
            self.account.lines += 1
            self._drop(before + 1, "too long")
            return
        self.account.lines += len(decoded.records) + len(decoded.dropped)
        if not self.first_bad:
            self.first_bad_line = decoded.first_dropped
        for number, reason in decoded.dropped:
            self._drop(before + number + 1, reason)
        titles = [read_title(record.title) for record in decoded.records]
        targets = self.codes.encode_bytes(decoded.targets, decoded.target_lengths)
        kept = self._filter(titles, decoded.lists, targets)
        self.account.notes.update(note for place, note in decoded.notes if kept[place])
        titles = list(compress(titles, kept.tolist()))
        codes = self._take_items(list(compress(decoded.records, kept.tolist())), titles)
        self._take_lists(decoded.lists, targets, kept, codes)

    def take_part(self, other: "AmazonPart") -> None:
        """Take what another part has read, behind what this one has."""
        if not self.first_bad:
            self.path, self.first_bad = other.path, other.first_bad
            self.first_bad_line = other.first_bad_line
        self.account.add(other.account)
        code_of = self.codes.take(other.codes)
        self.listings.take(other.listings, code_of)
        self.items.take(other.items, code_of)

    def _drop(self, number: int, reason: str) -> None:
        self.account.dropped[reason] += 1
        if reason in BAD_REASONS:
            self.first_bad = self.first_bad or number

    def _filter(
        self, titles: list[str | None], lists: np.ndarray, targets: np.ndarray
    ) -> np.ndarray:
        """Which records are kept, as booleans; the others are counted."""
        kept = np.ones(len(titles), bool)
        if self._require_title:
            kept = np.array([title is not None for title in titles], bool)
            self.account.drop("filtered: no title", int((~kept).sum()))
        if self._min_also_bought > 0:
            enough = _num_also_bought(lists, targets, len(titles)) >= self._min_also_bought
            self.account.drop("filtered: few also_bought", int((kept & ~enough).sum()))
            kept &= enough
        return kept

    def _take_items(self, records: list[Record], titles: list[str | None]) -> np.ndarray:
        """Take the items of records that are kept, with their titles in plain text; their codes."""
        notes: list[str] = []
        codes = self.codes.encode([record.asin for record in records])
        self.items.extend(
            codes.tolist(),
            titles,
            [read_brand(record.brand or record.store, notes) for record in records],
            [read_categories(record.categories, record.category) for record in records],
            [read_price(record.price, notes) for record in records],
        )
        self.account.notes.update(notes)
        self.account.kept += len(records)
        return codes

    def _take_lists(
        self, lists: np.ndarray, targets: np.ndarray, kept: np.ndarray, codes: np.ndarray
    ) -> None:
        """Take the used lists of the records that are kept, whose codes are given."""
        places, relations, lengths = lists.T
        wanted = kept[places] & self._used[relations]
        if not wanted.all():
            targets = targets[np.repeat(wanted, lengths)]
            places, relations, lengths = lists[wanted].T
        sources = codes[np.cumsum(kept)[places] - 1]
        self.listings.extend(sources, relations, lengths, targets)


def _num_also_bought(lists: np.ndarray, targets: np.ndarray, num_records: int) -> np.ndarray:
    """Number of distinct items under also_bought in each record."""
    places, relations, lengths = lists.T
    bought = np.repeat(relations == 0, lengths)
    distinct = np.unique(
        np.repeat(places, lengths).astype(np.int64)[bought] << 32 | targets[bought]
    )
    return np.bincount(distinct >> 32, minlength=num_records)


def _finish(source: AmazonSource, reading: AmazonPart) -> Records:
    """Check the counts, merge duplicates, sort the vocabulary and the listings."""
    account = reading.account
    account.refuse_bad(
        source.path,
        BAD_REASONS,
        source.max_bad_fraction,
        reading.first_bad,
        reading.first_bad_line.decode(errors="backslashreplace"),
        remedies={"": _remedy_of_line(reading.first_bad_line)},
        first_path=reading.path if len(source.parts()) > 1 else "",
    )
    account.refuse_empty(source.path, _REMEDIES)
    _refuse_wrong_lists(source, account)
    needed = _BYTES_OF_LISTING * len(reading.listings) + _BYTES_OF_ITEM * len(reading.codes)
    check_reading(source.path, account.lines, needed)
    metadata = reading.items.merged(account)
    stays = np.zeros(len(reading.codes), bool)  # codes of filtered records may be nobody's
    stays[metadata["code"].to_numpy()] = True
    if source.outside_items == "keep":
        for codes in reading.listings.codes():
            stays[codes] = True
    ranks = rank_ids(reading.codes, stays)
    rows = ranks.of_code[metadata["code"].to_numpy()]
    items = complete_items(ranks.ids, metadata.with_columns(row=rows))
    sources, targets, relations = reading.listings.distinct(ranks, account)
    if account.notes["listings of outside items"] and not len(sources):
        raise CatalogError(
            f"{source.path}: no listing is left ({account}); "
            "use outside_items=keep or a file whose items list each other"
        )
    weights = np.array([source.relation_weights.get(name, 0.0) for name in RELATIONS], np.float32)
    return Records(
        items,
        sources,
        targets,
        weights[relations],
        account,
        relations=relations,
        relation_names=tuple(RELATIONS),
        why_no_pairs="" if len(sources) else f"{source.path}: {_why_no_listings(account)}",
    )


def _remedy_of_line(line: bytes) -> str:
    """What to do about a line that is no record."""
    try:
        line.decode()
        record = parse_line(line)
    except UnicodeDecodeError:
        return convert(line)
    except ValueError:
        record = None
    if isinstance(record, dict):
        names = ", ".join(list(map(str, record))[:6]) or "no keys"
        return (
            f"a record needs an id, asin or parent_asin, and this one has {names}: rename the key "
            "that holds the id (a list of pairs is read by catalog=edges),"
        )
    if line[:1] in (b"{", b"["):
        ends = line.endswith(b",")
        return "take off the comma at the end of the lines" if ends else "repair the file"
    return (
        "give records of metadata, one in a line, or CSV with a column asin (pairs of items are "
        "read by catalog=edges),"
    )


def _refuse_wrong_lists(source: AmazonSource, account: ReadAccount) -> None:
    for name in RELATIONS:
        wrong = account.notes[name + WRONG_TYPE]
        if wrong > source.max_bad_fraction * account.kept:
            raise CatalogError(
                f"{source.path}: {name} is no list in {wrong:,} of {account.kept:,} records: write "
                f"lists of ids, or leave them out with relation_weights.{name}=0"
            )


def _why_no_listings(account: ReadAccount) -> str:
    if account.notes[PARENT_IDS] == account.kept:
        return (
            "this is the 2023 form: ids are parent_asin and bought_together is null everywhere, so "
            "it has no pairs; take the files of 2014 or 2018, or give pairs with catalog=edges"
        )
    count = f"{account.kept:,}"
    return (
        f"no record lists another item (related is null or absent in {count} of {count}, or its "
        f"relations weigh 0): take a file with {', '.join(RELATIONS)} ({account})"
    )
