"""Ready-made sequences, such as sessions, in the forms that users have them in.

- A sequence in a line, its items separated by tabs, `::`, commas, semicolons, bars or white space,
  whichever is the first that occurs in half of the lines; or a name, a tab or a colon, and items.
  A number of the line, or of its user, in front is left out. So are the -1 and -2 of SPMF.
- JSON: a list in a line, or an object with a list; or one document of them.
- Events: a header that names a column of sessions or users and one of items; rows of one session
  make a sequence, in the order of a column of times if there is one, else in that of the file.
  Events are read from JSON lines and Parquet, too; of Parquet also a column of lists.

Files are unpacked as lists of edges are.
"""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
import polars as pl

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.adjacency import two_levels
from recsys_lab.readers.cells import show, split_line
from recsys_lab.readers.column_names import plain_name, words
from recsys_lab.readers.columnar_tables import read_whole
from recsys_lab.readers.encodings import convert
from recsys_lab.readers.event_columns import event_columns
from recsys_lab.readers.event_rows import SequenceRows, from_events
from recsys_lab.readers.json_tables import parse
from recsys_lab.readers.lines import read_batches
from recsys_lab.readers.sequence_doubts import doubts_of_sequences

_SAMPLE = 1000
_BOM = "\ufeff"
_SEPARATORS = {
    "\t": "tabs", "::": "two colons", ",": "commas", ";": "semicolons", "|": "bars",
    " ": "white space",
}  # fmt: skip
_LISTS = words(
    "items itemids sequence sequences products productids history session basket events tracks "
    "asins movies articles list itemsequence sessionitems"
)
_FEWEST_LINES = 10
_WIDEST_EVENT = 4  # columns of events without a header; walks of one length are wider


def read_sequences(path: str) -> SequenceRows:
    """Read all sequences of a file, a folder of parts, or a pattern.

    Raises:
        CatalogError: the file cannot be read, or a line is no sequence.
    """
    if (table := read_whole(path)) is not None:
        return _from_table(table, path)
    lines = [line for line in _lines(path) if line.strip()]
    comments = sum(1 for _ in takewhile(lambda line: line.startswith("# "), lines))
    lines = lines[comments:] or lines
    if not lines:
        raise CatalogError(f"{path} holds no sequence; give a file with one in a line")
    if lines[0].lstrip()[:1] in ("[", "{"):
        return _from_json(lines, path)
    separator = None
    if lines[0].lower().startswith("sep=") and len(lines[0].rstrip()) == 5:  # of Excel
        separator, lines = lines[0][4], lines[1:]
    return _from_text(lines, separator or _separator(lines[:_SAMPLE]), path)


def _lines(path: str) -> Iterator[str]:
    number = 0
    for batch in read_batches(path):
        for line in batch:
            number += 1
            try:
                yield ("" if line is None else line.decode()).removeprefix(_BOM)
            except UnicodeDecodeError as error:
                raise CatalogError(
                    f"{path}: line {number:,} is not UTF-8; {convert(line or b'').rstrip(',')}"
                ) from error


# -- text ----------------------------------------------------------------------------------------


def _separator(sample: Sequence[str]) -> str:
    half = len(sample) / 2
    return next((s for s in _SEPARATORS if sum(s in line for line in sample) >= half), " ")


