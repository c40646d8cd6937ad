"""The state of reading an Amazon file: what its records say, and what became of every line."""

from collections.abc import Callable, Iterable, Mapping
from itertools import compress
from typing import Any

import numpy as np
import orjson

from recsys_lab.readers.account import ReadAccount
from recsys_lab.readers.fields import read_brand, read_categories, read_price, read_title
from recsys_lab.readers.ids import IdCodes
from recsys_lab.readers.items import ItemBuffer, pack_categories
from recsys_lab.readers.listings import ListingBuffer
from recsys_lab.readers.literals import parse_line
from recsys_lab.readers.scan import BETWEEN, Names, ScannedBlock, key_names

RELATIONS = ("also_bought", "also_viewed", "bought_together", "buy_after_viewing")
_NAMES_2018 = {"also_bought": "also_buy", "also_viewed": "also_view"}
_CACHED = 1 << 16  # values of a field that are remembered


class Reading:
    """What has been read so far.

    A record whose line is plain comes out of `scan.scan_block`, many at a time; any other is
    parsed by itself. Both ways mean the same.

    Attributes:
        names: the keys of a record that matter, for `scan_block`.
        account: counts.
        first_bad: number of the first bad line, from 1; 0 for none.
        codes: of the ids; those of filtered records are among them.
        listings: of the kept records, as codes.
        items: side information of the kept records.
    """

    def __init__(
        self, relation_weights: Mapping[str, float], require_title: bool, min_also_bought: int
    ) -> None:
        self.account = ReadAccount()
        self.first_bad = 0
        self.codes = IdCodes()
        self.listings = ListingBuffer()
        self.items = ItemBuffer()
        self._require_title = require_title
        self._min_also_bought = min_also_bought
        self._used = np.array([relation_weights.get(name, 0.0) > 0 for name in RELATIONS])
        self._looked_at = {  # number: name of 2014, name of 2018
            number: (name, _NAMES_2018.get(name, name))
            for number, name in enumerate(RELATIONS)
            if self._used[number] or (number == 0 and min_also_bought > 0)
        }
        self.names: Names = key_names(self._looked_at)

    def take_block(self, block: ScannedBlock | None) -> None:
        """Take the lines of a block (None: one line, which is too long)."""
        if block is None:
            self.account.lines += 1
            self._count_bad("too long", self.account.lines)
            return
        before = self.account.lines
        self.account.lines += len(block.is_plain)
        if len(block.item_ids):
            self._take_plain(block)
        for number, line in block.left():
            self._take_line(line, before + number + 1)

    def _take_plain(self, block: ScannedBlock) -> None:
        """Take all records that were taken apart already."""
        kept = np.ones(len(block.item_ids), bool)
        targets = self.codes.encode_packed(block.targets)
        titles, title_notes = _titles(
            orjson.loads(block.texts["title"].data), np.flatnonzero(block.odd_titles)
        )
        if self._require_title:
            kept = np.array([title is not None for title in titles])
            self.account.drop("filtered: no title", int((~kept).sum()))
        if self._min_also_bought > 0:
            enough = _num_also_bought(block, targets) >= self._min_also_bought
            self.account.drop("filtered: few also_bought", int((kept & ~enough).sum()))
            kept &= enough
        columns = {}
        for column, (field, values) in _COLUMNS.items():
            texts = block.texts[field].tobytes().split(b"\n")
            columns[column] = values.of(compress(texts, kept.tolist()), self.account)
        codes = self.codes.encode_packed(block.item_ids[kept])
        self.items.extend(codes.tolist(), list(compress(titles, kept.tolist())), **columns)
        for row, found in title_notes.items():
            self.account.notes.update(found if kept[row] else ())
        self.account.kept += len(codes)
        self._add_lists(block, kept, codes, targets)

    def _add_lists(
        self, block: ScannedBlock, kept: np.ndarray, codes: np.ndarray, targets: np.ndarray
    ) -> None:
        """Add the lists of the kept records, whose codes are given."""
        rows, relations, lengths = block.lists.T
        wanted = kept[rows] & self._used[relations]
        if not wanted.all():
            targets = targets[np.repeat(wanted, lengths)]
            rows, relations, lengths = rows[wanted], relations[wanted], lengths[wanted]
        sources = codes[np.cumsum(kept)[rows] - 1]
        self.listings.extend(sources, relations, lengths, targets)

    def _count_bad(self, reason: str, number: int) -> None:
        self.account.dropped[reason] += 1
        self.first_bad = self.first_bad or number

    def _take_line(self, line: bytes, number: int) -> None:
        """Keep the record of one line, or count why not."""
        if not line or line.isspace():
            self.account.dropped["blank"] += 1
            return
        try:
            record = parse_line(line)
        except ValueError:
            self._count_bad("malformed", number)
            return
        bad = self._take_record(record)
        if bad is not None:
            self._count_bad(bad, number)

    def _take_record(self, record: object) -> str | None:
        """Keep or filter a record; the reason if it is bad."""
        if not isinstance(record, dict):
            return "not an object"
        item = record.get("asin")
        if not isinstance(item, str) or not item:
            return "no id"
        notes: list[str] = []
        title = read_title(record.get("title"), notes)
        if title is None and self._require_title:
            self.account.dropped["filtered: no title"] += 1
            return None
        lists = self._read_lists(record, notes)
        if self._min_also_bought > 0:
            bought = {target for number, targets in lists if number == 0 for target in targets}
            if len(bought) < self._min_also_bought:
                self.account.dropped["filtered: few also_bought"] += 1
                return None
        code = self.codes.encode([item])
        for number, targets in lists:
            if self._used[number]:
                relation, length = np.array([[number], [len(targets)]], np.int32)
                self.listings.extend(code, relation, length, self.codes.encode(targets))
        categories = read_categories(record.get("categories"), record.get("category"), notes)
        self.items.extend(
            code.tolist(),
            [title],
            [read_brand(record.get("brand"), notes)],
            [pack_categories(categories)],
            [read_price(record.get("price"), notes)],
        )
        self.account.notes.update(notes)
        self.account.kept += 1
        return None

    def _read_lists(self, record: dict[str, Any], notes: list[str]) -> list[tuple[int, list[str]]]:
        """The usable targets of each list in the record, with the number of its relation."""
        related = record.get("related")
        if not isinstance(related, dict):
            if related is not None:
                notes.append("related of a wrong type")
            related = {}
        lists = []
        for number, (name, name_2018) in self._looked_at.items():
            for targets in (related.get(name), record.get(name_2018)):
                if not targets:
                    continue
                if not isinstance(targets, list):
                    notes.append(f"{name} of a wrong type")
                    continue
                usable = [t for t in targets if isinstance(t, str) and t]
                notes += ["listings without an id"] * (len(targets) - len(usable))
                lists.append((number, usable))
        return lists


