"""The events of all files as codes and numbers, as they come, and the account of their lines."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from recsys_lab.readers.account import ReadAccount
from recsys_lab.readers.event_times import TimeReader
from recsys_lab.readers.ids import IdCodes
from recsys_lab.readers.line_reasons import BAD_LINES
from recsys_lab.readers.list_cells import UNEQUAL, are_lists, shown_lists, spread
from recsys_lab.readers.named_columns import NamedColumns, cells_as_text

BAD_EVENTS = (
    *BAD_LINES,
    "no user",
    "no session",
    "no item",
    "time not understood",
    "quantity not a number",
    UNEQUAL,
)
NOT_AN_ITEM = "no item but something else"
_NOBODY = ("NA", "N/A", "NaN", "nan", "null", "NULL", "None", "none")
_WITHOUT_KIND = "none"


@dataclass
class EventLog:
    """Events batch by batch, with codes in place of ids.

    Attributes:
        users: codes of the raw ids of users, or of sessions where no user is named.
        sessions: codes of those of sessions.
        items: codes of those of items.
        kinds: codes of the kinds of events.
        tables: user, item (codes), and where known session, kind (codes), time (seconds), order,
            quantity; part; num_shown, the number of items shown.
        shown: codes of the items shown, event after event.
        described: item (code), and values that describe it, of columns of the events.
    """

    users: IdCodes = field(default_factory=IdCodes)
    sessions: IdCodes = field(default_factory=IdCodes)
    items: IdCodes = field(default_factory=IdCodes)
    kinds: dict[str, int] = field(default_factory=dict)
    tables: list[pl.DataFrame] = field(default_factory=list)
    shown: list[np.ndarray] = field(default_factory=list)
    described: list[pl.DataFrame] = field(default_factory=list)

    def table(self) -> pl.DataFrame:
        """All batches as one."""
        return pl.concat(self.tables, how="diagonal")

    def codes_of_kinds(self, kinds: pl.Series) -> pl.Series:
        """Codes of the kinds of some events."""
        for kind in kinds.unique(maintain_order=True):
            self.kinds.setdefault(kind, len(self.kinds))
        return kinds.replace_strict(self.kinds, return_dtype=pl.Int32)


class EventBatches:
    """Puts the rows of one table of events into the log.

    Args:
        table: its columns.
        log: of all files.
        account: counts lines, kept and dropped.
        part: 0 train, 1 validation, 2 test.
        item_pattern: what an item looks like; None: everything is one, but for a `reference`.
        time_format: of the times; None tells it.
        described: roles of columns that describe items.
        told: roles of the columns that the user names.

    Attributes:
        digests: of the lines that are kept.
        not_items: number of lines that name no item, by kind.
        first_bad: number of the first bad line, from 1; 0 for none.
    """

    def __init__(
        self,
        table: NamedColumns,
        log: EventLog,
        account: ReadAccount,
        part: int,
        item_pattern: str | None,
        time_format: str | None,
        described: Sequence[str],
        told: Container[str],
    ) -> None:
        self._table, self._log, self._account, self._part = table, log, account, part
        self._pattern, self._time_format, self._described = item_pattern, time_format, described
        self._told, self._left_out = told, ""
        self._times: TimeReader | None = None
        self._has_lists: bool | None = None
        self._times_are_lists, self._rows_of_lists = False, 0
        self.digests: list[pl.Series] = []
        self.not_items: dict[str, int] = {}
        self.first_bad = 0

    @property
    def said(self) -> str:
        """What was understood of the table, for the user."""
        times = "" if self._times is None or not self._times.said else f"; {self._times.said}"
        pattern = "" if self._pattern is None else f"; items are those like {self._pattern}"
        lists = f"; lists of items in {self._rows_of_lists:,} rows" if self._rows_of_lists else ""
        return f"{self._table.said}{lists}{self._left_out}{times}{pattern}"

    def read(self) -> None:
        """Read the whole table."""
        for rows in self._table.batches():
            frame = self._checked(self._spread(rows)) if self._table.roles else rows  # blank on top
            self._account.lines += len(frame)
            reasons = frame["reason"].drop_nulls()
            self._account.dropped.update(dict(reasons.value_counts().iter_rows()))
            if not self.first_bad:
                bad = frame.filter(pl.col("reason").is_in(BAD_EVENTS).fill_null(False))
                self.first_bad = bad["number"][0] if len(bad) else 0
            kept = frame.filter(pl.col("reason").is_null())
            self.digests.append(kept["digest"])
            if self._table.roles:
                self._take(kept)

    def _spread(self, rows: pl.DataFrame) -> pl.DataFrame:
        """A row for each event, where a row holds the list of a user's items."""
        known = rows.filter(pl.col("reason").is_null())
        if self._has_lists is None and len(known):
            self._has_lists = are_lists(known["item"])
            self._times_are_lists = "time" in known.columns and are_lists(known["time"])
        if not self._has_lists:
            return rows
        self._rows_of_lists += len(known)
        return spread(rows, self._table.roles)

    def _checked(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with ids as text, times and quantities as numbers, and reasons against them."""
        others = ("time", "quantity", "order", "shown")
        roles = [role for role in self._table.roles if role not in others]
        frame = rows.with_columns(cells_as_text(rows[role]).alias(role) for role in roles)
        if "shown" in self._table.roles:
            frame = frame.with_columns(shown=shown_lists(rows["shown"]))
        frame = self._without_empty(frame)
        checks = [
            (f"no {role}", pl.col(role).is_null())
            for role in ("user", "session", "item")
            if role in self._table.roles
        ]
        if "time" in self._table.roles:
            if self._times is None:
                path, name = self._table.path, self._table.name("time")
                self._times = TimeReader(path, name, self._time_format)
            self._times.begin(frame["time"].filter(frame["reason"].is_null()))
            frame = frame.with_columns(time=self._times.seconds(frame["time"]))
            checks.append(("time not understood", pl.col("time").is_null()))
        for role in ("order", "quantity"):
            if role in self._table.roles:
                frame = frame.with_columns(pl.col(role).cast(pl.Float64, strict=False))
        if "quantity" in self._table.roles:
            checks.append(("quantity not a number", pl.col("quantity").is_null()))
            checks.append(("quantity below 0", pl.col("quantity") < 0))
        reasons = [pl.when(test).then(pl.lit(name)) for name, test in checks]
        if reasons:
            frame = frame.with_columns(reason=pl.coalesce("reason", *reasons))
        return self._without_others(frame)

    def _without_empty(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows; where no users or no sessions are named in most, without that column."""
        for role, other in (("session", "user"), ("user", "session")):
            if role not in self._table.roles:
                continue
            ids = frame[role]
            frame = frame.with_columns(ids.set(ids.is_in(_NOBODY).fill_null(False), None))
            if self._log.tables or role in self._told or other not in self._table.roles:
                continue
            known = frame.filter(pl.col("reason").is_null())[role]
            if 2 * known.null_count() > len(known):
                self._left_out += f"; {self._table.name(role)} is mostly empty: not read"
                left = {x: place for x, place in self._table.roles.items() if x != role}
                self._table.roles = left
        return frame

    def _without_others(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows, of which those that refer to no item have a reason."""
        if self._pattern is None and self._log.tables == [] and self._is_reference():
            items = frame.filter(pl.col("reason").is_null())["item"]
            if 2 * items.str.contains(r"^\d+$").sum() > len(items):
                self._pattern = r"\d+"
        if self._pattern is None:
            return frame
        other = ~pl.col("item").str.contains(f"^(?:{self._pattern})$")
        other &= pl.col("reason").is_null()
        frame = frame.with_columns(is_other=other.fill_null(False))
        if "kind" in frame:
            counts = frame.filter("is_other")["kind"].value_counts()
            for kind, count in counts.iter_rows():
                self.not_items[kind] = self.not_items.get(kind, 0) + count
        reason = pl.when("is_other").then(pl.lit(NOT_AN_ITEM)).otherwise("reason")
        return frame.with_columns(reason=reason)

    def _is_reference(self) -> bool:
        """Whether the column of items may hold references to other things, too."""
        return self._table.name("item").lower() == "reference"

    def _take(self, kept: pl.DataFrame) -> None:
        """Put rows into the log as codes."""
        log = self._log
        who = "user" if "user" in self._table.roles else "session"
        columns: dict[str, np.ndarray | pl.Series] = {
            "user": log.users.encode(kept[who]),
            "item": log.items.encode(kept["item"]),
            "part": np.full(len(kept), self._part, np.int8),
        }
        if who == "session":
            columns["session"] = columns["user"]
        elif "session" in self._table.roles:
            columns["session"] = log.sessions.encode(kept["session"])
        elif self._rows_of_lists and not self._times_are_lists:
            columns["session"] = kept["number"].cast(pl.Int32)
        if "kind" in kept.columns:
            columns["kind"] = log.codes_of_kinds(kept["kind"].fill_null(_WITHOUT_KIND))
        columns |= {x: kept[x] for x in ("time", "order", "quantity") if x in kept.columns}
        if "shown" in kept.columns:
            columns["num_shown"] = kept["shown"].list.len().cast(pl.Int64)
            log.shown.append(log.items.encode(kept["shown"].explode().drop_nulls()))
        log.tables.append(pl.DataFrame(columns))
        self._account.kept += len(kept)
        if self._described:
            found = kept.select(*self._described).with_columns(item=pl.Series(columns["item"]))
            log.described.append(found.unique(maintain_order=True))
