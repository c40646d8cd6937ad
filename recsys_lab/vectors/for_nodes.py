"""Lists for what is no item: items near a type or a label, and nodes near an item or a user."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.similar import Wishes, list_of_one
from recsys_lab.vectors.store import TEXT_COLUMNS

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings

USER = "user"  # the group whose nodes have a file of their own


def items_for_node(
    embeddings: "Embeddings", group: str, name: str, k: int, wishes: Wishes
) -> pl.DataFrame:
    """The list of a node, see `Embeddings.for_node`."""
    query = embeddings.nodes.query(group, name)
    rows, scores = list_of_one(embeddings, query, k, wishes, np.empty(0, np.int64))
    return embeddings.items.select(*TEXT_COLUMNS, "seen")[rows].select(
        *TEXT_COLUMNS, pl.Series("score", scores, dtype=pl.Float32), "seen"
    )


def nearest_nodes(embeddings: "Embeddings", query: np.ndarray, group: str, k: int) -> pl.DataFrame:
    """The nodes of a group with the highest scores for a query (E,), see `Embeddings.nearest`."""
    if group != USER:
        return embeddings.nodes.nearest(query, group, k)
    return embeddings.users.nearest(query, k).rename({"user": "name", "num_events": "count"})


def query_of_one(
    embeddings: "Embeddings", item: str | None, user: str | None, node: tuple[str, str] | None
) -> np.ndarray:
    """The query (E,) of an item, a user or a node.

    Raises:
        VectorsError: not one of them is named, or it is not there, or it has no vector.
    """
    if sum(x is not None for x in (item, user, node)) != 1:
        raise VectorsError("name one of item, user and node")
    if user is not None:
        return embeddings.users.query(user)
    if node is not None:
        return embeddings.nodes.query(*node)
    assert item is not None  # noqa: S101 - narrows the type
    row = int(embeddings.index([item])[0])
    if not embeddings.scored[row]:
        raise VectorsError(f"item {item!r} has no score: {embeddings.why_not(row)}")
    return np.asarray(embeddings.query(row)[0], np.float32)
