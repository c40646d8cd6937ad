"""Events, a session and an item in a row, to sequences."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import show, yes_and_no
from recsys_lab.readers.column_names import words

# Plain names of columns, of several in a header the first in these lists.
_SESSIONS = words(
    "session sessionid sess visit visitid basket basketid order orderid invoice invoiceno "
    "invoiceid transaction transactionid playlist playlistid"
)
_USERS = words(
    "user userid customer customerid visitor visitorid reviewer reviewerid member memberid client "
    "clientid household householdid householdkey person personid"
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
_KINDS = words(
    "eventtype event action actiontype interaction interactiontype behavior behaviour behaviortype "
    "behaviourtype activity activitytype feedback feedbacktype reaction sentiment response status "
    "transactiontype ordertype orderstatus eventname type"
)
_AGAINST = re.compile(  # kinds of events that say no interest, or take one back
    r".*(remov|delet|cancel|return|refund|dislik|unlik|unfollow|unsubscri|skip|downvot|thumbs?.?down"
    r"|reject|dismiss|hide|report|block|negativ|abandon|uninstall|not.?interest).*",
    re.IGNORECASE,
)
_MOST_KINDS = 30
_SAMPLE = 10_000
_SORTED_AS_TEXT = re.compile(r"\d{4}-\d\d(-\d\d.*)?|\d{4}/\d\d/\d\d.*")


@dataclass(frozen=True)
class SequenceRows:
    """Items of sequences, in order.

    Attributes:
        sequence: (M,) int64, number of the sequence of each place, ascending.
        items: (M,) raw ids.
        said: what was understood of the file.
        warnings: what looks wrong.
    """

    sequence: np.ndarray
    items: pl.Series
    said: str
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class EventColumns:
    """Places of columns in a header with these names; None for those it does not have.

    `user` is that of users beside sessions, `kind` that of what was done.
    """

    session: int
    item: int
    time: int | None
    user: int | None
    kind: int | None
    names: Sequence[str]


def event_columns(names: Sequence[str], plain: Sequence[str]) -> EventColumns | None:
    """The columns of events; None where a header names none.

    Args:
        names: as written.
        plain: the same as `column_names.plain_name` gives them.
    """
    session, user, item, time, kind = (
        next((plain.index(name) for name in known if name in plain), None)
        for known in (_SESSIONS, _USERS, _ITEMS, _TIMES, _KINDS)
    )
    if session is None:
        session, user = user, None
    if session is None or item is None:
        return None
    return EventColumns(session, item, time, user, kind, names)


def from_events(rows: Sequence[Sequence[str]], columns: EventColumns, path: str) -> SequenceRows:
    """Sequences of the items of each session, in the order of time, or of the file.

    Sessions of different users are different ones, whatever their numbers.

    Raises:
        CatalogError: the times cannot be sorted.
    """
    table = pl.DataFrame(
        {
            "session": pl.Series([row[columns.session] for row in rows], dtype=pl.String),
            "item": pl.Series([row[columns.item] for row in rows], dtype=pl.String),
        }
    )
    by = columns.names[columns.session]
    if columns.user is not None:
        table, is_repeated = _by_user(table, [row[columns.user] for row in rows])
        by = f"{columns.names[columns.user]} and {by}" if is_repeated else by
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
        f"events: {table['session'].n_unique():,} sequences by {by}, "
        f"items of {columns.names[columns.item]}, {order}",
        [*_doubts_of_kinds(rows, columns), *_doubts_of_answers(rows, columns)],
    )


def _by_user(table: pl.DataFrame, users: Sequence[str]) -> tuple[pl.DataFrame, bool]:
    """The table with sessions told apart by user, and whether users share one's name."""
    before = table["session"].n_unique()
    table = table.with_columns(pl.Series("user", users, dtype=pl.String))
    table = table.select("item", session=pl.struct("user", "session").rank("dense"))
    return table, table["session"].n_unique() > before


def _doubts_of_kinds(rows: Sequence[Sequence[str]], columns: EventColumns) -> list[str]:
    """A warning where events of some kind say no interest; all kinds are taken."""
    if columns.kind is None:
        return []
    kinds = Counter(row[columns.kind].strip() for row in rows).most_common(_MOST_KINDS + 1)
    against = [kind for kind, _ in kinds if _AGAINST.fullmatch(kind)]
    if not against or len(kinds) > _MOST_KINDS:
        return []
    counts = ", ".join(f"{show(kind)} {count:,}" for kind, count in kinds)
    return [
        f"events of all kinds are taken, by {columns.names[columns.kind]}: {counts}; if "
        f"{' and '.join(map(show, against))} mean no interest, leave their lines out of the file"
    ]


def _doubts_of_answers(rows: Sequence[Sequence[str]], columns: EventColumns) -> list[str]:
    """A warning of a column of yes and no, such as `liked`, which is not read."""
    read = (columns.session, columns.item, columns.time, columns.user, columns.kind)
    for place in (k for k in range(len(columns.names)) if k not in read):
        if answers := yes_and_no(row[place] for row in rows[:_SAMPLE]):
            name = columns.names[place]
            return [
                f"the column {name} is {' or '.join(answers)}, and is not read: if lines with "
                f"{answers[1]} mean no interest, leave them out of the file"
            ]
    return []


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
