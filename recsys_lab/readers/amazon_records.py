"""Lines of Amazon metadata to typed records.

The lines of a block are rewritten as JSON and decoded into `Record`, one after the other. A line
that the types refuse is parsed by itself: what is usable of it is kept, and the rest is noted.

msgspec decodes all but the lists of ids, of which it gives the JSON. A line has dozens of ids, so
their text takes a shorter way: a kernel splits lists of plain strings without making objects.
Any other list is parsed by orjson.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any

import msgspec
import numpy as np
import orjson

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.readers.literals import json_lines, parse_line

RELATIONS = {  # name in the files of 2014: all its names; the second one is that of 2018
    "also_bought": ("also_bought", "also_buy"),
    "also_viewed": ("also_viewed", "also_view"),
    "bought_together": ("bought_together",),
    "buy_after_viewing": ("buy_after_viewing",),
}

PARENT_IDS = "records with the id of the parent"  # the form of 2023

_NUMBERS = {name: number for number, name in enumerate(RELATIONS)}
_Id = Annotated[str, msgspec.Meta(min_length=1)]
_ABSENT = msgspec.Raw()


class Related(msgspec.Struct, gc=False):
    """The lists of one item by relation, as JSON, with the names of 2014 and of 2018."""

    also_bought: msgspec.Raw = _ABSENT
    also_buy: msgspec.Raw = _ABSENT
    also_viewed: msgspec.Raw = _ABSENT
    also_view: msgspec.Raw = _ABSENT
    bought_together: msgspec.Raw = _ABSENT
    buy_after_viewing: msgspec.Raw = _ABSENT


def _key(field: str) -> str:
    """The key of a field of `Record`: a dotted one is that of a flat table."""
    return field.replace("related_", "related.")


class Record(msgspec.Struct, gc=False, rename=_key):
    """One item as it is written; keys that are not named here are skipped.

    Its lists, as JSON, stand below `related` (2014), at the top (2018), or below a dotted key.
    """

    asin: _Id
    title: str | None = None
    brand: str | None = None
    store: str | None = None  # the brand in the form of 2023
    categories: list[list[str]] | None = None  # the form of 2014: paths
    category: list[str] | None = None  # the form of 2018: one path
    price: float | str | None = None
    related: Related | None = None
    also_bought: msgspec.Raw = _ABSENT
    also_buy: msgspec.Raw = _ABSENT
    also_viewed: msgspec.Raw = _ABSENT
    also_view: msgspec.Raw = _ABSENT
    bought_together: msgspec.Raw = _ABSENT
    buy_after_viewing: msgspec.Raw = _ABSENT
    related_also_bought: msgspec.Raw = _ABSENT
    related_also_buy: msgspec.Raw = _ABSENT
    related_also_viewed: msgspec.Raw = _ABSENT
    related_also_view: msgspec.Raw = _ABSENT
    related_bought_together: msgspec.Raw = _ABSENT
    related_buy_after_viewing: msgspec.Raw = _ABSENT


@dataclass
class Decoded:
    """What the lines of a block say.

    Attributes:
        records: of the lines that hold one; their lists are below.
        notes: place in records of a record that is not used whole, and why; one for each cause.
        dropped: number within the block of each other line, from 0, and why it holds no record.
        first_dropped: the first of these lines that is not blank.
        lists: (S, 3) int32: place in records, number of the relation and length of each list.
        targets: bytes of the ids in all lists, one after the other.
        target_lengths: (T,) int32, bytes of each id.
    """

    records: list[Record]
    notes: list[tuple[int, str]]
    dropped: list[tuple[int, str]]
    first_dropped: bytes
    lists: np.ndarray
    targets: np.ndarray
    target_lengths: np.ndarray


_NO_LISTS = Related()
WRONG_TYPE = " of a wrong type"
_decode = msgspec.json.Decoder(Record).decode


def decode_lines(block: bytes, relations: Collection[str]) -> Decoded:
    """The records of a block of whole lines; of their lists those of the relations are read."""
    records: list[Record] = []
    refused: list[int] = []
    for number, line in enumerate(json_lines(block)):
        try:
            records.append(_decode(line))
        except (ValueError, RecursionError):
            refused.append(number)
    notes: list[tuple[int, str]] = []
    dropped: list[tuple[int, str]] = []
    lists = _Lists()
    lists.take_plain(records, relations, notes)
    originals = block.split(b"\n") if refused else []
    first_dropped = b""
    for number in refused:
        value = _parse(originals[number].removesuffix(b"\r"))
        if isinstance(value, str):
            dropped.append((number, value))
            first_dropped = first_dropped or originals[number].strip()
            continue
        found: list[str] = []
        lists.take(len(records), value, relations, found)
        records.append(_usable_record(value, found))
        notes += [(len(records) - 1, note) for note in found]
    return Decoded(records, notes, dropped, first_dropped, *lists.arrays())


class _Lists:
    """The lists of the records of a block, as they are found."""

    def __init__(self) -> None:
        self._lists: list[np.ndarray] = []
        self._targets: list[bytes] = []
        self._lengths: list[np.ndarray] = []

    def take_plain(
        self, records: list[Record], relations: Collection[str], notes: list[tuple[int, str]]
    ) -> None:
        """Take the lists of decoded records."""
        related = [record.related or _NO_LISTS for record in records]
        raws: list[msgspec.Raw] = []
        names = [name for name in relations for _ in range(3 * len(RELATIONS[name]))]
        for written in (one for name in relations for one in RELATIONS[name]):
            raws += map(attrgetter(written), related)
            raws += map(attrgetter(written), records)
            raws += map(attrgetter(f"related_{written}"), records)
        text = np.frombuffer(b"\n".join(raws) + b"\n", np.uint8)
        ids = np.empty(len(text), np.uint8)
        id_lengths = np.empty(len(text) // 2, np.int32)
        lengths = np.empty(len(raws), np.int32)
        num_bytes, count = _split_lists(text, ids, id_lengths, lengths)
        self._targets.append(ids[:num_bytes].tobytes())
        self._lengths.append(id_lengths[:count])
        rows = np.flatnonzero(lengths > 0)
        kinds, places = np.divmod(rows, max(1, len(records)))
        numbers = np.array([_NUMBERS[name] for name in names], np.int32)[kinds]
        self._lists.append(np.column_stack([places, numbers, lengths[rows]]).astype(np.int32))
        for row in np.flatnonzero(lengths < 0).tolist():
            kind, place = divmod(row, len(records))
            found: list[str] = []
            self._add(place, names[kind], orjson.loads(bytes(raws[row])), found)
            notes += [(place, note) for note in found]

    def take(
        self, place: int, value: dict[str, Any], relations: Collection[str], notes: list[str]
    ) -> None:
        """Take what is usable of the lists of one record."""
        related = value.get("related")
        if not isinstance(related, dict):
            if related is not None:
                notes.append("related of a wrong type")
            related = {}
        for name in relations:
            for written in RELATIONS[name]:
                self._add(place, name, related.get(written), notes)
                self._add(place, name, value.get(written), notes)
                self._add(place, name, value.get(f"related.{written}"), notes)

    def _add(self, place: int, name: str, targets: object, notes: list[str]) -> None:
        if not targets:
            return
        if isinstance(targets, str) and targets.lstrip()[:1] == "[":
            with suppress(ValueError):
                targets = parse_line(targets.encode())
                notes.append("lists written as text")
        if not isinstance(targets, list):
            notes.append(name + WRONG_TYPE)
            return
        found = [_id_of(x) if isinstance(x, dict) else _usable_id(x) for x in targets]
        usable = [item.encode() for item in found if item]
        if len(usable) > sum(isinstance(x, str) and x != "" for x in targets):
            notes.append("lists of numbers or objects in place of ids")
        notes += ["listings without an id"] * (len(targets) - len(usable))
        self._lists.append(np.array([[place, _NUMBERS[name], len(usable)]], np.int32))
        self._targets += usable
        self._lengths.append(np.array([len(target) for target in usable], np.int32))

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lists, targets and target_lengths of `Decoded`."""
        targets = np.frombuffer(b"".join(self._targets), np.uint8)
        return np.concatenate(self._lists), targets, np.concatenate(self._lengths)