def _from_text(lines: Sequence[str], separator: str, path: str) -> SequenceRows:
    names = [cell.strip() for cell in split_line(lines[0], separator, quoted=True) or []]
    plain = [plain_name(name) for name in names]
    rows = [_cells(line, separator) for line in lines]
    if columns := event_columns(names, plain):
        wrong = next((k for k, row in enumerate(rows) if len(row) != len(names)), None)
        if wrong is not None:
            raise CatalogError(
                f"{path}: {show(lines[wrong])} has {len(rows[wrong])} columns, the header "
                f"{', '.join(names)} has {len(names)}: repair the line"
            )
        return from_events(rows[1:], columns, path)
    if (place := _list_column(plain)) is not None and len(names) > 1:
        cells = [row[place] if place < len(row) else "" for row in rows[1:]]
        return _from_lists([_items_of(cell) for cell in cells], f"lists in {names[place]}")
    if levels := two_levels(lines[:_SAMPLE]):
        _, inner = levels
        mark = "\t" if "\t" in lines[0] else ":"
        lists = [_cells(line.split(mark, 1)[-1].strip(), inner) for line in lines]
        said = f"a name, a {'tab' if mark != ':' else 'colon'}, and items between "
        return _from_lists(lists, said + _SEPARATORS[inner])
    if all(row and row[-1] == "-2" for row in rows[:_SAMPLE]):
        return _from_lists([[x for x in row if x not in ("-1", "-2")] for row in rows], "of SPMF")
    _refuse_events(rows, lines, path)
    said = f"items between {_SEPARATORS[separator]}"
    if _are_numbered(rows):
        return _from_lists([row[1:] for row in rows], f"a number, and {said}")
    return _from_lists(rows, said)


def _cells(line: str, separator: str) -> list[str]:
    cells = split_line(line, separator, quoted=True) or []
    return [cell.strip() for cell in cells] if separator in ",;|::" else cells  # as in "a, b"


def _list_column(plain: Sequence[str]) -> int | None:
    return next((plain.index(name) for name in _LISTS if name in plain), None)


def _items_of(cell: str) -> list[str]:
    """The items of a list in a cell: JSON, a Python literal, or text between commas or spaces."""
    if cell[:1] in ("[", "("):
        value = parse(cell.replace("(", "[").replace(")", "]"))
        if isinstance(value, list):
            return _texts(value)
        cell = cell.strip("[]()").replace("'", "")
    return _cells(cell, _separator([cell]))


def _are_numbered(rows: Sequence[list[str]]) -> bool:
    """Whether lines begin with their number, or that of their user."""
    begins = [row[0] for row in rows if row]
    if len(begins) < _FEWEST_LINES or not all(x.isdecimal() for x in begins):
        return False
    first = int(begins[0])
    return first in (0, 1) and [int(x) for x in begins] == list(range(first, first + len(begins)))


def _refuse_events(rows: Sequence[list[str]], lines: Sequence[str], path: str) -> None:
    """Refuse rows that look like events without a header, or with one that is not understood."""
    width = len(rows[-1])
    begins = {row[0] for row in rows if row}
    if (
        len(rows) >= _FEWEST_LINES
        and 2 <= width <= _WIDEST_EVENT
        and all(len(row) == width for row in rows)
        and 2 * len(begins) < len(rows)
    ):
        raise CatalogError(
            f"{path}: all lines have {width} columns and the first repeats, so they may be events, "
            f"the first line is {show(lines[0])}: put a header on top that names the columns, such "
            "as session_id, item_id, timestamp"
        )


def _from_lists(rows: Sequence[list[str]], said: str) -> SequenceRows:
    table = pl.DataFrame({"item": pl.Series(rows, dtype=pl.List(pl.String))}).with_row_index("row")
    table = table.explode("item", empty_as_null=True).filter(pl.col("item") != "")
    first = ", ".join(rows[0][:3])
    return SequenceRows(
        table["row"].to_numpy().astype(np.int64),
        table["item"],
        f"{len(rows):,} sequences, {said}; the first begins {show(first)}",
        doubts_of_sequences(rows),
    )


# -- JSON and Parquet ----------------------------------------------------------------------------


