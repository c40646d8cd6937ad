"""Files of metadata that do not hold one record in a line, rewritten as lines of records.

- JSON arrays, on one line, on many, or pretty-printed; pretty-printed objects one after the other;
  one object that holds a record for each id.
- CSV with a header; a cell that is a list or an object as text is read as such.
- `amazon-meta.txt` of SNAP: `ASIN:`, `title:`, `similar:` and paths of categories.
"""

import csv
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import orjson

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.readers import opening
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.lines import read_blocks, read_chunks
from recsys_lab.readers.literals import parse_line

_BOM = b"\xef\xbb\xbf"
_IDS = ("asin", "parent_asin")
_SNAP = re.compile(rb"(#[^\n]*\n|\s|Total items:[^\n]*\n)*Id:\s+\d+\s*\n(\s*ASIN:)", re.MULTILINE)
_OF_IDS = re.compile(rb"\s*\{\s*\"(?!related\"|salesRank\"|details\")[^\"]*\"\s*:\s*\{")
_ARRAY = re.compile(rb"\s*\[\s*(\{|$)")
_OBJECT = re.compile(rb"\s*\{\s*[\"'}]")
_LABEL = re.compile(r"\[\d+\]$")  # number of a category of SNAP, behind its name
_MOST_HEADER = 10_000  # bytes
_BLOCK = 5_000  # records rewritten at a time


def read_records(path: str) -> Iterator[bytes | None]:
    """Blocks of lines with a record each, as `read_blocks` gives them; None for a line too long.

    Raises:
        CatalogError: the file cannot be read.
    """
    chunks = read_chunks(path)
    first = next(chunks).removeprefix(_BOM)
    again = chain([first], chunks)
    line = first.lstrip().split(b"\n", 1)[0].strip()
    if _SNAP.match(first):
        return _lines_of(_snap_records(_whole_lines(again)))
    if _ARRAY.match(first):
        return _objects(again, 1)
    if _OBJECT.match(first):
        record = _parse(line)
        if isinstance(record, dict):
            nested = not set(_IDS) & set(record) and all(
                isinstance(x, dict) for x in record.values()
            )
            return _objects(again, 1) if nested and record else read_blocks(path)
        is_begun = line == b"{" or (b"\n" not in first and len(first) >= opening.BLOCK_BYTES)
        if is_begun and _OF_IDS.match(first):
            return _objects(again, 1)
        # Pretty-printed JSON begins with a brace alone; another first line is one bad record.
        return _objects(again, 0) if is_begun else read_blocks(path)
    header = line[:_MOST_HEADER].decode(errors="replace").replace('"', "").split(",")
    if set(_IDS) & {name.strip() for name in header}:
        return _lines_of(_csv_records(_whole_lines(again), path))
    return read_blocks(path)


def _parse(line: bytes) -> object:
    try:
        return parse_line(line)
    except ValueError:
        return None


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """The lines of chunks, with their ends."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield f"{line.decode(errors='replace')}\n"
    if rest:
        yield rest.decode(errors="replace")


def _lines_of(records: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    lines: list[bytes] = []
    for record in records:
        lines.append(orjson.dumps(record))
        if len(lines) == _BLOCK:
            yield b"\n".join(lines) + b"\n"
            lines.clear()
    if lines:
        yield b"\n".join(lines) + b"\n"


# -- JSON ----------------------------------------------------------------------------------------


def _objects(chunks: Iterator[bytes], base: int) -> Iterator[bytes]:
    """The objects that begin at a depth of nesting, each on a line of its own."""
    state = np.zeros(3, np.int64)  # depth, within a string, after a backslash
    rest = b""
    for chunk in chunks:
        text = np.frombuffer(chunk, np.uint8)
        out = np.empty(2 * len(text), np.uint8)
        length = _split_objects(text, out, state, base)
        whole = rest + out[:length].tobytes()
        end = whole.rfind(b"\n") + 1
        if end:
            yield whole[:end]
        rest = whole[end:]
    if rest:
        yield rest + b"\n"  # an object without an end: a bad line


@jit()
def _split_objects(text: np.ndarray, out: np.ndarray, state: np.ndarray, base: int) -> int:
    """Copy what is inside of objects that begin at depth `base`; line ends become spaces there."""
    depth, in_string, escaped = state
    n = 0
    for c in text:
        if in_string:
            if escaped:
                escaped = 0
            elif c == ord("\\"):
                escaped = 1
            elif c == ord('"'):
                in_string = 0
        elif c == ord('"'):
            in_string = 1
        elif c == ord("{") or c == ord("["):
            depth += 1
        elif c == ord("}") or c == ord("]"):
            depth -= 1
        if depth > base or (depth == base and c == ord("}") and not in_string):
            out[n] = ord(" ") if c == ord("\n") or c == ord("\r") else c
            n += 1
            if depth == base:
                out[n] = ord("\n")
                n += 1
    state[0], state[1], state[2] = depth, in_string, escaped
    return n


# -- CSV -----------------------------------------------------------------------------------------


def _csv_records(lines: Iterator[str], path: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(1 << 27)
    try:
        for row in csv.DictReader(lines, restval=""):
            yield {name: _value(cell) for name, cell in row.items() if name and cell}
    except csv.Error as error:
        raise CatalogError(f"{path}: the CSV file is damaged ({error}); repair it") from error


def _value(cell: str) -> Any:
    """A cell; as a list or an object where it is one as text."""
    if cell[:1] in ("[", "{"):
        try:
            return parse_line(cell.encode())
        except ValueError:
            return cell
    return cell


# -- amazon-meta.txt -----------------------------------------------------------------------------


def _snap_records(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Records of SNAP's file, whose "similar" items are those bought by the same people."""
    record: dict[str, Any] = {}
    for raw in lines:
        line = raw.strip()
        if line.startswith("Id:"):
            if record:
                yield record
            record = {}
        elif line.startswith("ASIN:"):
            record["asin"] = line[5:].strip()
        elif line.startswith("title:"):
            record["title"] = line[6:].strip()
        elif line.startswith("similar:"):
            record["related"] = {"also_bought": line[8:].split()[1:]}
        elif line.startswith("|"):
            path = [_LABEL.sub("", label) for label in line.split("|")[1:]]
            record.setdefault("categories", []).append(path)
    if record:
        yield record
