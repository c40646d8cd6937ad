"""Steps of `scan`'s state machine: one value at a time, strict, and -1 at any doubt.

Each function takes the bytes, the place where a value begins and whether the line is a Python
literal, and returns the place behind the value. Nothing here steps over a line feed, which ends
every block, so that no step needs to look how long the block is.
"""

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.readers.ids import MAX_PACKED, store_id

_FEED, _BACKSLASH, _SINGLE, _DOUBLE = 10, 92, 39, 34
_IS_PLAIN = np.ones(256, np.bool_)  # bytes that need no look inside a string
_IS_PLAIN[:32] = False
_IS_PLAIN[[_BACKSLASH, _SINGLE, _DOUBLE]] = False
_JSON_ESCAPES = np.zeros(256, np.bool_)
_JSON_ESCAPES[list(b'"\\/bfnrt')] = True
_LITERAL_ESCAPES = np.zeros(256, np.bool_)
_LITERAL_ESCAPES[list(b"\"\\'abfnrtv")] = True
_HEX = np.zeros(256, np.bool_)
_HEX[list(b"0123456789abcdefABCDEF")] = True
_MAX_DEPTH = 60
_MAX_DIGITS = 15


@jit()
def skip_blanks(data: np.ndarray, i: int) -> int:
    """The place of the next byte that is no space or tab."""
    while data[i] == 32 or data[i] == 9:
        i += 1
    return i


@jit()
def skip_string(data: np.ndarray, i: int, literal: bool) -> int:
    """Step over a string whose quote stands at i."""
    quote = data[i]
    if quote != _DOUBLE and not (literal and quote == _SINGLE):
        return -1
    i += 1
    while True:
        while _IS_PLAIN[data[i]]:
            i += 1
        c = data[i]
        if c == quote:
            return i + 1
        if c == _BACKSLASH:
            i = _skip_escape(data, i + 1, literal)
            if i < 0:
                return -1
        elif c < 32:
            return -1
        else:
            i += 1  # the other quote


@jit()
def _skip_escape(data: np.ndarray, i: int, literal: bool) -> int:
    """Step over an escape whose letter stands at i; surrogates are left."""
    c = data[i]
    if _LITERAL_ESCAPES[c] if literal else _JSON_ESCAPES[c]:
        return i + 1
    digits = 4 if c == ord("u") else 2 if literal and c == ord("x") else 0
    if digits == 0 or (digits == 4 and (data[i + 1] == ord("d") or data[i + 1] == ord("D"))):
        return -1
    for k in range(digits):
        if not _HEX[data[i + 1 + k]]:
            return -1
    return i + 1 + digits


@jit()
def _skip_number(data: np.ndarray, i: int) -> int:
    """Step over a short number without exponent."""
    i += data[i] == ord("-")
    first = i
    while ord("0") <= data[i] <= ord("9"):
        i += 1
    digits = i - first
    if digits == 0 or (digits > 1 and data[first] == ord("0")):
        return -1
    if data[i] == ord("."):
        point = i
        i += 1
        while ord("0") <= data[i] <= ord("9"):
            i += 1
        if i == point + 1:
            return -1
        digits += i - point - 1
    return i if digits <= _MAX_DIGITS else -1


@jit()
def _skip_word(data: np.ndarray, i: int, literal: bool) -> int:
    """Step over one of the three names."""
    for word in (b"None", b"True", b"False") if literal else (b"null", b"true", b"false"):
        k = 0
        while k < len(word) and data[i + k] == word[k]:
            k += 1
        if k == len(word):
            return i + k
    return -1


@jit()
def skip_value(data: np.ndarray, i: int, literal: bool) -> int:
    """Step over any value that begins at i."""
    depth = 0
    kinds = 0  # a bit for each open level, the innermost last: 1 for an object
    while True:
        c = data[i]
        if c == ord("[") or c == ord("{"):
            if depth == _MAX_DEPTH:
                return -1
            depth += 1
            kinds = kinds << 1 | (c == ord("{"))
            i = skip_blanks(data, i + 1)
            if data[i] != c + 2:  # "]" and "}" stand two behind their openers
                if kinds & 1:
                    i = skip_key(data, i, literal)
                    if i < 0:
                        return -1
                continue
            depth, kinds, i = depth - 1, kinds >> 1, i + 1
        elif c in (_SINGLE, _DOUBLE):
            i = skip_string(data, i, literal)
        elif c == ord("-") or ord("0") <= c <= ord("9"):
            i = _skip_number(data, i)
        else:
            i = _skip_word(data, i, literal)
        if i < 0:
            return -1
        while depth > 0:  # behind a value
            i = skip_blanks(data, i)
            if data[i] == ord(","):
                i = skip_blanks(data, i + 1)
                if kinds & 1:
                    i = skip_key(data, i, literal)
                    if i < 0:
                        return -1
                break
            if data[i] != (ord("}") if kinds & 1 else ord("]")):
                return -1
            depth, kinds, i = depth - 1, kinds >> 1, i + 1
        else:
            return i


@jit()
def skip_key(data: np.ndarray, i: int, literal: bool) -> int:
    """Step over a key and its colon, to the value."""
    i = skip_string(data, i, literal)
    if i < 0:
        return -1
    i = skip_blanks(data, i)
    return skip_blanks(data, i + 1) if data[i] == ord(":") else -1


@jit()
def find_key(data: np.ndarray, i: int, names: np.ndarray, fields: np.ndarray) -> int:
    """What the key whose first byte stands at i is for: a field, -1 for none, -2 at an escape."""
    length, quote = 0, data[i - 1]
    while data[i + length] != quote:
        if data[i + length] == _BACKSLASH:
            return -2
        length += 1
    for row in range(len(names)):
        if names[row, 0] == length:
            k = 0
            while k < length and names[row, k + 1] == data[i + k]:
                k += 1
            if k == length:
                return fields[row]
    return -1


@jit()
def skip_id(data: np.ndarray, i: int, literal: bool, words: np.ndarray, row: int) -> int:
    """Step over a string of 1 to 15 bytes without escapes; pack it into a row of words (n, 2)."""
    quote = data[i]
    if quote != _DOUBLE and not (literal and quote == _SINGLE):
        return -1
    i += 1
    high = low = np.uint64(0)
    length = 0
    while _IS_PLAIN[data[i]] and length < 8:
        high = (high << np.uint64(8)) | np.uint64(data[i])
        i, length = i + 1, length + 1
    if length == 8:
        while _IS_PLAIN[data[i]] and length <= MAX_PACKED:
            low = (low << np.uint64(8)) | np.uint64(data[i])
            i, length = i + 1, length + 1
    if data[i] != quote or length == 0 or length > MAX_PACKED:
        return -1
    store_id(high, low, length, words, row)
    return i + 1
