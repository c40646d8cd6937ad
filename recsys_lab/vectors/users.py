"""The users of an event log beside the items of a run: `embeddings/users.parquet`.

A row is a user, with the id of the log or its hash. `query` is the mean of the item queries of the
user's whole history, weighted as the run weighs histories; its inner product with the key of an
item is the score. Biases of the history are left out of it, since they rank nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy import sparse

from recsys_lab.evaluation.histories import Histories, HistoryWeights, pooled_vectors
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.parquet_columns import ROWS, as_column, read_column, reading, sink
from recsys_lab.vectors.score_form import ScoreTables, fold, folded_dimension, without_constants
from recsys_lab.vectors.search import NO_ROW, top_k
from recsys_lab.vectors.store import USERS

_OWNER_ONLY = 0o600  # what a user did is nobody else's matter


class UserHistories(NamedTuple):
    """What `write_users` writes.

    Attributes:
        ids: (U,) texts.
        histories: of the users.
        weigh: what an event weighs.
    """

    ids: pl.Series
    histories: Histories
    weigh: HistoryWeights


def write_users(
    path: Path, users: UserHistories, tables: ScoreTables, scored: np.ndarray, *, biased: bool
) -> None:
    """Write users piece by piece; the file can be read by its owner alone.

    Args:
        path: of the file.
        users: with their histories.
        tables: vectors of the items.
        scored: (N,) bool, items with a score; others count for nothing in a history.
        biased: whether the folded vectors have dimensions for biases.
    """
    width = folded_dimension(tables.queries.shape[1], both_ways=tables.both_ways, biased=biased)
    weights = users.weigh(users.histories) @ sparse.diags(scored.astype(np.float32))
    weights = sparse.csr_matrix(weights)

    def frames() -> Iterator[pl.DataFrame]:
        for start in range(0, len(users.ids), ROWS):
            rows = slice(start, start + ROWS)
            some = users.histories.take(rows)
            query = _pool(weights[rows], tables, biased=biased)
            yield pl.DataFrame({
                "user": users.ids[rows],
                "num_events": some.sizes.astype(np.int32),
                "items": _distinct(some),
                "scored": np.asarray(weights[rows].sum(axis=1)).ravel() > 0,
                "query": as_column("query", query),
            })  # fmt: skip

    path.touch(_OWNER_ONLY)
    sink((pl.Schema(_columns(width)), frames), path)
    path.chmod(_OWNER_ONLY)


def _columns(width: int) -> dict[str, pl.DataType]:
    return {
        "user": pl.String(), "num_events": pl.Int32(), "items": pl.List(pl.Int32()),
        "scored": pl.Boolean(), "query": pl.Array(pl.Float32(), width),
    }  # fmt: skip


def _pool(weights: sparse.csr_matrix, tables: ScoreTables, *, biased: bool) -> np.ndarray:
    """(U, E) folded queries of histories."""
    queries = pooled_vectors(weights, tables.queries)
    keys = pooled_vectors(weights, tables.keys) if tables.both_ways else queries
    bias = np.zeros(len(queries), np.float32)
    return fold(ScoreTables(queries, keys, bias, tables.both_ways), biased=biased)[0]


def _distinct(histories: Histories) -> pl.Series:
    """The distinct items of each history, in the order of their last events."""
    events = pl.DataFrame({
        "row": np.repeat(np.arange(len(histories), dtype=np.int32), histories.sizes),
        "item": histories.items.astype(np.int32),
    })  # fmt: skip
    last = events.unique(keep="last", maintain_order=True)
    lists = last.group_by("row", maintain_order=True).agg("item")
    every = pl.DataFrame({"row": np.arange(len(histories), dtype=np.int32)})
    found = every.join(lists, on="row", how="left", maintain_order="left")["item"]
    return found.fill_null(pl.lit([], pl.List(pl.Int32)))


@dataclass(frozen=True)
class Users:
    """The users of a run, read from the disk when they are first needed.

    Attributes:
        path: the file.
        num_items: N, of the items beside them.
        biased: whether the vectors have dimensions for biases.
    """

    path: Path
    num_items: int
    biased: bool

    def __len__(self) -> int:
        return self.table.height

    def __repr__(self) -> str:
        return f"Users({str(self.path)!r}, {len(self):,} users)"

    @cached_property
    def table(self) -> pl.DataFrame:
        """A row for each user: user, num_events and scored."""
        with reading(self.path):
            return pl.read_parquet(self.path, columns=["user", "num_events", "scored"])

    @property
    def ids(self) -> pl.Series:
        """Id of each user, ascending: that of the log, or its hash."""
        return self.table["user"]

    @cached_property
    def queries(self) -> np.ndarray:
        """Vectors (U, E) float32 whose inner products with the keys of items are scores."""
        return read_column(self.path, "query")

    def row(self, user: str) -> int:
        """The row of a user who has a vector.

        Raises:
            VectorsError: there is no such user, or no item of the history has a score.
        """
        found = (self.ids == user).arg_true()
        if not len(found):
            raise VectorsError(
                f"no user {user!r} among the {len(self):,} users of {self.path.parent}; where ids "
                "were hashed as they were read, name the hash"
            )
        if not self.table["scored"][int(found[0])]:
            raise VectorsError(f"user {user!r} has no vector: no item of the history has a score")
        return int(found[0])

    def query(self, user: str) -> np.ndarray:
        """The vector (E,) of a user, read without those of the others."""
        return np.asarray(self._of(user, "query").to_numpy()[0], np.float32)

    def history(self, user: str) -> np.ndarray:
        """The distinct items of a user (n,), as rows of the items, the latest last."""
        rows = self._of(user, "items")[0].to_numpy()
        if len(rows) and not (rows.min() >= 0 and rows.max() < self.num_items):
            raise VectorsError(
                f"{self.path} is damaged: it names items that are not there; write it again"
            )
        return np.asarray(rows)

    def like(self, user: str, k: int = 10) -> pl.DataFrame:
        """The k users whose vectors have the largest cosine with that of a user.

        Columns: user, score and num_events.

        Raises:
            VectorsError: there is no such user, or it has no vector.
        """
        if k < 1:
            raise VectorsError(f"k must be >= 1, got {k}")
        row = self.row(user)
        own = self._directions[row : row + 1]
        allowed = self.table["scored"].to_numpy()
        rows, scores = top_k(own, self._directions, k, allowed, np.array([row]))
        found = rows[0] != NO_ROW
        return self.table[rows[0][found]].select(
            "user", pl.Series("score", scores[0][found]), "num_events"
        )

    @cached_property
    def _directions(self) -> np.ndarray:
        """Vectors (U, E) of length one, without the constants that carry biases."""
        plain = without_constants(self.queries, biased=self.biased)
        lengths = np.linalg.norm(plain, axis=1, keepdims=True)
        return np.divide(plain, lengths, out=np.zeros_like(plain), where=lengths > 0)

    def _of(self, user: str, column: str) -> pl.Series:
        row = self.row(user)
        with reading(self.path):
            return pl.scan_parquet(self.path).select(column).slice(row, 1).collect()[column]


def users_of(folder: Path, info: Mapping[str, Any]) -> Users:
    """The users that a run has left in its folder `embeddings`.

    Raises:
        VectorsError: there are none.
    """
    if not info or not (folder / USERS).is_file():
        raise VectorsError(
            f"{folder} holds no users: they are left by a run on an event log that is split by its "
            "events (split=leave_one_out, time or given), unless users=false"
        )
    found = Users(folder / USERS, info["num_items"], bool(info.get("biased")))
    _check(found, info)
    return found


def _check(users: Users, info: Mapping[str, Any]) -> None:
    """Refuse a file of users that does not fit the items beside it."""
    long = folded_dimension(
        info["dimension"], both_ways=bool(info.get("both_ways")), biased=users.biased
    )
    with reading(users.path):
        columns = pl.read_parquet_schema(users.path)
    for name, kind in _columns(long).items():
        if columns.get(name) != kind:
            raise VectorsError(
                f"{users.path} is damaged: the column {name} is {columns.get(name)}, not {kind}; "
                "write the embeddings again"
            )


def pooled_query(queries: np.ndarray, weights: np.ndarray, *, biased: bool) -> np.ndarray:
    """The vector (E,) of a history: the mean of item queries (n, E) by weights (n,)."""
    query = np.asarray(weights @ queries / weights.sum(), np.float32)
    if biased:
        query[-2] = 0.0  # the biases of the history rank nothing
    return query
