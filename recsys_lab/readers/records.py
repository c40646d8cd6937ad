"""What every catalogue source returns: items, weighted listings, and an account of the reading."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import polars as pl
from polars.datatypes import DataTypeClass

from recsys_lab.readers.account import ReadAccount

ITEM_SCHEMA: dict[str, DataTypeClass | pl.DataType] = {
    "item": pl.String,  # raw id, exactly as written in the file
    "title": pl.String,
    "brand": pl.String,
    "categories": pl.List(pl.List(pl.String)),  # every path, from the broadest to the narrowest
    "price": pl.Float64,
    "has_metadata": pl.Boolean,  # false where the item is only known as somebody's target
}


@dataclass(frozen=True)
class LabelledPairs:
    """Evaluation pairs that came with the catalogue: ids (P,), label 1 (pair) or 0 (negative)."""

    heads: np.ndarray  # (P,) int32
    tails: np.ndarray  # (P,) int32
    labels: np.ndarray  # (P,) bool


@dataclass(frozen=True)
class Events:
    """What users did, by user, then by time, then in the order of the file.

    Attributes:
        users: U rows, unique and sorted by their first column, "user", the raw id or its hash; the
            other columns are side information of users, as text.
        user: (E,) int32, ascending; the row of `users`.
        item: (E,) int32, the row of `Records.items`.
        session: (E,) int32, ascending; a session belongs to one user.
        time: (E,) float64, seconds, ascending within a user; None where the order is all there is.
        kind: (E,) uint8, place in `kind_names`.
        kind_names: kinds of events, such as "view" and "purchase"; at least one.
        weight: (E,) float32, above 0: the weight of the kind, times the quantity if that counts.
        part: (E,) int8, 0 train, 1 validation, 2 test, where the source brings its own; else None.
        shown_offsets: (E + 1,) int64; items shown with event e are
            shown[shown_offsets[e]:shown_offsets[e + 1]]; None where the source has none.
        shown: (S,) int32 items.
    """

    users: pl.DataFrame
    user: np.ndarray
    item: np.ndarray
    session: np.ndarray
    time: np.ndarray | None
    kind: np.ndarray
    kind_names: tuple[str, ...]
    weight: np.ndarray
    part: np.ndarray | None = None
    shown_offsets: np.ndarray | None = None
    shown: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True)
class Records:
    """A catalogue as read.

    Attributes:
        items: N rows with ITEM_SCHEMA, unique and sorted by raw id; the row number is the item id.
        sources: (E,) int32, the item that lists the other.
        targets: (E,) int32, the item listed.
        weights: (E,) float32, weight of the listing.
        account: what was kept and dropped.
        given: evaluation pairs by split name ("val", "test"), where the source brings its own.
        relations: (E,) int8, place of each listing's relation in `relation_names`; None where the
            source knows one kind of listing only.
        relation_names: names of the relations, at most eight.
        understood: how each file was read, by its role.
        why_no_pairs: where there are no listings, the reason, for the user.
        events: what users did, of an event log, whose listings are empty: pairs come from events.
        pair_options: how pairs are made of events (`readers.pair_options.PairOptions`), as a
            mapping.
    """

    items: pl.DataFrame
    sources: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    account: ReadAccount
    given: dict[str, LabelledPairs] = field(default_factory=dict)
    relations: np.ndarray | None = None
    relation_names: tuple[str, ...] = ()
    understood: dict[str, str] = field(default_factory=dict)
    why_no_pairs: str = ""
    events: Events | None = None
    pair_options: Mapping[str, Any] = field(default_factory=dict)

    def without_listings(self) -> "Records":
        """The records, with no listings."""
        ids = np.zeros(0, np.int32)
        weights = np.zeros(0, np.float32)
        return replace(self, sources=ids, targets=ids, weights=weights, relations=None)


class CatalogSource(Protocol):
    """A place to read a catalogue from; a frozen dataclass whose fields are its options.

    One that reads events has a field `pairs`, which it passes on as `Records.pair_options`.
    """

    @property
    def files(self) -> dict[str, str]:
        """Input files by role; their contents are part of the key of the prepared data."""
        ...

    def read(self) -> Records:
        """Read the whole catalogue."""
        ...


Read = Callable[[CatalogSource], Records]


def read_here(source: CatalogSource) -> Records:
    """The records of a source, read by this process."""
    return source.read()
