"""The users of an event log beside the items of a run: `embeddings/users.parquet`.

A row is a user, with the id of the log or its hash. The inner product of `query` with the key of an
item is the score. It is the weighted mean of the queries of what stands for the user: the items of
the whole history, the user's own vector, or that of the user's type. Biases of these are left out,
since they rank nothing.

Where users have vectors of their own, `key` is that of the user, to be searched with the queries of
items; `own` says who has one.
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
from recsys_lab.vectors.cosines import best_rows, directions, most_alike
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.parquet_columns import ROWS, Table, as_column, read_column, reading, sink
from recsys_lab.vectors.score_form import ScoreTables, fold, folded_dimension
from recsys_lab.vectors.store import USERS

OWNER_ONLY = 0o600  # what a user did is nobody else's matter
_HASHED = "where ids were hashed as they were read, name the hash"
_REMEDIES = {  # of a user who is not there, by what the run asks by
    "user": _HASHED,
    "session": f"of a session, rank by its items with for_history; {_HASHED}",
}
_WHY_NONE = {  # a user has no vector, by what it is
    "pooled": "no item of the history has a score",
    "user": "training met no event of this user",
    "user_type": "the user has no type that training met",
}


class UserHistories(NamedTuple):
    """What `write_users` writes.

    Attributes:
        ids: (U,) texts.
        histories: of the users.
        weights: (U, V) CSR, what the nodes that stand for a user weigh.
        weigh: what an event weighs.
        first: node of the first user, where each has a vector of its own; the others follow.
    """

    ids: pl.Series
    histories: Histories
    weights: sparse.csr_matrix
    weigh: HistoryWeights
    first: int | None = None


def write_users(
    path: Path, users: UserHistories, tables: ScoreTables, scored: np.ndarray, *, biased: bool
) -> None:
    """Write users piece by piece; the file can be read by its owner alone.

    Args:
        path: of the file.
        users: with their histories.
        tables: vectors of all V nodes, the items first.
        scored: (V,) bool, nodes with a score; others count for nothing.
        biased: whether the folded vectors have dimensions for biases.
    """
    width = folded_dimension(tables.queries.shape[1], both_ways=tables.both_ways, biased=biased)
    weights = users.weights @ sparse.diags(scored.astype(np.float32))
    weights = sparse.csr_matrix(weights)

    def frames() -> Iterator[pl.DataFrame]:
        for start in range(0, len(users.ids), ROWS):
            rows = slice(start, start + ROWS)
            some = users.histories.take(rows)
            query = _pool(weights[rows], tables, biased=biased)
            yield pl.DataFrame({
                "user": users.ids[rows],
                "num_events": some.sizes.astype(np.int32),
                "items": distinct_items(some),
                "scored": np.asarray(weights[rows].sum(axis=1)).ravel() > 0,
                "query": as_column("query", query),
                **_own(users, rows, tables, scored, biased=biased),
            })  # fmt: skip

    sink_for_owner((pl.Schema(columns_of_users(width, own=users.first is not None)), frames), path)


def sink_for_owner(table: Table, path: Path) -> None:
    """Write frames to a file that its owner alone can read."""
    path.touch(OWNER_ONLY)
    sink(table, path)
    path.chmod(OWNER_ONLY)


def columns_of_users(width: int, *, own: bool) -> dict[str, pl.DataType]:
    """Columns of the file, with or without those of the users' own keys."""
    columns = {
        "user": pl.String(), "num_events": pl.Int32(), "items": pl.List(pl.Int32()),
        "scored": pl.Boolean(), "query": pl.Array(pl.Float32(), width),
    }  # fmt: skip
    return columns | (_own_columns(width) if own else {})


def _own_columns(width: int) -> dict[str, pl.DataType]:
    return {"own": pl.Boolean(), "key": pl.Array(pl.Float32(), width)}


def _own(
    users: UserHistories, rows: slice, tables: ScoreTables, scored: np.ndarray, *, biased: bool
) -> dict[str, pl.Series]:
    """Which of some users have a vector of their own, and its key."""
    if users.first is None:
        return {}
    own = slice(users.first + rows.start, users.first + min(rows.stop, len(users.ids)))
    keys = fold(tables.take(own), biased=biased)[1]
    known = scored[own]
    return {"own": pl.Series(known), "key": as_column("key", np.where(known[:, None], keys, 0))}


