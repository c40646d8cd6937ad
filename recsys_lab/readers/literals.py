r"""One line of a catalogue, as strict JSON or as a Python literal, without evaluating anything.

The 2014 Amazon files hold one Python dict literal per line. A state machine rewrites such a line
as JSON (quotes, escapes, None, True, False), and orjson checks and parses the result. Whatever
is not a plain literal is malformed. The rules where the two notations differ:

- tuples, sets, bytes, `r''` and `f''` strings, triple quotes, adjacent strings, `\N{...}`, comments
  and numbers that `repr` would not write (`1.`, `0x1f`, `1_000`) are refused; `u''` is read;
- `nan`, `inf`, `NaN`, `Infinity` (also negative) are null: there is no number;
- JSON's `true`, `false` and `null` are read too, so that a JSON line with a NaN survives;
- an escaped surrogate pair is the character it stands for, a lone surrogate is malformed;
- an integer beyond 64 bits becomes the nearest float, a number beyond a float is malformed;
- of a repeated key the last value stands; nesting beyond 1,024 levels is malformed.
"""

import numpy as np
import orjson

from recsys_lab.compute.kernel_cache import jit

_BOM = b"\xef\xbb\xbf"
_GROWTH = 6  # a raw control character of one byte becomes \u0001


def parse_line(line: bytes) -> object:
    """Parse one line of JSON or of a Python literal.

    Raises:
        ValueError: the line is neither.
    """
    line = line.removeprefix(_BOM)
    if line[1:2] != b"'":  # else a literal for certain: spare orjson the failing attempt
        try:
            return orjson.loads(line)
        except orjson.JSONDecodeError:
            pass
    return orjson.loads(literal_to_json(line))


def literal_to_json(line: bytes) -> bytes:
    """Rewrite a Python literal as JSON; the result is only valid JSON if the literal was sound.

    Raises:
        ValueError: the line holds something that no plain literal holds.
    """
    out = np.empty(_GROWTH * len(line), np.uint8)
    length = _transcode(np.frombuffer(line, np.uint8), out)
    if length < 0:
        raise ValueError("not a plain literal")
    return out[:length].tobytes()


def json_lines(block: bytes) -> list[bytes]:
    r"""The lines of a block as JSON that a parser may be trusted with which skips values.

    A line is empty in the result where `parse_line` alone can tell what it means: no plain literal,
    a number that may be beyond a float, or bytes that are no UTF-8.

    Args:
        block: lines that all end with `\n` or `\r\n`.
    """
    if block[1:2] == b"'":  # of literals; the lenient way takes those in other blocks
        out = np.empty(_GROWTH * len(block), np.uint8)
        block = out[: _transcode_lines(np.frombuffer(block, np.uint8), out)].tobytes()
    lines = block.split(b"\n")[:-1]
    return lines if _is_sound(block) else [line if _is_sound(line) else b"" for line in lines]


def _is_sound(text: bytes) -> bool:
    """Whether the text is UTF-8 and holds no number beyond a float."""
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return False
    return not _may_overflow(np.frombuffer(text, np.uint8))


@jit()
def _transcode_lines(block: np.ndarray, out: np.ndarray) -> int:
    """Write every line to out, literals as JSON and with a line feed behind each; their length."""
    first = n = 0
    for end in range(len(block)):
        if block[end] != ord("\n"):
            continue
        line = block[first : end - (end > first and block[end - 1] == ord("\r"))]
        if len(line) > 1 and line[1] == ord("'"):
            n += max(0, _transcode(line, out[n:]))
        else:
            out[n : n + len(line)] = line
            n += len(line)
        out[n] = ord("\n")
        first, n = end + 1, n + 1
    return n


@jit()
def _may_overflow(json: np.ndarray) -> bool:
    """Whether a number may be beyond a float: it has many digits or an exponent of three."""
    for end in range(1, len(json)):
        c = json[end]
        if (c > ord(",") and c != ord("]") and c != ord("}")) or c == ord('"'):
            continue  # no number ends here
        first = end
        while first > 0 and ord("0") <= json[first - 1] <= ord("9"):
            first -= 1
        before = json[first - 1]
        if end - first > _MAX_DIGITS or (
            end - first > 2 and (before | 32 == ord("e") or before == ord("+"))
        ):
            return True
    return False


_MAX_DIGITS = 200  # and an exponent of two digits: less than 1e308, which a float holds


@jit()
def _transcode(line: np.ndarray, out: np.ndarray) -> int:
    """Write the JSON form of the literal to out; its length, or -1."""
    i = n = np.int64(0)  # not literals, for which the functions below would be compiled once more
    last = 0  # the last byte that was not white space
    while i < len(line):
        c = line[i]
        if c == ord(" ") or c == ord("\t"):
            out[n] = ord(" ")
            i, n = i + 1, n + 1
            continue
        if c == ord("'") or c == ord('"'):
            i, n = _string(line, i, out, n)
        elif c == ord(",") and _closes(line, i + 1) and last not in (0, ord(","), *_OPENERS):
            i += 1  # a trailing comma
        elif c in _PUNCTUATION or ord("0") <= c <= ord("9"):
            out[n] = c
            i, n = i + 1, n + 1
        else:
            i, n = _name(line, i, out, n)
        if i < 0:
            return -1
        last = c
    return n  # type: ignore[return-value]


