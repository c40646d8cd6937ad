"""The items that fit a history best: of a user of the log, or one that is given."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recsys_lab.evaluation.histories import Histories, HistoryWeights
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.similar import Wishes, list_of_one
from recsys_lab.vectors.store import TEXT_COLUMNS
from recsys_lab.vectors.users import pooled_query

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings


def items_for_user(
    embeddings: "Embeddings", user: str, k: int, wishes: Wishes, not_known: bool | None
) -> pl.DataFrame:
    """The list of a user, see `Embeddings.for_user`."""
    users = embeddings.users
    return _list(embeddings, users.query(user), users.history(user), k, wishes, not_known)


def items_for_history(
    embeddings: "Embeddings",
    items: Sequence[str],
    k: int,
    wishes: Wishes,
    not_known: bool | None,
    weigh: HistoryWeights | None = None,
) -> pl.DataFrame:
    """The list of a history that is given, see `Embeddings.for_history`.

    Args:
        embeddings: of a run.
        items: ids, the latest last.
        k: length of the list.
        wishes: of the items; their `not_known` has no meaning here.
        not_known: see `Embeddings.for_user`.
        weigh: what an item of the history weighs; None: as in the run.
    """
    rows = embeddings.index(items)
    query = query_of(embeddings, rows, weigh or weights_of(embeddings))
    return _list(embeddings, query, rows, k, wishes, not_known)


def weights_of(embeddings: "Embeddings") -> HistoryWeights:
    """What an event of a history weighs in a run, or in any where the run has no histories."""
    return HistoryWeights(**embeddings.info.get("history") or {})


def query_of(embeddings: "Embeddings", rows: np.ndarray, weigh: HistoryWeights) -> np.ndarray:
    """The vector (E,) that a history asks with.

    Args:
        embeddings: of a run.
        rows: (n,) items, the latest last; those without a score count for nothing.
        weigh: what an item weighs.

    Raises:
        VectorsError: no item has a score.
    """
    history = weigh(Histories(np.array([0, len(rows)]), rows, len(embeddings)))
    known = embeddings.scored[history.indices] & (history.data > 0)
    if not known.any():
        raise VectorsError("no item of the history has a score: name one that training met")
    chosen = history.indices[known]
    queries = np.concatenate([embeddings.query(int(row)) for row in chosen])
    biased = bool(embeddings.info.get("biased"))
    return pooled_query(queries, history.data[known], biased=biased)


def _list(
    embeddings: "Embeddings",
    query: np.ndarray,
    history: np.ndarray,
    k: int,
    wishes: Wishes,
    not_known: bool | None,
) -> pl.DataFrame:
    if not_known is None:
        not_known = bool(embeddings.info.get("filter_history", True))
    rows, scores = list_of_one(embeddings, query, k, wishes, history if not_known else history[:0])
    return embeddings.items.select(*TEXT_COLUMNS, "seen")[rows].select(
        *TEXT_COLUMNS,
        pl.Series("score", scores, dtype=pl.Float32),
        pl.Series("in_history", np.isin(rows, history)),
        "seen",
    )
