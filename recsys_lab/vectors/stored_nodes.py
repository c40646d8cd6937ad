"""Types and labels beside the items of a run: `embeddings/nodes.parquet`.

A row is a node that is neither item nor user: a type of users, a type of items, or a label, which
is a value of a field such as category. `query` and `key` are those of `items.parquet`: the inner
product of the query of a node and the key of an item is their score, and the other way round.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from recsys_lab.compute.near_words import did_you_mean
from recsys_lab.vectors.cosines import best_rows, directions, most_alike
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.for_nodes import USER
from recsys_lab.vectors.parquet_columns import ROWS, as_column, read_column, reading, sink
from recsys_lab.vectors.score_form import ScoreTables, fold, folded_dimension
from recsys_lab.vectors.store import NODES, VECTOR_COLUMNS

_NEAR = 3  # names that a message gives
_MANY = 20_000  # names that are compared one by one
_SHOWN = 6  # names of a group that a message gives
_FACTS = {
    "group": pl.String(), "name": pl.String(), "count": pl.Int64(), "scored": pl.Boolean(),
}  # fmt: skip


class NodeVectors(NamedTuple):
    """What `write_nodes` writes.

    Attributes:
        table: row (number in `tables`), group, name and count of each node that is neither item nor
            user, group by group; None where there is none.
        tables: vectors of all V nodes, the items first.
        scored: (V,) bool, nodes that training met; the vectors of the others become zero.
    """

    table: pl.DataFrame | None
    tables: ScoreTables
    scored: np.ndarray


def write_nodes(path: Path, nodes: NodeVectors, *, biased: bool) -> None:
    """Write types and labels piece by piece; without any of them there is no file."""
    if (table := nodes.table) is None:
        return
    dim = nodes.tables.queries.shape[1]
    long = folded_dimension(dim, both_ways=nodes.tables.both_ways, biased=biased)

    def frames() -> Iterator[pl.DataFrame]:
        for start in range(0, table.height, ROWS):
            facts = table.slice(start, ROWS)
            rows = facts["row"].to_numpy()
            some, scored = nodes.tables.take(rows), nodes.scored[rows]
            query, key = fold(some, biased=biased)
            columns = zip(VECTOR_COLUMNS, (some.queries, query, key), strict=True)
            yield facts.select(
                "group", "name", pl.col("count").cast(pl.Int64), pl.Series("scored", scored),
                *(as_column(name, np.where(scored[:, None], x, 0)) for name, x in columns),
            )  # fmt: skip

    sink((pl.Schema(_columns(dim, long)), frames), path)


def _columns(dim: int, long: int) -> dict[str, pl.DataType]:
    widths = zip(VECTOR_COLUMNS, (dim, long, long), strict=True)
    return _FACTS | {name: pl.Array(pl.Float32(), width) for name, width in widths}


@dataclass(frozen=True)
class StoredNodes:
    """The types and labels of a run, read from the disk when they are first needed.

    Attributes:
        path: the file.
        biased: whether the vectors have dimensions for biases.
    """

    path: Path
    biased: bool

    def __len__(self) -> int:
        return self.table.height

    def __repr__(self) -> str:
        return f"StoredNodes({str(self.path)!r}, {len(self):,} of {', '.join(self.groups)})"

    @cached_property
    def table(self) -> pl.DataFrame:
        """A row for each node: group, name, count and scored.

        `count` is how often training met the node; one that it never met has no vector (`scored`).
        """
        with reading(self.path):
            return pl.read_parquet(self.path, columns=list(_FACTS))

    @property
    def groups(self) -> list[str]:
        """Names of the groups: user_type, item_type, and fields such as category."""
        return self.table["group"].unique(maintain_order=True).to_list()

    @cached_property
    def queries(self) -> np.ndarray:
        """Vectors (n, E) float32 whose inner products with the keys of items are scores."""
        return read_column(self.path, "query")

    @cached_property
    def keys(self) -> np.ndarray:
        """Vectors (n, E) float32 whose inner products with the queries of items are scores."""
        return read_column(self.path, "key")

    def of(self, group: str) -> np.ndarray:
        """Mask (n,) of the nodes of a group that have a vector.

        Raises:
            VectorsError: there is no such group.
        """
        mask = (self.table["group"] == group).to_numpy()
        if not mask.any():
            near = did_you_mean(group, [*self.groups, USER])
            raise VectorsError(
                f"there is no group of nodes {group!r}{near}; {self.path.parent} has "
                f"{', '.join(self.groups)}"
            )
        return mask & self.table["scored"].to_numpy()

    def row(self, group: str, name: str) -> int:
        """The row of a node that has a vector; upper and lower case are the same in its name.

        Raises:
            VectorsError: there is no such node, or training never met it.
        """
        known = self.of(group)
        rows = np.flatnonzero((self.table["group"] == group).to_numpy())
        names = self.table["name"][rows]
        same = (names == name) | (names.str.to_lowercase() == name.lower())
        exact = (names == name).arg_true()
        found = exact if len(exact) else same.arg_true()
        if not len(found):
            raise VectorsError(f"no {group} is named {name!r}{_hint(name, names)}")
        row = int(rows[found[0]])
        if not known[row]:
            raise VectorsError(
                f"{group} {names[int(found[0])]!r} has no vector: training never met it"
            )
        return row

    def query(self, group: str, name: str) -> np.ndarray:
        """The vector (E,) of a node, read without those of the others."""
        row = self.row(group, name)
        with reading(self.path):
            column = pl.scan_parquet(self.path).select("query").slice(row, 1).collect()["query"]
        return np.asarray(column.to_numpy()[0], np.float32)

    def like(self, group: str, name: str, k: int = 10) -> pl.DataFrame:
        """The k nodes of the group whose vectors have the largest cosine with that of a node.

        Columns: name, score and count.

        Raises:
            VectorsError: there is no such node, or it has no vector.
        """
        row = self.row(group, name)
        rows, scores = most_alike(self._directions, row, k, self.of(group))
        return self._list(rows, scores)

    def nearest(self, query: np.ndarray, group: str, k: int = 10) -> pl.DataFrame:
        """The k nodes of a group with the highest scores for a query (E,), as `like` lists them.

        Raises:
            VectorsError: there is no such group.
        """
        return self._list(*best_rows(query, self.keys, k, self.of(group)))

    def _list(self, rows: np.ndarray, scores: np.ndarray) -> pl.DataFrame:
        return self.table[rows].select("name", pl.Series("score", scores, pl.Float32), "count")

    @cached_property
    def _directions(self) -> np.ndarray:
        return directions(self.queries, biased=self.biased)


def nodes_of(folder: Path, info: Mapping[str, Any]) -> StoredNodes:
    """The nodes that a run has left in its folder `embeddings`.

    Raises:
        VectorsError: there are none.
    """
    path = folder / NODES
    if not info or not path.is_file():
        raise VectorsError(
            f"{folder} holds no types and no labels: they have vectors in a run with "
            "nodes.user_types=, nodes.item_types= or nodes.labels="
        )
    dim, biased = info["dimension"], bool(info.get("biased"))
    long = folded_dimension(dim, both_ways=bool(info.get("both_ways")), biased=biased)
    with reading(path):
        columns = pl.read_parquet_schema(path)
    for name, kind in _columns(dim, long).items():
        if columns.get(name) != kind:
            raise VectorsError(
                f"{path} is damaged: the column {name} is {columns.get(name)}, not {kind}; write "
                "the embeddings again"
            )
    return StoredNodes(path, biased)


def near_names(name: str, names: pl.Series) -> list[str]:
    """The names most like a text, or else that hold it, whatever the case of their letters."""
    folded, text = {one.lower(): one for one in names.head(_MANY)}, name.lower()
    near = difflib.get_close_matches(text, folded, n=_NEAR)
    return [folded[one] for one in near or [x for x in folded if text and text in x][:_NEAR]]


def _hint(name: str, names: pl.Series) -> str:
    """Names that are near, or the first ones, in brackets."""
    if near := near_names(name, names):
        return f" (did you mean {' or '.join(near)}?)"
    more = ", .." if len(names) > _SHOWN else ""
    return f" (there are {', '.join(names.head(_SHOWN))}{more})"
