"""Events, a session and an item in a row, to sequences."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import show, yes_and_no
from recsys_lab.readers.event_columns import EventColumns, kinds_against

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
    kinds = Counter(row[columns.kind].strip() for row in rows)
    found = kinds_against(dict(kinds.most_common()))
    if not found:
        return []
    said, against = found
    return [
        f"events of all kinds are taken, by {columns.names[columns.kind]}: {said}; if {against} "
        "mean no interest, leave their lines out of the file"
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
