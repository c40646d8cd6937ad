"""Plain Amazon records read from the bytes of many lines at once, without Python objects.

A state machine walks over a block of lines. A line that is written in the plainest form of JSON or
of a Python literal comes out taken apart; any doubt (an odd escape, a repeated key, a list that
holds more than ids, an id beyond 15 bytes, a number that is not short, anything malformed) leaves
the line to `literals.parse_line`, which decides what it means. What is taken apart here means the
same there: the tests hold the two against each other.
"""

from dataclasses import dataclass

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.readers.literals import GROWTH, transcode
from recsys_lab.readers.scan_records import ASIN, RELATED, RELATION, TEXTS, scan_lines

BETWEEN = b"\0"  # the texts of a field that has two; plain JSON holds no such byte
_NULL = b"null"
_FIELDS = {  # of an item: the texts that tell it, by number
    "title": [TEXTS.index("title")],
    "brand": [TEXTS.index("brand")],
    "categories": [TEXTS.index("categories"), TEXTS.index("category")],
    "price": [TEXTS.index("price")],
}


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
    record |= {"asin": ASIN, "related": RELATED}
    record |= {flat: RELATION + number for number, (_, flat) in relations.items()}
    related = {nested: RELATION + number for number, (nested, _) in relations.items()}
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
            empty where there is none. For "title" a JSON list instead; for "categories" two
            values, `BETWEEN` them: of `categories` and `category`.
        odd_titles: (F,) whether the title may mean more than its characters say.
        lists: (S, 3) int32: plain record, relation and length of each list of ids.
        targets: (T, 2) uint64, the ids in all lists, one list after the other.
    """

    block: bytes
    starts: np.ndarray
    is_plain: np.ndarray
    item_ids: np.ndarray
    texts: dict[str, np.ndarray]
    odd_titles: np.ndarray
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
    is_text = block.isascii() or _is_utf8(block)
    data = np.frombuffer(block, np.uint8)
    keys = (names.record, names.record_fields, names.related, names.related_fields)
    starts, is_plain, item_ids, lists, targets, spans = scan_lines(data, is_text, keys)
    is_literal = data[starts[:-1][is_plain] + 1] == ord("'")
    texts = {
        field: _write_texts(data, is_literal, spans[:, numbers], field == "title")
        for field, numbers in _FIELDS.items()
    }
    odd_titles = _odd_texts(data, spans[:, TEXTS.index("title")])
    return ScannedBlock(block, starts, is_plain, item_ids, texts, odd_titles, lists, targets)


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


@jit()
def _write_texts(
    data: np.ndarray, is_literal: np.ndarray, spans: np.ndarray, as_list: bool
) -> np.ndarray:
    """The JSON of one field of every record, ended by a line feed each or all as one list.

    The field stands in spans (F, P, 2): F records, P texts of each.
    """
    size = 8 * len(spans) + 2
    for row in range(len(spans)):
        for start, end in spans[row]:
            size += GROWTH * (end - start)
    out = np.empty(size, np.uint8)
    n = 0
    if as_list:
        out[n], n = ord("["), n + 1
    for row in range(len(spans)):
        for start, end in spans[row]:
            if end == 0 and as_list:
                for k in range(4):
                    out[n + k] = _NULL[k]
                n += 4
            elif is_literal[row]:
                n += transcode(data[start:end], out[n:])
            else:
                out[n : n + end - start] = data[start:end]
                n += end - start
            out[n], n = BETWEEN[0], n + 1
        out[n - 1] = ord(",") if as_list else 10
    if as_list:
        out[n - 1] = ord("]")  # in place of the last comma
    return out[:n]


@jit()
def _odd_texts(data: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Which values (n, 2) are no text, or may hold an escape, an entity or white space around."""
    odd = np.ones(len(spans), np.bool_)
    for row in range(len(spans)):
        start, end = spans[row]
        if end - start > 2 and (data[start] == ord("'") or data[start] == ord('"')):
            bad = not (_is_visible(data[start + 1]) and _is_visible(data[end - 2]))
            for k in range(start, end):
                bad |= (data[k] == ord("&")) | (data[k] == ord("\\"))
            odd[row] = bad
    return odd


@jit()
def _is_visible(byte: int) -> bool:
    """Whether a byte is a character of ASCII by itself, and no white space."""
    return 32 < byte < 127
