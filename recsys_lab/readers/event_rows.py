"""Events, a session and an item in a row, to sequences."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import show
from recsys_lab.readers.column_names import words

# Plain names of columns, of several in a header the first in these lists.
_SESSIONS = words(
    "session sessionid sess visit visitid basket basketid order orderid invoice invoiceno "
    "invoiceid transaction transactionid playlist playlistid user userid customer customerid "
    "visitor visitorid reviewer reviewerid member memberid client clientid household "
    "householdid householdkey person personid"
)
_ITEMS = words(
    "item itemid product productid asin parentasin article articleid sku movie movieid track "
    "trackid song songid artist artistid book bookid isbn game gameid video videoid stockcode "
    "aid business businessid hotel hotelid news newsid recipe recipeid venue venueid location "
    "locationid"
)
_TIMES = words(
    "timestamp time ts t datetime eventtime eventdate date createdat unixreviewtime reviewtime "
    "invoicedate timeframe ordernumber addtocartorder step position tdat"
)
_SORTED_AS_TEXT = re.compile(r"\d{4}-\d\d(-\d\d.*)?|\d{4}/\d\d/\d\d.*")


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


@dataclass(frozen=True)
class EventColumns:
    """Places of session, item and, where there is one, time in a header with these names."""

    session: int
    item: int
    time: int | None
    names: Sequence[str]


def event_columns(names: Sequence[str], plain: Sequence[str]) -> EventColumns | None:
    """The columns of events; None where a header names none.

    Args:
        names: as written.
        plain: the same as `column_names.plain_name` gives them.
    """
    session, item, time = (
        next((plain.index(name) for name in known if name in plain), None)
        for known in (_SESSIONS, _ITEMS, _TIMES)
    )
    if session is None or item is None:
        return None
    return EventColumns(session, item, time, names)


def from_events(rows: Sequence[Sequence[str]], columns: EventColumns, path: str) -> SequenceRows:
    """Sequences of the items of each session, in the order of time, or of the file.

    Raises:
        CatalogError: the times cannot be sorted.
    """
    table = pl.DataFrame(
        {
            "session": pl.Series([row[columns.session] for row in rows], dtype=pl.String),
            "item": pl.Series([row[columns.item] for row in rows], dtype=pl.String),
        }
    )
    order = "in the order of the file"
    if columns.time is not None:
        times = _sortable([row[columns.time] for row in rows], columns.names[columns.time], path)
        table = table.with_columns(times).sort("time", maintain_order=True)
        order = f"in the order of {columns.names[columns.time]}"
    numbered = table.with_columns(row=_numbers(table))
    numbered = numbered.sort("row", maintain_order=True).filter(pl.col("item") != "")
    return SequenceRows(
        numbered["row"].to_numpy().astype(np.int64),
        numbered["item"],
        f"events: {table['session'].n_unique():,} sequences by {columns.names[columns.session]}, "
        f"items of {columns.names[columns.item]}, {order}",
    )


def _sortable(cells: Sequence[str], name: str, path: str) -> pl.Series:
    """Times as numbers, or as text that sorts like the times."""
    text = pl.Series("time", cells, dtype=pl.String)
    number = text.cast(pl.Float64, strict=False)
    if number.null_count() == 0:
        return number
    wrong = next((cell for cell in cells if not _SORTED_AS_TEXT.fullmatch(cell.strip())), None)
    if wrong is not None:
        raise CatalogError(
            f"{path}: {name} holds {show(wrong)}, which does not sort as text: write times as "
            "numbers or as 2024-12-31 23:59:59, or leave the column out if the lines are in order"
        )
    return text


def _numbers(table: pl.DataFrame) -> pl.Series:
    """Number of each row's session, in the order in which the sessions come."""
    sessions = table["session"].unique(maintain_order=True)
    numbers = pl.DataFrame({"session": sessions, "row": np.arange(len(sessions))})
    return table.join(numbers, on="session", how="left", maintain_order="left")["row"]