_OPENERS = (ord("["), ord("{"), ord(":"))
_PUNCTUATION = tuple(b"[]{}:,+-.eE")


@jit()
def _closes(line: np.ndarray, i: int) -> bool:
    """Whether the next byte after white space closes a list or dict."""
    while i < len(line) and (line[i] == ord(" ") or line[i] == ord("\t")):
        i += 1
    return i < len(line) and (line[i] == ord("]") or line[i] == ord("}"))


@jit()
def _name(line: np.ndarray, i: int, out: np.ndarray, n: int) -> tuple[int, int]:
    """None, True, False, a number that is none, or the prefix u; else (-1, n)."""
    end = i
    while end < len(line) and (
        ord("a") <= line[end] <= ord("z") or ord("A") <= line[end] <= ord("Z")
    ):
        end += 1
    name = line[i:end]
    if _equals(name, b"u") or _equals(name, b"U"):
        quoted = end < len(line) and (line[end] == ord("'") or line[end] == ord('"'))
        return (end, n) if quoted else (-1, n)
    if _equals(name, b"True") or _equals(name, b"true"):
        return end, _put(b"true", out, n)
    if _equals(name, b"False") or _equals(name, b"false"):
        return end, _put(b"false", out, n)
    if _equals(name, b"None") or _equals(name, b"null"):
        return end, _put(b"null", out, n)
    for word in (b"nan", b"inf", b"NaN", b"Infinity"):
        if _equals(name, word):
            n -= n > 0 and out[n - 1] == ord("-")
            return end, _put(b"null", out, n)
    return -1, n


@jit()
def _equals(name: np.ndarray, word: bytes) -> bool:
    if len(name) != len(word):
        return False
    for k in range(len(word)):  # noqa: SIM110 - numba has no all() over a generator
        if name[k] != word[k]:
            return False
    return True


@jit()
def _put(word: bytes, out: np.ndarray, n: int) -> int:
    for k in range(len(word)):
        out[n + k] = word[k]
    return n + len(word)


@jit()
def _string(line: np.ndarray, i: int, out: np.ndarray, n: int) -> tuple[int, int]:
    """Rewrite the string that opens at i; the places after it, or (-1, n)."""
    quote = line[i]
    out[n] = ord('"')
    i, n = i + 1, n + 1
    while i < len(line):
        c = np.int64(line[i])
        if c == quote:
            out[n] = ord('"')
            return i + 1, n + 1
        if c == ord("\\"):
            i, n = _escape(line, i + 1, out, n)
            if i < 0:
                return -1, n
        elif c == 0 or c == ord("\r"):  # Python ends its source there
            return -1, n
        else:
            n = _put_code(c, out, n) if c < 32 or c == ord('"') else _put_byte(c, out, n)
            i += 1
    return -1, n


@jit()
def _escape(line: np.ndarray, i: int, out: np.ndarray, n: int) -> tuple[int, int]:
    """Rewrite the escape whose letter stands at i; the places after it, or (-1, n)."""
    if i >= len(line):
        return -1, n
    c = line[i]
    for k in range(len(_SIMPLE)):
        if c == _SIMPLE[k]:
            return i + 1, _put_code(_SIMPLE_CODES[k], out, n)
    digits = 2 if c == ord("x") else 4 if c == ord("u") else 8 if c == ord("U") else 0
    if digits:
        code = _hexadecimal(line, i + 1, digits)
        return (i + 1 + digits, _put_code(code, out, n)) if 0 <= code <= 0x10FFFF else (-1, n)
    if ord("0") <= c <= ord("7"):
        code, end = 0, i
        while end < min(i + 3, len(line)) and ord("0") <= line[end] <= ord("7"):
            code = code * 8 + line[end] - ord("0")
            end += 1
        return end, _put_code(code, out, n)
    if c == ord("N") or c < 32:
        return -1, n
    return i, _put_code(ord("\\"), out, n)  # Python keeps the backslash of an unknown escape


_SIMPLE = b"\\'\"abfnrtv"
_SIMPLE_CODES = b"\\'\"\a\b\f\n\r\t\v"


@jit()
def _hexadecimal(line: np.ndarray, i: int, digits: int) -> int:
    """The value of so many hexadecimal digits at i, or -1."""
    if i + digits > len(line):
        return -1
    value = 0
    for k in range(i, i + digits):
        c = line[k]
        if ord("0") <= c <= ord("9"):
            value = value * 16 + c - ord("0")
        elif ord("a") <= c | 32 <= ord("f"):
            value = value * 16 + (c | 32) - ord("a") + 10
        else:
            return -1
    return value


@jit()
def _put_byte(c: int, out: np.ndarray, n: int) -> int:
    out[n] = c
    return n + 1


@jit()
def _put_code(code: int, out: np.ndarray, n: int) -> int:
    r"""Write a code point as \uNNNN, or as a pair of them."""
    if code > 0xFFFF:
        n = _put_code_unit(0xD7C0 + (code >> 10), out, n)
        return _put_code_unit(0xDC00 + (code & 0x3FF), out, n)
    return _put_code_unit(code, out, n)


@jit()
def _put_code_unit(unit: int, out: np.ndarray, n: int) -> int:
    out[n], out[n + 1] = ord("\\"), ord("u")
    for k in range(4):
        digit = (unit >> (12 - 4 * k)) & 15
        out[n + 2 + k] = digit + (ord("0") if digit < 10 else ord("a") - 10)
    return n + 6