def _parse(line: bytes) -> dict[str, Any] | str:
    """The object of one line, which has an id, or the reason for which there is none."""
    if not line or line.isspace():
        return "blank"
    try:
        value = parse_line(line)
    except ValueError:
        return "malformed"
    if not isinstance(value, dict):
        return "not an object"
    return value if _id_of(value) else "no id"


def _id_of(value: dict[str, Any]) -> str:
    """The id of a record: `asin`, or in the form of 2023 `parent_asin`."""
    return _usable_id(value.get("asin")) or _usable_id(value.get("parent_asin"))


def _usable_id(item: object) -> str:
    """The text of an id, which may be a whole number; else empty."""
    if isinstance(item, int) and not isinstance(item, bool):
        return str(item)
    return item if isinstance(item, str) else ""


def _usable_record(value: dict[str, Any], notes: list[str]) -> Record:
    """What is usable of an object beside its lists."""
    if not value.get("asin"):
        notes.append(PARENT_IDS)
    elif not isinstance(value["asin"], str):
        notes.append("ids written as numbers")
    return Record(
        asin=_id_of(value),
        title=_usable_text(value, "title", notes),
        brand=_usable_text(value, "brand", notes),
        store=_usable_text(value, "store", notes),
        categories=_usable_paths(value.get("categories"), value.get("category"), notes),
        price=_usable_price(value.get("price"), notes),
    )


