"""Ready-made sequences, such as sessions, in the forms that users have them in.

- A sequence in a line, its items separated by tabs, commas, semicolons or white space, whichever is
  the first that occurs in half of the lines; or a name, a tab, and items with commas between them.
- JSON: a list in a line.
- Events: a header that names a column of sessions or users and one of items; rows of one session
  make a sequence, in the order of a column of times if there is one, else in that of the file.

Files are unpacked as lists of edges are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import polars as pl

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import show, split_line
from recsys_lab.readers.lines import read_batches

_SAMPLE = 1000
_BOM = "\ufeff"
_SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", " ": "white space"}
_SESSIONS = frozenset(
    [
        "session",
        "session_id",
        "sessionid",
        "basket",
        "basket_id",
        "visit",
        "visit_id",
        "order",
        "order_id",
        "user",
        "user_id",
        "userid",
        "customer",
        "customer_id",
        "visitor",
        "visitorid",
        "household_id",
    ]
)
_ITEMS = frozenset(
    [
        "item",
        "item_id",
        "itemid",
        "product",
        "product_id",
        "productid",
        "asin",
        "article",
        "article_id",
        "sku",
        "movie",
        "movieid",
        "movie_id",
        "track",
        "track_id",
        "parent_asin",
    ]
)
_TIMES = frozenset(
    [
        "time",
        "timestamp",
        "ts",
        "date",
        "datetime",
        "event_time",
        "created_at",
        "unixreviewtime",
        "order_number",
        "step",
    ]
)


@dataclass(frozen=True)
class SequenceRows:
    """Items of sequences, in order.

    Attributes:
        sequence: (M,) int64, number of the sequence of each place, ascending.
        items: (M,) raw ids.
        said: what was understood of the file.
    """

    sequence: np.ndarray
    items: pl.Series
    said: str


def read_sequences(path: str) -> SequenceRows:
    """Read all sequences of a file, a folder of parts, or a pattern.

    Raises:
        CatalogError: the file cannot be read, or a line is no sequence.
    """
    lines = [line for line in _lines(path) if line.strip()]
    if not lines:
        raise CatalogError(f"{path} holds no sequence; give a file with one in a line")
    sample = lines[:_SAMPLE]
    if sample[0].lstrip().startswith("["):
        return _from_lists([_json_list(line, path) for line in lines], "JSON lists")
    separator = next(
        (s for s in _SEPARATORS if 2 * sum(s in line for line in sample) >= len(sample)), " "
    )
    names = [cell.strip().lower() for cell in split_line(sample[0], separator, quoted=True) or []]
    if events := _event_columns(names):
        return _from_events(lines, separator, names, events, path)
    if separator == "\t" and all(x.count("\t") == 1 and "," in x.split("\t")[1] for x in sample):
        rows = [_cells(line.split("\t")[-1], ",") for line in lines]
        return _from_lists(rows, "a name, a tab, and items between commas")
    said = f"items between {_SEPARATORS[separator]}"
    return _from_lists([_cells(line, separator) for line in lines], said)


def _lines(path: str) -> Iterator[str]:
    number = 0
    for batch in read_batches(path):
        for line in batch:
            number += 1
            try:
                yield ("" if line is None else line.decode()).removeprefix(_BOM)
            except UnicodeDecodeError as error:
                raise CatalogError(
                    f"{path}: line {number:,} is not UTF-8; convert the file, if it is Latin-1, "
                    "with iconv -f LATIN1 -t UTF-8 FILE > NEW"
                ) from error


def _cells(line: str, separator: str) -> list[str]:
    cells = split_line(line, separator, quoted=True) or []
    return [cell.strip() for cell in cells] if separator in ",;" else cells  # as in "a, b"


def _json_list(line: str, path: str) -> list[str]:
    try:
        value = orjson.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, list) or any(isinstance(x, list | dict) for x in value):
        raise CatalogError(f"{path}: {show(line)} is no JSON list of items, as the first line is")
    return [x if isinstance(x, str) else orjson.dumps(x).decode() for x in value if x is not None]


def _from_lists(rows: Sequence[list[str]], said: str) -> SequenceRows:
    table = pl.DataFrame({"item": pl.Series(rows, dtype=pl.List(pl.String))}).with_row_index("row")
    table = table.explode("item").filter(pl.col("item") != "")
    first = ", ".join(rows[0][:3])
    return SequenceRows(
        table["row"].to_numpy().astype(np.int64),
        table["item"],
        f"{len(rows):,} sequences, {said}; the first begins {show(first)}",
    )


def _event_columns(names: Sequence[str]) -> tuple[int, int, int | None] | None:
    """Places of session, item and time in a header; None where it names no events."""
    places = {
        kind: next((k for k, name in enumerate(names) if name in known), None)
        for kind, known in (("session", _SESSIONS), ("item", _ITEMS), ("time", _TIMES))
    }
    session, item = places["session"], places["item"]
    return None if session is None or item is None else (session, item, places["time"])


def _from_events(
    lines: Sequence[str],
    separator: str,
    names: Sequence[str],
    columns: tuple[int, int, int | None],
    path: str,
) -> SequenceRows:
    session, item, time = columns
    rows = [_cells(line, separator) for line in lines[1:]]
    wrong = next((k for k, row in enumerate(rows) if len(row) != len(names)), None)
    if wrong is not None:
        raise CatalogError(
            f"{path}: {show(lines[wrong + 1])} has {len(rows[wrong])} columns, the header "
            f"{', '.join(names)} has {len(names)}: repair the line"
        )
    table = pl.DataFrame(
        {"session": [row[session] for row in rows], "item": [row[item] for row in rows]}
    )
    if time is not None:
        text = pl.Series("time", [row[time] for row in rows])
        number = text.cast(pl.Float64, strict=False)
        table = table.with_columns(number if number.null_count() == 0 else text)
        table = table.sort("time", maintain_order=True)
    numbered = table.with_columns(row=_numbers(table))
    numbered = numbered.sort("row", maintain_order=True).filter(pl.col("item") != "")
    order = f"in the order of {names[time]}" if time is not None else "in the order of the file"
    return SequenceRows(
        numbered["row"].to_numpy().astype(np.int64),
        numbered["item"],
        f"events: {table['session'].n_unique():,} sequences by {names[session]}, items of "
        f"{names[item]}, {order}",
    )


def _numbers(table: pl.DataFrame) -> pl.Series:
    """Number of each row's session, in the order in which the sessions come."""
    sessions = table["session"].unique(maintain_order=True)
    numbers = pl.DataFrame({"session": sessions, "row": np.arange(len(sessions))})
    return table.join(numbers, on="session", how="left", maintain_order="left")["row"]
