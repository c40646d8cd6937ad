"""The state machine of `scan` at the level of records and their lists."""

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.readers.scan_values import find_key, skip_blanks, skip_id, skip_key, skip_value

TEXTS = ("title", "brand", "categories", "category", "price")
# what a key stands for: a text by its number; then the id, the object with lists, and the lists
ASIN, RELATED, RELATION = len(TEXTS), len(TEXTS) + 1, len(TEXTS) + 2
_NO_FIELD = -1


@jit()
def scan_lines(data: np.ndarray, is_text: bool, names: tuple) -> tuple:
    """Everything but what the texts say, of which it finds the places: spans (F, 5, 2)."""
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


@jit()
def _is_ascii(data: np.ndarray, i: int) -> bool:
    """Whether the line at i holds ASCII only."""
    while data[i] != 10:
        if data[i] >= 128:
            return False
        i += 1
    return True


@jit(inline="always")
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
        if field == ASIN:
            i = skip_id(data, i, literal, item_ids, plain)
        elif field == RELATED:
            i = _related(data, i, literal, names, found)
        elif field >= RELATION:
            i = _id_list(data, i, literal, field - RELATION, lists, targets, counts)
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


@jit(inline="always")
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
            i = _id_list(data, i, literal, field - RELATION, lists, targets, counts)
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


@jit(inline="always")
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