def _usable_text(value: dict[str, Any], name: str, notes: list[str]) -> str | None:
    text = value.get(name)
    if text is None or isinstance(text, str):
        return text
    notes.append(f"{name} of a wrong type")
    return None


def _usable_price(price: object, notes: list[str]) -> float | str | None:
    if price is None or (isinstance(price, int | float | str) and not isinstance(price, bool)):
        return price
    notes.append("price not understood")
    return None


def _usable_paths(paths: object, flat: object, notes: list[str]) -> list[list[str]]:
    """The labels of every path."""
    if not isinstance(paths, list):
        if paths is not None:
            notes.append("categories of a wrong type")
        paths = [] if flat is None else [flat]
    if paths and all(isinstance(label, str) for label in paths):
        paths = [paths]  # the form of 2023
    usable = []
    for path in paths:
        if not isinstance(path, list):
            notes.append("categories of a wrong type")
            continue
        usable.append([label for label in path if isinstance(label, str)])
        if len(usable[-1]) < len(path):
            notes.append("categories of a wrong type")
    return usable


@jit()
def _split_lists(
    text: np.ndarray, ids: np.ndarray, id_lengths: np.ndarray, lengths: np.ndarray
) -> tuple[int, int]:
    """Take lists of plain strings apart; bytes and number of the strings.

    Args:
        text: on each line a value as valid JSON, or nothing.
        ids: for the strings, one after the other.
        id_lengths: for the number of bytes of each string.
        lengths: for the number of strings on each line; -1 for what is no list, or holds anything
            but strings of at least one character without an escape.
    """
    i = n = count = 0
    for row in range(len(lengths)):
        first, first_byte = count, n
        is_plain = text[i] == ord("[") or text[i] == ord("\n")
        i += text[i] == ord("[")
        while text[i] != ord("\n") and is_plain:
            c = text[i]
            i += 1
            if c == ord('"'):
                start = n
                while text[i] != ord('"') and text[i] != ord("\\"):
                    ids[n] = text[i]
                    i, n = i + 1, n + 1
                is_plain = n > start and text[i] == ord('"')
                id_lengths[count] = n - start
                i, count = i + 1, count + 1
            else:
                is_plain = c == ord(",") or c == ord("]") or c == ord(" ") or c == ord("\t")
        if not is_plain:
            count, n = first, first_byte
        lengths[row] = count - first if is_plain else -1
        while text[i] != ord("\n"):
            i += 1
        i += 1
    return n, count