def _from_json(lines: Sequence[str], path: str) -> SequenceRows:
    first = parse(lines[0])
    values = [parse(line) for line in lines]
    is_document = first is None or (len(lines) == 1 and _is_nested(first))
    if is_document:
        value = parse("\n".join(lines))
        values = list(value.values() if isinstance(value, dict) else value or [])
        if not all(isinstance(x, list | dict) for x in values) or not values:
            raise CatalogError(f"{path} is no JSON document of sequences: write a list in a line")
    if isinstance(values[0], dict):
        return _from_objects(values, path)
    lists = [_json_list(value, path, line) for value, line in zip(values, lines, strict=False)]
    if is_document:
        lists = [_json_list(value, path, str(value)) for value in values]
    return _from_lists(lists, "JSON lists")


def _is_nested(value: Any) -> bool:
    """Whether one value holds several sequences."""
    if isinstance(value, list):
        return any(isinstance(x, list | dict) for x in value)
    return (
        isinstance(value, dict)
        and len(value) > 1
        and all(isinstance(x, list) for x in value.values())
    )


def _json_list(value: Any, path: str, line: str) -> list[str]:
    if not isinstance(value, list) or any(isinstance(x, list | dict) for x in value):
        raise CatalogError(f"{path}: {show(line)} is no JSON list of items, as the first line is")
    return _texts(value)


def _texts(values: Sequence[Any]) -> list[str]:
    return [x if isinstance(x, str) else str(x) for x in values if x is not None]


def _from_objects(values: Sequence[Any], path: str) -> SequenceRows:
    """Sequences of JSON objects, which hold a list each or are events."""
    objects = [value if isinstance(value, dict) else {} for value in values]
    names = list(dict.fromkeys(name for value in objects[:_SAMPLE] for name in value))
    plain = [plain_name(name) for name in names]
    lists = [k for k, name in enumerate(names) if isinstance(objects[0].get(name), list)]
    if columns := None if lists else event_columns(names, plain):
        rows = [["" if (x := v.get(name)) is None else str(x) for name in names] for v in objects]
        return from_events(rows, columns, path)
    known = [k for k in lists if plain[k] in _LISTS]
    if len(known or lists) != 1:
        raise CatalogError(
            f"{path}: a JSON object with {', '.join(names) or 'no keys'} is neither a sequence nor "
            "an event: write a list of items in a line, or objects with session_id, item_id and "
            "timestamp"
        )
    name = names[(known or lists)[0]]
    found = [_inner_items(value.get(name) or [], path) for value in objects]
    return _from_lists(found, f"JSON objects with lists in {name}")


def _inner_items(values: Sequence[Any], path: str) -> list[str]:
    """The items of a list of ids, or of events that are objects with one."""
    if values and isinstance(values[0], dict):
        names = list(values[0])
        columns = event_columns([*names, "session"], [*map(plain_name, names), "session"])
        if columns is None:
            raise CatalogError(
                f"{path}: events with {', '.join(names)} name no item: write item_id"
            )
        try:
            if columns.time is not None:
                time = names[columns.time]
                values = sorted(values, key=lambda event: event[time])
            values = [event[names[columns.item]] for event in values]
        except (KeyError, TypeError) as error:
            raise CatalogError(
                f"{path}: not all events of a sequence have {', '.join(names)}, the first is "
                f"{show(str(values[0]))}: write them alike"
            ) from error
    return _texts(values)


def _from_table(table: pl.DataFrame, path: str) -> SequenceRows:
    """Sequences of a table of events, or of its column of lists."""
    lists = [name for name, kind in table.schema.items() if isinstance(kind, pl.List | pl.Array)]
    if len(lists) == 1:
        rows = [_texts(row or []) for row in table[lists[0]].to_list()]
        return _from_lists(rows, f"lists in {lists[0]}")
    columns = event_columns(table.columns, [plain_name(name) for name in table.columns])
    if columns is None or lists:
        raise CatalogError(
            f"{path} has the columns {', '.join(table.columns)}: events need a session_id (or "
            "user_id) and an item_id"
        )
    text = table.select(pl.all().cast(pl.String).fill_null(""))
    return from_events(text.rows(), columns, path)
