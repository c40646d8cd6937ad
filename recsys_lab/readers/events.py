"""Logs of events: who did what with which item, when; as tables, or as lists of items of users."""

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count, CountOrZero, Positive, RelationWeight, Share
from recsys_lab.readers.account import CatalogError, ReadAccount, join_accounts
from recsys_lab.readers.chosen_columns import Role, choose_columns, roles_of_field
from recsys_lab.readers.event_assembly import EventAssembly, EventOptions, rank_items
from recsys_lab.readers.event_columns import ROLES_OF_EVENTS, kinds_against
from recsys_lab.readers.event_lists import BAD_LISTS, is_of_lists, is_table, read_lists
from recsys_lab.readers.event_log import BAD_EVENTS, NOT_AN_ITEM, EventBatches, EventLog
from recsys_lab.readers.item_tables import (
    FIELDS,
    ItemTable,
    Said,
    check_fields,
    note_table,
)
from recsys_lab.readers.items import complete_items
from recsys_lab.readers.list_cells import UNEQUAL
from recsys_lab.readers.listed_paths import Paths, join_paths
from recsys_lab.readers.named_columns import NamedColumns
from recsys_lab.readers.odd_ids import odd_ids
from recsys_lab.readers.opening import find_files
from recsys_lab.readers.pair_options import PairOptions
from recsys_lab.readers.records import Records
from recsys_lab.readers.user_ids import hash_ids, read_users

log = logging.getLogger(__name__)

_PARTS = {"events": 0, "val": 1, "test": 2}  # of the splits, by role of the file
_MANY_REPEATS = 0.02  # of the lines; more get a warning