def _titles(values: list[Any], odd: np.ndarray) -> tuple[list[str | None], dict[int, list[str]]]:
    """Titles in plain text, where only those in the rows `odd` may not be; and notes by row."""
    noted: dict[int, list[str]] = {}
    for row in odd.tolist():
        notes: list[str] = []
        values[row] = read_title(values[row], notes)
        if notes:
            noted[row] = notes
    return values, noted


class _Values(dict[bytes, Any]):
    """Values of a field by the texts they were read from, as `ScannedBlock.texts` has them."""

    def __init__(self, read: Callable[..., Any]) -> None:
        self._read = read
        self._notes: dict[bytes, list[str]] = {}  # where there are any

    def of(self, texts: Iterable[bytes], account: ReadAccount) -> list[Any]:
        """The value of each text; what there is to say about them is noted."""
        if len(self) > _CACHED:
            self.clear()
            self._notes.clear()
        texts = list(texts)
        values = list(map(self.__getitem__, texts))
        for text in filter(self._notes.__contains__, texts):
            account.notes.update(self._notes[text])
        return values

    def __missing__(self, text: bytes) -> Any:
        notes: list[str] = []
        parts = [orjson.loads(part) if part else None for part in text.split(BETWEEN)]
        value = self._read(*parts, notes)
        self[text] = value
        if notes:
            self._notes[text] = notes
        return value


def _read_packed_categories(paths: object, flat: object, notes: list[str]) -> str | None:
    return pack_categories(read_categories(paths, flat, notes))


_COLUMNS = {  # of the items: the field they are read from, and the values remembered
    "brands": ("brand", _Values(read_brand)),
    "categories": ("categories", _Values(_read_packed_categories)),
    "prices": ("price", _Values(read_price)),
}


def _num_also_bought(block: ScannedBlock, targets: np.ndarray) -> np.ndarray:
    """Number of distinct items under also_bought in each plain record."""
    rows = np.repeat(block.lists[:, 0], block.lists[:, 2]).astype(np.int64)
    bought = np.repeat(block.lists[:, 1] == 0, block.lists[:, 2])
    distinct = np.unique(rows[bought] << 32 | targets[bought])
    return np.bincount(distinct >> 32, minlength=len(block.item_ids))
