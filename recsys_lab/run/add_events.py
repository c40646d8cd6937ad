"""A later event log beside a run on an event log: new items, and users with what they did."""

import dataclasses
from typing import Literal

import numpy as np
import polars as pl

from recsys_lab.catalog.cooccurrence import cooccurrence_pairs
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.event_lists import is_of_lists
from recsys_lab.readers.events import EventSource
from recsys_lab.readers.pair_options import PairOptions
from recsys_lab.readers.records import Records
from recsys_lab.vectors.adding import NOTHING, AddedItems
from recsys_lab.vectors.adding_users import LaterUsers, OwnVectors, UserWriter, later_users
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.new_items import NewItems
from recsys_lab.vectors.score_form import ScoreTables, fold


def event_reader(source: EventSource, file: str, items: str | None) -> EventSource:
    """What reads a later log as that of the run was read, without filters by numbers of events.

    Args:
        source: of the run.
        file: the later log.
        items: a table that describes items, in place of that of the run.
    """
    described = source.item_columns
    if source.items_path is not None and items is None:  # the columns were those of the table
        described = {}
    return dataclasses.replace(
        source, path=file, val_path=None, test_path=None, items_path=items, users_path=None,
        layout=_layout(source, file), item_columns=described,
        min_events_per_item=0, min_events_per_user=0, outside_items="keep",
    )  # fmt: skip


def _layout(source: EventSource, file: str) -> Literal["events", "sequences", "baskets"] | None:
    """The layout of the run's log, which may be gone by now."""
    if source.layout is not None:
        return source.layout
    try:
        return source.layout_found()
    except (CatalogError, OSError):
        has_parts = source.test_path is not None  # without an order, then
        return "baskets" if has_parts and is_of_lists(file) else None


def with_pairs(records: Records) -> Records:
    """The records of a log with the pairs of items that its events make, as listings."""
    if records.events is None:
        raise CatalogError("the file holds no events: give a log in the form of the run's")
    options = PairOptions.of(records.pair_options)
    pairs = cooccurrence_pairs(records.events, records.items.height, options)
    return dataclasses.replace(
        records, sources=pairs.heads, targets=pairs.tails, weights=pairs.weights
    )


def without_vectors(embeddings: Embeddings, new: NewItems) -> AddedItems:
    """No vectors for new items, as of a model that cannot give them any."""
    count, known = len(new.items), embeddings.score_tables
    zeros = np.zeros((count, known.keys.shape[1]), np.float32)
    both_ways, directed = known.both_ways, known.directed
    tables = ScoreTables(zeros, zeros, np.zeros(count, np.float32), both_ways, directed)
    return AddedItems(tables, np.full(count, NOTHING), np.zeros(count, np.int64), None)


def users_of_log(embeddings: Embeddings, records: Records, new: NewItems) -> LaterUsers | None:
    """The users of a later log, with their items by row; None where there are no events."""
    if records.events is None:
        return None
    ids = pl.concat([embeddings.ids, new.items["item"]])
    known = pl.DataFrame({"item": ids}).with_row_index("row")
    found = records.items.join(known, on="item", how="left", maintain_order="left")["row"]
    return later_users(records.events, found.cast(pl.Int64).to_numpy())


def user_writer(
    embeddings: Embeddings, later: LaterUsers, added: AddedItems, own: OwnVectors | None
) -> UserWriter:
    """What writes the users of a later log beside those of the run."""
    biased = bool(embeddings.info.get("biased"))
    has_vector = added.source != NOTHING
    folded = np.where(has_vector[:, None], fold(added.tables, biased=biased)[0], 0)
    queries = np.concatenate([embeddings.queries, folded.astype(np.float32)])
    scored = np.concatenate([embeddings.scored, has_vector])
    return UserWriter(embeddings, later, queries, scored, own)
