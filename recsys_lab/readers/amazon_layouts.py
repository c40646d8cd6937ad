"""Files of metadata that do not hold one record in a line, rewritten as lines of records.

- JSON arrays, on one line, on many, or pretty-printed; pretty-printed objects one after the other;
  one object that holds a record for each id.
- CSV with a header, between commas, tabs, semicolons or bars; a cell that is a list or an object
  as text is read as such.
- Parquet and Arrow, with lists in columns or as text.
- `amazon-meta.txt` of SNAP: `ASIN:`, `title:`, `similar:` and paths of categories.
"""

import csv
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import polars as pl

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.readers import opening
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.columnar_tables import read_slices
from recsys_lab.readers.lines import begin, full_parts, read_blocks, read_chunks
from recsys_lab.readers.literals import parse_line

_BOM = b"\xef\xbb\xbf"
_IDS = ("asin", "parent_asin")
_SNAP = re.compile(rb"(#[^\n]*\n|\s|Total items:[^\n]*\n)*Id:\s+\d+\s*\n(\s*ASIN:)", re.MULTILINE)
_OF_IDS = re.compile(rb"\s*\{\s*\"(?!related\"|salesRank\"|details\")[^\"]*\"\s*:\s*\{")
_ARRAY = re.compile(rb"\s*\[\s*(\{|$)")
_OBJECT = re.compile(rb"\s*\{\s*[\"'}]")
_LABEL = re.compile(r"\[\d+\]$")  # number of a category of SNAP, behind its name
_MOST_HEADER = 10_000  # bytes
_NUMPY_LIST = re.compile(r"\[\s*(?:'[^']*'\s*)*\]")  # printed by NumPy: no commas
_QUOTED = re.compile(r"'([^']*)'")
_BLOCK = 5_000  # records rewritten at a time


def read_records(path: str) -> Iterator[bytes | None]:
    """Blocks of lines with a record each, as `read_blocks` gives them; None for a line too long.

    Each file of a path has a layout and a header of its own.

    Raises:
        CatalogError: a file cannot be read, or holds reviews or edges, or all are empty.
    """
    for file in full_parts(path):
        yield from _records_of_file(file)


def _records_of_file(path: str) -> Iterator[bytes | None]:
    """`read_records` of one file."""
    if (tables := read_slices(path, _BLOCK)) is not None:
        return _lines_of(_rows(tables))
    first, blocks = begin(path)
    first = first.removeprefix(_BOM)
    chunks = _without_mark(read_chunks(path, blocks))
    line = first.lstrip().split(b"\n", 1)[0].strip()
    if _SNAP.match(first):
        return _lines_of(_snap_records(_whole_lines(chunks)))
    if _ARRAY.match(first):
        return _objects(chunks, 1, elements=True)
    if _OBJECT.match(first):
        record = _parse(line)
        if isinstance(record, dict):
            _refuse_other_records(record, path)
            nested = not set(_IDS) & set(record) and all(
                isinstance(x, dict) for x in record.values()
            )
            if nested and record:
                return _objects(chunks, 1)
            return read_blocks(path, blocks=blocks)
        is_begun = line == b"{" or (b"\n" not in first and len(first) >= opening.BLOCK_BYTES)
        if is_begun and _OF_IDS.match(first):
            return _objects(chunks, 1)
        # Pretty-printed JSON begins with a brace alone; another first line is one bad record.
        return _objects(chunks, 0) if is_begun else read_blocks(path, blocks=blocks)
    header = line[:_MOST_HEADER].decode(errors="replace").replace('"', "")
    for delimiter in ",\t;|":
        if set(_IDS) & {name.strip() for name in header.split(delimiter)}:
            return _lines_of(_csv_records(_whole_lines(chunks), path, delimiter))
    return read_blocks(path, blocks=blocks)


def _without_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield next(chunks).removeprefix(_BOM)
    yield from chunks


