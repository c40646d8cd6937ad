"""From codes of events to the events of a catalogue: kinds, weights, filters, users, order."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_lab.readers.account import CatalogError, ReadAccount
from recsys_lab.readers.event_columns import MOST_KINDS
from recsys_lab.readers.event_filters import core_of
from recsys_lab.readers.event_log import EventLog
from recsys_lab.readers.event_sessions import Ordered, order_events
from recsys_lab.readers.ids import Ranks, rank_ids
from recsys_lab.readers.records import Events
from recsys_lab.readers.user_ids import describe_users, hash_ids, rank_users

_MOST_CODES = 256  # kinds that uint8 holds
_FEW = 0.1  # of the events; more that share a session make it one
_FEWEST = 20  # events that tell it
_ONE_KIND = "event"
_SHOWN_LEFT_OUT = "places of shown items without an event"


@dataclass(frozen=True)
class EventOptions:
    """What `EventSource` is told about events; its docstring says what they mean."""

    kinds: Mapping[str, float]
    use_quantity: bool
    kind_is_said: bool
    session_is_said: bool
    session_gap_minutes: float | None
    cut_given_sessions: bool
    min_events_per_item: int
    min_events_per_user: int
    hash_users: bool
    hash_key: str


class EventAssembly:
    """The events of a log, in order.

    Args:
        log: the events as they come.
        options: what becomes of them.
        account: counts those that are dropped from here on.

    Attributes:
        said: what was done, for the user.
    """

    def __init__(self, log: EventLog, options: EventOptions, account: ReadAccount) -> None:
        self._log, self._options, self._account = log, options, account
        self._shown = np.concatenate(log.shown) if log.shown else None
        table = log.table()
        if self._shown is not None:
            counts = table["num_shown"].fill_null(0)
            ends = counts.cum_sum()
            table = table.with_columns(shown_from=ends - counts, num_shown=counts)
        self.said: list[str] = []
        self._table, self.kind_names = self._with_weights(table)
        self._filter()

    @property
    def items(self) -> np.ndarray:
        """Codes of the items of the events."""
        return self._table["item"].unique().to_numpy()

    @property
    def shown_items(self) -> np.ndarray:
        """Codes of the items that any event shows."""
        return np.empty(0, np.int32) if self._shown is None else np.unique(self._shown)

    def events(self, items: Ranks, users: pl.DataFrame | None, *, has_parts: bool) -> Events:
        """The events in order.

        Args:
            items: rows of the catalogue.
            users: their table, with raw ids; None for none.
            has_parts: whether the files bring their own parts.
        """
        rows, user = self._user_rows(users)
        table = self._table
        time = table["time"].to_numpy() if "time" in table.columns else None
        order, session = self._order(user, time, has_parts)
        table = table[order]
        offsets, shown = self._shown_rows(table, items)
        return Events(
            users=rows,
            user=user[order],
            item=items.of_code[table["item"].to_numpy()],
            session=session,
            time=None if time is None else time[order],
            kind=table["kind"].to_numpy().astype(np.uint8),
            kind_names=self.kind_names,
            weight=table["weight"].to_numpy().astype(np.float32),
            part=table["part"].to_numpy() if has_parts else None,
            shown_offsets=offsets,
            shown=shown,
        )

    # -- kinds and filters -----------------------------------------------------------------------

    def _with_weights(self, table: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
        """The table with kinds in the order of their names, and weights; without those of 0."""
        counts = self._counts_of_kinds(table)
        wanted = dict(self._options.kinds)
        if unknown := [kind for kind in wanted if kind not in counts]:
            raise CatalogError(
                f"kinds.{unknown[0]} is no kind of event in the file; these are {', '.join(counts)}"
            )
        for kind in counts:
            if wanted.get(kind, 1) == 0:
                self._account.drop(f"of kind {kind}", counts[kind])
                self._account.kept -= counts[kind]
        names = tuple(sorted(kind for kind in counts if wanted.get(kind, 1) != 0))
        if not names:
            raise CatalogError("kinds leaves out every kind of event; give one a weight above 0")
        if len(counts) > 1:
            said = ", ".join(f"{kind} {counts[kind]:,}" for kind in names)
            self.said.append(f"kinds {said}")
        if "kind" not in table.columns or len(counts) == 1:
            weight = float(wanted.get(names[0], 1))
            table = table.with_columns(kind=pl.lit(0), weight=pl.lit(weight))
            return self._with_quantities(table), names
        number = {self._log.kinds[kind]: k for k, kind in enumerate(names)}
        table = table.filter(pl.col("kind").is_in(list(number)))
        weights = {k: float(wanted.get(kind, 1)) for k, kind in enumerate(names)}
        table = table.with_columns(pl.col("kind").replace_strict(number, return_dtype=pl.Int32))
        table = table.with_columns(
            weight=pl.col("kind").replace_strict(weights, return_dtype=pl.Float64)
        )
        return self._with_quantities(table), names

    def _counts_of_kinds(self, table: pl.DataFrame) -> dict[str, int]:
        """Number of events by kind, the most first."""
        if "kind" not in table.columns:
            return {_ONE_KIND: len(table)}
        if len(self._log.kinds) > (_MOST_CODES if self._options.kind_is_said else MOST_KINDS):
            if self._options.kind_is_said:
                raise CatalogError(
                    f"columns.kind names a column of {len(self._log.kinds):,} values, beyond "
                    f"{_MOST_CODES}: name another, or say columns.kind=false"
                )
            self.said.append(f"the column of kinds has {len(self._log.kinds):,} values: left out")
            return {_ONE_KIND: len(table)}
        names = {code: kind for kind, code in self._log.kinds.items()}
        found = table["kind"].value_counts().sort(["count", "kind"], descending=[True, False])
        return {names[code]: count for code, count in found.iter_rows()}

    def _with_quantities(self, table: pl.DataFrame) -> pl.DataFrame:
        if not self._options.use_quantity:
            return table
        if "quantity" not in table.columns:
            raise CatalogError(
                "use_quantity is true, and no column is known for quantities: say which with "
                "columns.quantity="
            )
        none = table["quantity"].fill_null(1) == 0
        self._drop("quantity of 0", int(none.sum()))
        table = table.filter(~none)
        return table.with_columns(weight=pl.col("weight") * pl.col("quantity").fill_null(1))

    def _filter(self) -> None:
        least_of_items = self._options.min_events_per_item
        least_of_users = self._options.min_events_per_user
        item, user = (self._table[x].to_numpy() for x in ("item", "user"))
        core = core_of(item, user, least_of_items, least_of_users)
        self._drop(f"of an item with fewer than {least_of_items} events", core.of_items)
        self._drop(f"of a user with fewer than {least_of_users} events", core.of_users)
        self._table = self._table.filter(pl.Series(core.stays))

    def _drop(self, reason: str, count: int) -> None:
        self._account.drop(reason, count)
        self._account.kept -= count

    # -- users, order, what was shown ------------------------------------------------------------

    def _user_rows(self, table: pl.DataFrame | None) -> tuple[pl.DataFrame, np.ndarray]:
        """The rows of users, and the row of each event's user."""
        codes = self._table["user"].to_numpy()
        present = np.unique(codes)
        raws = self._log.users.raws(present)
        if self._options.hash_users:
            key = self._options.hash_key
            raws = hash_ids(raws, key)
            if table is not None:
                table = table.with_columns(hash_ids(table["user"], key))
        ids, rank = rank_users(raws)
        rank_of = np.empty(len(self._log.users), np.int32)
        rank_of[present] = rank
        return describe_users(ids, table, self._account), rank_of[codes]

    def _order(
        self, user: np.ndarray, time: np.ndarray | None, has_parts: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Places in order, and the session of each.

        Sessions that hold one event each say nothing, so they are given up: names of sessions for
        the gap, unless the user names their column, and the gap for one session of each user.
        """
        table, options = self._table, self._options
        is_given = "session" in table.columns
        minutes = options.session_gap_minutes
        gap = None if minutes is None or time is None else 60 * minutes
        ties = table["order"].fill_null(0).to_numpy() if "order" in table.columns else None

        def ordered_by(is_given: bool, gap: float | None) -> Ordered:
            names = self._names_of_sessions(user, has_parts, is_given)
            return order_events(user, time, names, ties, gap)

        given_gap = gap if options.cut_given_sessions else None
        found = ordered_by(is_given, given_gap if is_given else gap)
        why = ""
        if is_given and not options.session_is_said and _are_alone(found.session, user):
            why = "; those of the file hold one event each, and are not used"
            is_given, found = False, ordered_by(False, gap)
        if not is_given and gap is not None and _are_alone(found.session, user):
            why += f"; few events have another within {gap / 60:g} minutes"
            gap, found = None, ordered_by(False, None)
        self._account.note("sessions cut by another of their user", found.cut)
        count = int(found.session[-1]) + 1
        used = given_gap if is_given else gap
        self.said.append(f"{count:,} sessions{_how(is_given, used)}{why}")
        return found.order, found.session

    def _names_of_sessions(
        self, user: np.ndarray, has_parts: bool, is_given: bool
    ) -> np.ndarray | None:
        """(E,) codes; one name for two users, or in two parts, is that of two. None for none."""
        if not (is_given or has_parts):
            return None
        names = self._table["part"].to_numpy().astype(np.int64)
        if is_given:
            codes = self._table["session"].fill_null(-1).to_numpy().astype(np.int64)
            names += 3 * (codes + 1)
        return names * (int(user.max()) + 1) + user

    def _shown_rows(
        self, table: pl.DataFrame, items: Ranks
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """What each event shows, as rows of the catalogue; others are left out and noted.

        None where no event shows any.
        """
        if self._shown is None:
            return None, None
        counts, starts = (table[x].to_numpy().astype(np.int64) for x in ("num_shown", "shown_from"))
        ends = np.cumsum(counts)
        places = np.repeat(starts - (ends - counts), counts) + np.arange(ends[-1])
        rows = items.of_code[self._shown[places]]
        stays = rows >= 0
        self._account.note(_SHOWN_LEFT_OUT, int((~stays).sum()))
        if not stays.any():  # a column of empty cells says nothing
            return None, None
        kept = np.concatenate([[0], np.cumsum(stays)])
        return kept[np.concatenate([[0], ends])], rows[stays]


def _how(is_given: bool, gap: float | None) -> str:
    parts = [" of the file"] if is_given else []
    parts += [] if gap is None else [f" ended by {gap / 60:g} minutes without an event"]
    return ",".join(parts) or ", one for each user"


def _are_alone(session: np.ndarray, user: np.ndarray) -> bool:
    """Whether nearly all events are alone in their session, and not the only one of their user."""
    in_session, of_user = np.bincount(session), np.bincount(user)
    with_others = int(in_session[in_session > 1].sum())
    several = int(of_user[of_user > 1].sum())
    return several >= _FEWEST and with_others < _FEW * several


def rank_items(log: EventLog, *groups: np.ndarray) -> Ranks:
    """The vocabulary: the items of some groups of codes."""
    stays = np.zeros(len(log.items), bool)
    for codes in groups:
        stays[codes] = True
    return rank_ids(log.items, stays)
