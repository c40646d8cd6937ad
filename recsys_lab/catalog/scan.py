"""Plain Amazon records read from the bytes of many lines at once, without Python objects.

A state machine walks over a block of lines. A line that is written in the plainest form of JSON or
of a Python literal comes out taken apart; any doubt (an odd escape, a repeated key, a list that
holds more than ids, an id beyond 15 bytes, a number that is not short, anything malformed) leaves
the line to `literals.parse_line`, which decides what it means. What is taken apart here means the
same there: the tests hold the two against each other.
"""

from dataclasses import dataclass

import numba
import numpy as np

from recsys_lab.catalog.literals import GROWTH, transcode
from recsys_lab.catalog.scan_values import find_key, skip_blanks, skip_id, skip_key, skip_value

TEXTS = ("title", "brand", "categories", "category", "price")
_NULL = b"null"
_NO_FIELD = -1
_ASIN, _RELATED, _RELATION = len(TEXTS), len(TEXTS) + 1, len(TEXTS) + 2


@dataclass(frozen=True)
class Names:
    """The keys that matter, as bytes: of a record, and of its `related`.

    Attributes:
        record: (R, 32) uint8, length first; record_fields: (R,) what the key stands for.
        related: (Q, 32) uint8; related_fields: (Q,) likewise.
    """

    record: np.ndarray
    record_fields: np.ndarray
    related: np.ndarray
    related_fields: np.ndarray


def key_names(relations: dict[int, tuple[str, str]]) -> Names:
    """The keys of a record, given the names of the lists that are wanted.

    Args:
        relations: number of a relation -> its name within `related`, its name beside it.
    """
    record = {name: number for number, name in enumerate(TEXTS)}
    record |= {"asin": _ASIN, "related": _RELATED}
    record |= {flat: _RELATION + number for number, (_, flat) in relations.items()}
    related = {nested: _RELATION + number for number, (nested, _) in relations.items()}
    return Names(*_pack(record), *_pack(related))