@checked
@dataclass(frozen=True)
class EventSource:
    """A log of events: a user or a session, an item, a time and the like in a row.

    Columns are found by their names, which are said; so is the form of the times. Ids are text as
    written. Lines that are no event are dropped and counted; equal events count each, and lines
    that repeat another are counted, too. No message shows the id of a user.

    Attributes:
        path: the events: a file, a folder of parts, or a pattern.
        val_path: events for validation, where the data brings its own split.
        test_path: events for the test.
        items_path: a table that describes items, or an object of categories by item.
        users_path: a table that describes users.
        layout: "events", an event in a row; "sequences", a user and its items in their order in a
            line; "baskets", the same without an order; None tells it.
        columns: name or place (from 1) of the columns user, session, item, time, order (of events
            at one time), kind, quantity and shown; false where there is none.
        item_columns: names of the columns title, brand, category and price of the table of items,
            or of the events; of categories one, or several from broad to narrow.
        item_pattern: regular expression of items; events with anything else are dropped.
        kinds: weight of the kinds of events, 1 unless said; 0 leaves a kind out.
        use_quantity: whether the weight is multiplied by the quantity.
        time_format: of times as text, as for strptime; None tells it.
        session_gap_minutes: idle time that ends a session where no column names sessions; None:
            a user has one session.
        cut_given_sessions: whether the same ends sessions that a column names.
        min_events_per_item: items with fewer events are dropped with them.
        min_events_per_user: the same for users; both are applied in turn until all have enough.
        outside_items: "keep" or "drop" items without an event, which are shown or described only.
        hash_users: whether ids of users are replaced by hashes as they are read.
        hash_key_variable: name of the environment variable that holds the secret of the hashes,
            which is stored nowhere; None: anybody can hash a known id.
        max_bad_fraction: largest tolerated fraction of the non-blank lines of each file that
            cannot be understood.
        pairs: how pairs of items are made of the events, as `PairOptions` takes it.
    """

    path: Paths
    val_path: Paths | None
    test_path: Paths | None
    items_path: Paths | None
    users_path: Paths | None
    layout: Literal["events", "sequences", "baskets"] | None
    columns: Mapping[str, Role]
    item_columns: Said
    item_pattern: str | None
    kinds: Mapping[str, RelationWeight]
    use_quantity: bool
    time_format: str | None
    session_gap_minutes: Positive | None
    cut_given_sessions: bool
    min_events_per_item: CountOrZero
    min_events_per_user: CountOrZero
    outside_items: Literal["keep", "drop"]
    hash_users: bool
    hash_key_variable: str | None
    max_bad_fraction: Share
    pairs: Mapping[str, Count | str]
    hash_check: str = field(init=False)  # prepared data depends on the secret by this

    def __post_init__(self) -> None:
        """Check the options that go together."""
        join_paths(self, ("path", "val_path", "test_path", "items_path", "users_path"))
        PairOptions.of(self.pairs)
        for role in self.columns:
            if role not in ROLES_OF_EVENTS:
                raise CatalogError(
                    f"columns.{role} is no column that is read; these are "
                    f"{', '.join(ROLES_OF_EVENTS)}"
                )
        check_fields(self.item_columns)
        if self.val_path is not None and self.test_path is None:
            raise CatalogError("val_path is set while test_path is not; give test_path, too")
        if self.hash_key_variable is not None and not self.hash_users:
            raise CatalogError(
                "hash_key_variable is set while hash_users is false; set hash_users=true"
            )
        key = "" if self.hash_key_variable is None else os.environ.get(self.hash_key_variable, "")
        object.__setattr__(self, "hash_check", hash_ids(["check"], key)[0])

    @property
    def files(self) -> dict[str, str]:
        """The events and, where given, those held out, and the tables of items and users."""
        paths = {
            "events": self.path, "val": self.val_path, "test": self.test_path,
            "items": self.items_path, "users": self.users_path,
        }  # fmt: skip
        return {role: path for role, path in paths.items() if path is not None}

    def check_first_lines(self) -> None:
        """Tell the columns by the first lines; of pipes, which can be read once, none.

        Raises:
            CatalogError: as of `read`, where the first lines show it.
        """
        if not all(Path(file).is_file() for file in find_files(self.path)):
            return
        if self.layout_found() == "events" and self.items_path is None:
            table = self._table(self.path, self.item_columns)
            next(table.batches(), None)

    def read(self) -> Records:
        """Read every file.

        Raises:
            CatalogError: a file cannot be read, too many lines are bad, or nothing is left.
        """
        events, understood, layout = EventLog(), {}, self.layout_found()
        items, beside = ItemTable(events.items), ReadAccount()
        left: Said = self.item_columns
        if self.items_path is not None:
            item = self.columns.get("item")
            name = item if isinstance(item, str) else None
            understood["items"] = items.read(
                self.items_path, name, left, beside, self.max_bad_fraction
            )
            left = items.left
        accounts = {}
        for role in (role for role in self.files if role in _PARTS):
            accounts[role] = ReadAccount()
            understood[role] = self._read_events(role, layout, left, events, accounts[role])
        account = join_accounts(accounts, "events")
        account.refuse_empty(self.path, {NOT_AN_ITEM: "another column of items, columns.item="})
        for rows in events.described:
            items.add(rows)
        records = self._records(events, items, account, understood)
        note_table(account, "items", beside)
        return records

    def _records(
        self, events: EventLog, items: ItemTable, account: ReadAccount, understood: dict[str, str]
    ) -> Records:
        users = None
        if self.users_path is not None:
            user = self.columns.get("user")
            name = user if isinstance(user, str) else None
            beside = ReadAccount()
            users, understood["users"] = read_users(
                self.users_path, name, beside, self.max_bad_fraction
            )
            note_table(account, "users", beside)
        assembly = EventAssembly(events, self._options, account)
        account.refuse_empty(self.path, _remedies(account))
        groups = [assembly.items]
        if self.outside_items == "keep":
            groups += [assembly.shown_items, items.described]
        ranks = rank_items(events, *groups)
        for warning in odd_ids(ranks.ids):
            log.warning("%s: %s", self.path, warning)
        has_parts = self.test_path is not None
        found = assembly.events(ranks, users, has_parts=has_parts)
        metadata = items.metadata(ranks.of_code, account)
        self._warn_of_kinds(assembly, found.kind)
        told = [*assembly.said, f"{len(found):,} events of {len(found.users):,} users"]
        understood["events"] = "; ".join([understood["events"], *told])
        none = np.empty(0, np.int32)
        return Records(
            items=complete_items(ranks.ids, metadata),
            sources=none,
            targets=none,
            weights=none.astype(np.float32),
            account=account,
            understood=understood,
            events=found,
            pair_options=self.pairs,
        )

    # -- one file --------------------------------------------------------------------------------

    def layout_found(self) -> Literal["events", "sequences", "baskets"]:
        """The layout, as it is said, or told by the first lines of the events."""
        if self.layout is not None:
            return self.layout
        if not is_of_lists(self.path):
            return "events"
        return "sequences" if self.test_path is None else "baskets"

    def _read_events(
        self,
        role: str,
        layout: str,
        item_columns: Said,
        events: EventLog,
        account: ReadAccount,
    ) -> str:
        """Put the events of one file into the log; what was understood of it."""
        path = self.files[role]
        if layout != "events" and not is_table(path):
            said, first_bad, remedy = read_lists(path, events, account, _PARTS[role])
            remedies = {"not UTF-8": remedy}
            account.refuse_bad(
                path, BAD_LISTS, self.max_bad_fraction, first_bad, "", said, remedies
            )
            return f"{layout}, {said}"
        table = self._table(path, item_columns)
        described = [role for field in FIELDS for role in roles_of_field(field, item_columns)]
        batches = EventBatches(
            table, events, account, _PARTS[role], self.item_pattern, self.time_format,
            described, [role for role, column in self.columns.items() if column is not None],
        )  # fmt: skip
        batches.read()
        remedies = {
            "no item": "give an item in each line,", "time not understood": "say time_format=",
            "no user": "say columns.user=false to take sessions for users,",
            "no session": "say columns.session=false to cut sessions by time,",
            UNEQUAL: "give each item of a row a value in every list,",
        } | table.remedies  # fmt: skip
        account.refuse_bad(
            path, BAD_EVENTS, self.max_bad_fraction, batches.first_bad, "", batches.said, remedies
        )
        self._note_repeats(path, account, batches.digests)
        said = batches.said
        if batches.not_items:
            counts = ", ".join(f"{kind} {n:,}" for kind, n in sorted(batches.not_items.items()))
            said += f"; no items but something else: {counts}"
        return said

    def _note_repeats(self, path: str, account: ReadAccount, digests: list[pl.Series]) -> None:
        lines = pl.concat(digests)
        count = len(lines) - lines.n_unique()
        account.note("lines that repeat another", count)
        if count > _MANY_REPEATS * len(lines):
            log.warning(
                "%s: %s of %s lines repeat another, and count as events of their own",
                path, f"{count:,}", f"{len(lines):,}",
            )  # fmt: skip

    def _table(self, path: str, item_columns: Said) -> NamedColumns:
        def choose(
            names: Sequence[str] | None, width: int, lists: Collection[int]
        ) -> dict[str, int]:
            return choose_columns(path, self.columns, item_columns, names, width, lists)

        return NamedColumns(path, choose, has_lists=True)

    @property
    def _hash_key(self) -> str:
        if self.hash_key_variable is None:
            return ""
        if not (key := os.environ.get(self.hash_key_variable)):
            raise CatalogError(
                f"hash_key_variable names {self.hash_key_variable}, which is not set in the "
                "environment: set it to the secret of the hashes"
            )
        return key

    @property
    def _options(self) -> EventOptions:
        return EventOptions(
            self.kinds, self.use_quantity, bool(self.columns.get("kind")),
            bool(self.columns.get("session")), self.session_gap_minutes, self.cut_given_sessions,
            self.min_events_per_item, self.min_events_per_user, self.hash_users, self._hash_key,
        )  # fmt: skip

    def _warn_of_kinds(self, assembly: EventAssembly, kind: np.ndarray) -> None:
        """Warn of kinds that may say no interest, unless their weight is said."""
        counts = np.bincount(kind, minlength=len(assembly.kind_names))
        found = kinds_against(dict(zip(assembly.kind_names, counts.tolist(), strict=True)))
        if found and not set(self.kinds) & set(assembly.kind_names):
            log.warning(
                "%s: events of all kinds are taken: %s; if %s mean no interest, leave them out "
                "with kinds.KIND=0",
                self.path, *found,
            )  # fmt: skip


def _remedies(account: ReadAccount) -> dict[str, str]:
    found = {reason: "another choice of kinds=" for reason in account.dropped if "kind" in reason}
    for reason in account.dropped:
        if "fewer" in reason:
            name = "item" if "item" in reason else "user"
            found[reason] = f"a smaller min_events_per_{name}="
    return found