def _pool(weights: sparse.csr_matrix, tables: ScoreTables, *, biased: bool) -> np.ndarray:
    """(U, E) folded queries of histories."""
    queries = pooled_vectors(weights, tables.queries)
    keys = pooled_vectors(weights, tables.keys) if tables.both_ways else queries
    bias = np.zeros(len(queries), np.float32)
    return fold(ScoreTables(queries, keys, bias, tables.both_ways), biased=biased)[0]


def distinct_items(histories: Histories) -> pl.Series:
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
        vector: what the vector of a user is, see `HistoryWeights`.
        asks: whose history the run was tested by: "user" or "session".
    """

    path: Path
    num_items: int
    biased: bool
    vector: str = "pooled"
    asks: str = "user"

    def __len__(self) -> int:
        return self.table.height

    def __repr__(self) -> str:
        return f"Users({str(self.path)!r}, {len(self):,} users)"

    @cached_property
    def table(self) -> pl.DataFrame:
        """A row for each user: user, num_events, scored, and own where users have own vectors."""
        with reading(self.path):
            wanted = {"user", "num_events", "scored", "own"} & set(
                pl.read_parquet_schema(self.path)
            )
            found = pl.read_parquet(self.path, columns=sorted(wanted))
        return found.select("user", "num_events", "scored", *(wanted & {"own"}))

    @property
    def ids(self) -> pl.Series:
        """Id of each user, ascending: that of the log, or its hash."""
        return self.table["user"]

    @cached_property
    def queries(self) -> np.ndarray:
        """Vectors (U, E) float32 whose inner products with the keys of items are scores."""
        return read_column(self.path, "query")

    @cached_property
    def keys(self) -> np.ndarray:
        """The users' own vectors (U, E) float32 to search in, zero for those without one.

        Raises:
            VectorsError: users have no vectors of their own.
        """
        if "own" not in self.table.columns:
            raise VectorsError(
                f"the users of {self.path.parent} have no vectors of their own, only those of what "
                "they did: train with nodes.users=true"
            )
        return read_column(self.path, "key")

    def row(self, user: str) -> int:
        """The row of a user who has a vector.

        Raises:
            VectorsError: there is no such user, or nothing that stands for the user has a score.
        """
        found = (self.ids == user).arg_true()
        if not len(found):
            raise VectorsError(
                f"no user {user!r} among the {len(self):,} users of {self.path.parent}; "
                f"{_REMEDIES[self.asks]}"
            )
        if not self.table["scored"][int(found[0])]:
            raise VectorsError(f"user {user!r} has no vector: {_WHY_NONE[self.vector]}")
        return int(found[0])

    def num_events(self, user: str) -> int:
        """Number of events of a user."""
        return int(self.table["num_events"][self.row(user)])

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
        row, allowed = self.row(user), self.table["scored"].to_numpy()
        return self._list(*most_alike(self._directions, row, k, allowed))

    def nearest(self, query: np.ndarray, k: int = 10) -> pl.DataFrame:
        """The k users whose own vectors have the highest scores for a query (E,).

        Columns: user, score and num_events.

        Raises:
            VectorsError: users have no vectors of their own.
        """
        keys = self.keys
        return self._list(*best_rows(query, keys, k, self.table["own"].to_numpy()))

    def _list(self, rows: np.ndarray, scores: np.ndarray) -> pl.DataFrame:
        score = pl.Series("score", scores, pl.Float32)
        return self.table[rows].select("user", score, "num_events")

    @cached_property
    def _directions(self) -> np.ndarray:
        return directions(self.queries, biased=self.biased)

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
    found = Users(
        folder / USERS, info["num_items"], bool(info.get("biased")),
        (info.get("history") or {}).get("vector", "pooled"), info.get("query", "user"),
    )  # fmt: skip
    _check(found, info)
    return found


def _check(users: Users, info: Mapping[str, Any]) -> None:
    """Refuse a file of users that does not fit the items beside it."""
    long = folded_dimension(
        info["dimension"], both_ways=bool(info.get("both_ways")), biased=users.biased
    )
    with reading(users.path):
        columns = pl.read_parquet_schema(users.path)
    own = "own" in columns or "key" in columns
    for name, kind in columns_of_users(long, own=own).items():
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