def _pack(names: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    packed = np.zeros((len(names), 32), np.uint8)
    for row, name in zip(packed, names, strict=True):
        row[0] = len(name)
        row[1 : len(name) + 1] = np.frombuffer(name.encode(), np.uint8)
    return packed, np.array(list(names.values()), np.int64)


@dataclass(frozen=True)
class ScannedBlock:
    """What a block of L lines says.

    Attributes:
        block: the lines, each with its end.
        starts: (L + 1,) where each line starts.
        is_plain: (L,) whether the line was taken apart, F of them; the others are left.
        item_ids: (F, 2) uint64, the id of each plain record (`ids.IdCodes`).
        texts: by field, the JSON of its value in each plain record, ended by a line feed each;
            empty where there is none. For `title` a JSON list instead.
        lists: (S, 3) int32: plain record, relation and length of each list of ids.
        targets: (T, 2) uint64, the ids in all lists, one list after the other.
    """

    block: bytes
    starts: np.ndarray
    is_plain: np.ndarray
    item_ids: np.ndarray
    texts: dict[str, np.ndarray]
    lists: np.ndarray
    targets: np.ndarray

    def left(self) -> list[tuple[int, bytes]]:
        """Number within the block and bytes of each line that is left."""
        return [
            (line, self.block[self.starts[line] : self.starts[line + 1] - 1].removesuffix(b"\r"))
            for line in np.flatnonzero(~self.is_plain).tolist()
        ]


def scan_block(block: bytes, names: Names) -> ScannedBlock:
    """Take the plain lines of a block apart; every line must end with a line feed."""
    try:
        block.decode()
        is_text = True
    except UnicodeDecodeError:
        is_text = False
    data = np.frombuffer(block, np.uint8)
    keys = (names.record, names.record_fields, names.related, names.related_fields)
    starts, is_plain, item_ids, lists, targets, spans = _scan(data, is_text, keys)
    is_literal = data[starts[:-1][is_plain] + 1] == ord("'")
    texts = {
        name: _write_texts(data, is_literal, spans[:, number], name == "title")
        for number, name in enumerate(TEXTS)
    }
    return ScannedBlock(block, starts, is_plain, item_ids, texts, lists, targets)


@numba.njit(nogil=True, cache=True)
def _scan(data: np.ndarray, is_text: bool, names: tuple) -> tuple:
    """Everything but the texts, of which it finds the places: spans (F, 5, 2)."""
    num_lines = 0
    for c in data:
        num_lines += c == 10
    starts = np.empty(num_lines + 1, np.int64)
    is_plain = np.zeros(num_lines, np.bool_)
    item_ids = np.zeros((num_lines, 2), np.uint64)
    spans = np.zeros((num_lines, len(TEXTS), 2), np.int64)
    lists = np.empty((len(data) // 4 + 1, 3), np.int32)
    targets = np.empty((len(data) // 4 + 1, 2), np.uint64)
    counts = np.zeros(2, np.int64)  # of lists and targets so far
    plain = i = 0
    for line in range(num_lines):
        starts[line] = i
        num_lists, num_targets = counts
        end = -1
        if data[i] == ord("{") and (is_text or _is_ascii(data, i)):
            found = (item_ids, spans, lists, targets, counts)
            end = _record(data, i, names, found, plain)
        if end > 0:
            lists[num_lists : counts[0], 0] = plain
            is_plain[line] = True
            plain += 1
            i = end
        else:  # take back what was found
            item_ids[plain], spans[plain] = 0, 0
            counts[0], counts[1] = num_lists, num_targets
            while data[i] != 10:
                i += 1
        i += 1
    starts[num_lines] = i
    lists, targets = lists[: counts[0]], targets[: counts[1]]
    return starts, is_plain, item_ids[:plain], lists, targets, spans[:plain]


@numba.njit(nogil=True, cache=True)
def _is_ascii(data: np.ndarray, i: int) -> bool:
    """Whether the line at i holds ASCII only."""
    while data[i] != 10:
        if data[i] >= 128:
            return False
        i += 1
    return True


@numba.njit(nogil=True, cache=True, inline="always")
def _record(data: np.ndarray, i: int, names: tuple, found: tuple, plain: int) -> int:
    """Take the record at i apart, to the end of its line; -1 if the line is left.

    It is number `plain` of those found.
    """
    literal = data[i + 1] == ord("'")
    item_ids, spans, lists, targets, counts = found
    seen = 0
    i = skip_blanks(data, i + 1)
    while True:
        key = i + 1
        i = skip_key(data, i, literal)
        if i < 0:
            return -1
        field = find_key(data, key, names[0], names[1])
        if field != _NO_FIELD and (field < 0 or seen >> field & 1):
            return -1  # an escape in a key, or the second of its name
        seen |= (field >= 0) << max(field, 0)
        start = i
        if field == _ASIN:
            i = skip_id(data, i, literal, item_ids, plain)
        elif field == _RELATED:
            i = _related(data, i, literal, names, found)
        elif field >= _RELATION:
            i = _id_list(data, i, literal, field - _RELATION, lists, targets, counts)
        else:
            i = skip_value(data, i, literal)
            if field >= 0:
                spans[plain, field, 0], spans[plain, field, 1] = start, i
        if i < 0:
            return -1
        i = skip_blanks(data, i)
        if data[i] == ord("}"):
            break
        if data[i] != ord(","):
            return -1
        i = skip_blanks(data, i + 1)
    i = skip_blanks(data, i + 1)
    i += data[i] == 13
    return i if data[i] == 10 and item_ids[plain, 1] != 0 else -1


@numba.njit(nogil=True, cache=True, inline="always")
def _related(data: np.ndarray, i: int, literal: bool, names: tuple, found: tuple) -> int:
    """Step over the value of `related`, an object, and add its lists."""
    _, _, lists, targets, counts = found
    if data[i] != ord("{"):
        return -1
    seen = 0
    i = skip_blanks(data, i + 1)
    while data[i] != ord("}"):
        key = i + 1
        i = skip_key(data, i, literal)
        if i < 0:
            return -1
        field = find_key(data, key, names[2], names[3])
        if field != _NO_FIELD and (field < 0 or seen >> field & 1):
            return -1
        seen |= (field >= 0) << max(field, 0)
        if field >= 0:
            i = _id_list(data, i, literal, field - _RELATION, lists, targets, counts)
        else:
            i = skip_value(data, i, literal)
        if i < 0:
            return -1
        i = skip_blanks(data, i)
        if data[i] == ord(","):
            i = skip_blanks(data, i + 1)
            if data[i] == ord("}"):
                return -1
        elif data[i] != ord("}"):
            return -1
    return i + 1


@numba.njit(nogil=True, cache=True, inline="always")
def _id_list(
    data: np.ndarray,
    i: int,
    literal: bool,
    relation: int,
    lists: np.ndarray,
    targets: np.ndarray,
    counts: np.ndarray,
) -> int:
    """Step over a list of ids and add it, unless it is empty."""
    if data[i] != ord("["):
        return -1
    before = count = counts[1]
    i = skip_blanks(data, i + 1)
    while data[i] != ord("]"):
        i = skip_id(data, i, literal, targets, count)
        if i < 0:
            return -1
        count += 1
        i = skip_blanks(data, i)
        if data[i] == ord(","):
            i = skip_blanks(data, i + 1)
            if data[i] == ord("]"):
                return -1
        elif data[i] != ord("]"):
            return -1
    if count > before:
        lists[counts[0], 1], lists[counts[0], 2] = relation, count - before
        counts[0], counts[1] = counts[0] + 1, count
    return i + 1


@numba.njit(nogil=True, cache=True)
def _write_texts(
    data: np.ndarray, is_literal: np.ndarray, spans: np.ndarray, as_list: bool
) -> np.ndarray:
    """The JSON of one field of every record: each ended by a line feed, or all as one list."""
    size = 8 * len(spans) + 2
    for row in range(len(spans)):
        size += GROWTH * (spans[row, 1] - spans[row, 0])
    out = np.empty(size, np.uint8)
    n = 0
    if as_list:
        out[n], n = ord("["), n + 1
    for row in range(len(spans)):
        start, end = spans[row]
        if end == 0 and as_list:
            for k in range(4):
                out[n + k] = _NULL[k]
            n += 4
        elif is_literal[row]:
            n += transcode(data[start:end], out[n:])
        else:
            out[n : n + end - start] = data[start:end]
            n += end - start
        out[n], n = ord(",") if as_list else 10, n + 1
    if as_list:
        out[n - 1] = ord("]")  # in place of the last comma
    return out[:n]