def _refuse_other_records(record: dict[str, Any], path: str) -> None:
    """Refuse reviews, which have the id of an item, too, and records without any id."""
    if "reviewerID" in record or {"user_id", "rating"} <= set(record):
        raise CatalogError(
            f"{path} holds reviews, not metadata: a review lists no other items; give the file of "
            "metadata (meta_...), or pairs of items with catalog=edges"
        )


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
        lines.append(orjson.dumps(record, default=str))
        if len(lines) == _BLOCK:
            yield b"\n".join(lines) + b"\n"
            lines.clear()
    if lines:
        yield b"\n".join(lines) + b"\n"


def _rows(tables: Iterator[pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """The rows of tables without their missing values."""
    for table in tables:
        for row in table.iter_rows(named=True):
            yield {name: value for name, value in row.items() if value is not None}


# -- JSON ----------------------------------------------------------------------------------------


def _objects(chunks: Iterator[bytes], base: int, *, elements: bool = False) -> Iterator[bytes]:
    """The objects that begin at a depth of nesting, each on a line of its own.

    Args:
        chunks: of the file.
        base: the depth.
        elements: whether to give all elements of an array, those that are no objects, too.
    """
    state = np.zeros(3, np.int64)  # depth, within a string, after a backslash
    rest = b""
    split = _split_elements if elements else _split_objects
    for chunk in chunks:
        text = np.frombuffer(chunk, np.uint8)
        out = np.empty(2 * len(text), np.uint8)
        length = split(text, out, state, base)
        whole = rest + out[:length].tobytes()
        end = whole.rfind(b"\n") + 1
        if end:
            yield whole[:end]
        rest = whole[end:]
    if rest.strip():
        yield rest + b"\n"  # an object without an end: a bad line


@jit()
def _split_objects(text: np.ndarray, out: np.ndarray, state: np.ndarray, base: int) -> int:
    """Copy what is inside of objects that begin at depth `base`; line ends become spaces there."""
    n = 0
    for c in text:
        depth = _follow(c, state)
        if depth > base or (depth == base and c == ord("}") and not state[1]):
            out[n] = ord(" ") if c == ord("\n") or c == ord("\r") else c
            n += 1
            if depth == base:
                out[n] = ord("\n")
                n += 1
    return n


@jit()
def _split_elements(text: np.ndarray, out: np.ndarray, state: np.ndarray, base: int) -> int:
    """Copy the elements of arrays at depth `base`, with a line end for each comma between them."""
    n = 0
    for c in text:
        before, was_string = state[0], state[1]
        depth = _follow(c, state)
        is_end = not was_string and (
            (c == ord(",") and depth == base) or (depth < base and before == base)
        )
        if is_end:
            out[n] = ord("\n")
            n += 1
        elif depth > base or (depth == base and before >= base):
            out[n] = ord(" ") if c == ord("\n") or c == ord("\r") else c
            n += 1
    return n


@jit()
def _follow(c: int, state: np.ndarray) -> int:
    """The depth of nesting behind a byte of JSON, kept in the state with what a string needs."""
    if state[1]:
        if state[2]:
            state[2] = 0
        elif c == ord("\\"):
            state[2] = 1
        elif c == ord('"'):
            state[1] = 0
    elif c == ord('"'):
        state[1] = 1
    elif c == ord("{") or c == ord("["):
        state[0] += 1
    elif c == ord("}") or c == ord("]"):
        state[0] -= 1
    return state[0]


# -- CSV -----------------------------------------------------------------------------------------


def _csv_records(lines: Iterator[str], path: str, delimiter: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(1 << 27)
    try:
        for row in csv.DictReader(lines, restval="", delimiter=delimiter):
            yield {name: _value(cell) for name, cell in row.items() if name and cell}
    except csv.Error as error:
        raise CatalogError(f"{path}: the CSV file is damaged ({error}); repair it") from error


def _value(cell: str) -> Any:
    """A cell; as a list or an object where it is one as text."""
    if cell[:1] in ("[", "{"):
        try:
            return parse_line(cell.encode())
        except ValueError:
            return _QUOTED.findall(cell) if _NUMPY_LIST.fullmatch(cell) else cell
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
