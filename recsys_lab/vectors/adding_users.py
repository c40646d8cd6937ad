"""Users of a later log beside those of a run: new ones, and known ones with what they did since.

The vector of a new user is pooled from the items of its events, as the run weighs a history, or
given by the model. The history of a known user is what the run keeps of it, each distinct item as
one event, and then the events of the later log. A user with a vector of its own, or with that of
its type, keeps it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
from scipy import sparse

from recsys_lab.evaluation.histories import Histories, pooled_vectors
from recsys_lab.readers.records import Events
from recsys_lab.vectors.for_histories import weights_of
from recsys_lab.vectors.parquet_columns import ROWS, as_column, reading
from recsys_lab.vectors.score_form import ScoreTables, fold
from recsys_lab.vectors.users import columns_of_users, distinct_items, sink_for_owner

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings


class LaterUsers(NamedTuple):
    """Users of a later log, n of them.

    Attributes:
        ids: (n,) texts, distinct.
        offsets: (n + 1,) of their events, which are ordered.
        items: (H,) rows of the items of the run and of new ones behind them.
        weights: (H,) of the events.
    """

    ids: pl.Series
    offsets: np.ndarray
    items: np.ndarray
    weights: np.ndarray

    @property
    def owners(self) -> np.ndarray:
        """(H,) the user of each event."""
        return np.repeat(np.arange(len(self.ids)), np.diff(self.offsets))

    def take(self, places: np.ndarray) -> pl.DataFrame:
        """The events of some users: owner (number in `places`), item and weight."""
        sizes = np.diff(self.offsets)[places]
        owner = np.repeat(np.arange(len(places)), sizes)
        begins = np.repeat(self.offsets[places] - (np.cumsum(sizes) - sizes), sizes)
        events = begins + np.arange(sizes.sum())
        return pl.DataFrame({
            "owner": owner.astype(np.int64),
            "item": self.items[events].astype(np.int32),
            "weight": self.weights[events].astype(np.float32),
        })  # fmt: skip


class OwnVectors(NamedTuple):
    """Vectors that a model gives to new users.

    Attributes:
        rows: (n,) the row of each user of the later log in the tables; -1 for none.
        tables: vectors.
        has_vector: of each row, whether there is one.
    """

    rows: np.ndarray
    tables: ScoreTables
    has_vector: np.ndarray


def later_users(events: Events, rows: np.ndarray) -> LaterUsers:
    """The users of a log.

    Args:
        events: of the log.
        rows: (M,) the row of each of its items among those of the run and new ones.
    """
    sizes = np.bincount(events.user, minlength=events.users.height)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return LaterUsers(events.users["user"], offsets, rows[events.item], events.weight)


class UserWriter:
    """Writes the users of a run, changed and extended by later ones.

    Args:
        embeddings: of the run.
        later: the users of a later log.
        queries: (N + n, E) folded, of the items of the run and the new ones.
        scored: (N + n,) bool.
        own: vectors of new users by the model; None: they are pooled.
    """

    def __init__(
        self,
        embeddings: "Embeddings",
        later: LaterUsers,
        queries: np.ndarray,
        scored: np.ndarray,
        own: OwnVectors | None = None,
    ) -> None:
        self._users, self._later, self._own = embeddings.users, later, own
        self._is_known = later.ids.is_in(embeddings.users.ids.implode()).to_numpy()
        self._queries, self._scored = queries, scored
        self._weigh = weights_of(embeddings)
        self._columns = columns_of_users(queries.shape[1], own="own" in self._users.table.columns)

    @property
    def counts(self) -> tuple[int, int]:
        """New users, and users that the run has."""
        known = int(self._is_known.sum())
        return len(self._later.ids) - known, known

    def __call__(self, path: Path) -> None:
        """Write the file; its owner alone can read it."""
        sink_for_owner((pl.Schema(self._columns), self._frames), path)

    def _frames(self) -> Iterator[pl.DataFrame]:
        numbers = pl.DataFrame({"user": self._later.ids}).with_row_index("place")
        with reading(self._users.path):
            scan = pl.scan_parquet(self._users.path)
        for start in range(0, len(self._users), ROWS):
            with reading(self._users.path):
                frame = scan.slice(start, ROWS).collect()
            places = frame.join(numbers, on="user", how="left", maintain_order="left")["place"]
            yield self._changed(frame, places) if places.null_count() < len(places) else frame
        new = np.flatnonzero(~self._is_known)
        for start in range(0, len(new), ROWS):
            yield self._new(new[start : start + ROWS])

    def _changed(self, frame: pl.DataFrame, places: pl.Series) -> pl.DataFrame:
        """Known users (m,) of the file, some of which have places among the later ones."""
        is_changed = places.is_not_null()
        before, chosen = frame.filter(is_changed), places.drop_nulls().to_numpy()
        stored = before.select(pl.int_range(pl.len()).alias("owner"), pl.col("items").alias("item"))
        stored = stored.explode("item").drop_nulls().with_columns(weight=pl.lit(1.0, pl.Float32))
        since = self._later.take(chosen)
        both = pl.concat([stored, since]).sort("owner", maintain_order=True)
        found = self._rows(before["user"], both)
        more = np.bincount(since["owner"].to_numpy(), minlength=len(before))
        found = found.with_columns(
            num_events=before["num_events"] + pl.Series(more.astype(np.int32))
        )
        if self._users.vector != "pooled":  # its own vector stays
            found = found.with_columns(before["scored"], before["query"])
        keys = [name for name in ("own", "key") if name in before.columns]
        found = found.with_columns(before[name] for name in keys).select(frame.columns)
        order = np.argsort(
            np.concatenate([np.flatnonzero(~is_changed.to_numpy()), is_changed.arg_true()])
        )
        return pl.concat([frame.filter(~is_changed), found.cast(frame.schema)])[order]

    def _new(self, places: np.ndarray) -> pl.DataFrame:
        """Users that the run does not have."""
        found = self._rows(self._later.ids[places], self._later.take(places))
        if "own" in self._columns:
            zeros = np.zeros((len(places), self._queries.shape[1]), np.float32)
            found = found.with_columns(own=pl.lit(False), key=as_column("key", zeros))
        if self._own is not None:
            found = found.with_columns(self._by_model(self._own, places))
        return found.select(list(self._columns))

    def _by_model(self, own: OwnVectors, places: np.ndarray) -> list[pl.Series]:
        """Columns of new users with vectors of their own."""
        rows = own.rows[places]
        tables, known = own.tables.take(rows), own.has_vector[rows]
        queries, keys = fold(tables, biased=self._users.biased)
        if self._users.biased:
            queries[:, -2] = 0.0  # it ranks nothing
        columns = [pl.Series("own", known), as_column("key", np.where(known[:, None], keys, 0))]
        if self._users.vector != "user":
            return columns
        queries = np.where(known[:, None], queries, 0)
        return [*columns, pl.Series("scored", known), as_column("query", queries)]

    def _rows(self, ids: pl.Series, events: pl.DataFrame) -> pl.DataFrame:
        """Rows of users with these events: owner (number in `ids`, ascending), item, weight."""
        sizes = np.bincount(events["owner"].to_numpy(), minlength=len(ids))
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        items, weights = events["item"].to_numpy(), events["weight"].to_numpy()
        histories = Histories(offsets, items, len(self._scored), weights=weights)
        pooled = sparse.csr_matrix(
            self._weigh(histories) @ sparse.diags(self._scored.astype(np.float32))
        )
        queries = pooled_vectors(pooled, self._queries)
        if self._users.biased:
            queries[:, -2] = 0.0  # the biases of a history rank nothing
            queries[:, -1] = 1.0
        return pl.DataFrame({
            "user": ids,
            "num_events": sizes.astype(np.int32),
            "items": distinct_items(histories),
            "scored": np.asarray(pooled.sum(axis=1)).ravel() > 0,
            "query": as_column("query", queries),
        })  # fmt: skip
