"""Two tables of vectors whose inner product is the score of a model, biases included.

A library of nearest neighbours knows inner products only. The scores of the models are
<query_i, key_j> + bias_i + bias_j, the product perhaps averaged over both directions
(`evaluation.scorers.VectorScorer`), so biases and the second direction go into added dimensions:

    one direction    [q, b, 1] . [k, 1, b]     q and k are the same, or the score is directed
    both directions  [q/2, k/2, b, 1] . [k, q, 1, b]
"""

from typing import NamedTuple

import numpy as np

_ROWS = 65_536  # compared at a time


class ScoreTables(NamedTuple):
    """The parts of the scores among N items, with the dimensions that a model has."""

    queries: np.ndarray  # (N, D) float32; these are the item vectors
    keys: np.ndarray  # (N, D)
    bias: np.ndarray  # (N,)
    both_ways: bool
    directed: bool = False  # the key of what comes after: queries and keys are not the same

    @property
    def biased(self) -> bool:
        """Whether any bias is not zero."""
        return bool(self.bias.any())

    def take(self, rows: slice | np.ndarray) -> "ScoreTables":
        """The tables of some items."""
        queries, keys, bias = (table[rows] for table in (self.queries, self.keys, self.bias))
        return ScoreTables(queries, keys, bias, self.both_ways, self.directed)

    def first_columns(self, count: int) -> "ScoreTables":
        """The tables with so many of their dimensions; vectors are views."""
        return self._replace(queries=self.queries[:, :count], keys=self.keys[:, :count])

    def with_content(self, columns: np.ndarray) -> "ScoreTables":
        """The tables with more dimensions (N, C), the same ones for queries and keys."""
        queries, keys = (np.hstack([table, columns]) for table in (self.queries, self.keys))
        return self._replace(queries=queries, keys=keys)


def folded_dimension(dim: int, *, both_ways: bool, biased: bool) -> int:
    """Dimension E of the folded vectors of a model of dimension D."""
    return dim * (1 + both_ways) + 2 * biased


def fold(tables: ScoreTables, *, biased: bool) -> tuple[np.ndarray, np.ndarray]:
    """Queries and keys (N, E) float32 whose inner products are the scores."""
    query, key = [tables.queries], [tables.keys]
    if tables.both_ways:
        query = [tables.queries / 2, tables.keys / 2]
        key = [tables.keys, tables.queries]
    if biased:
        bias, ones = tables.bias[:, None], np.ones((len(tables.bias), 1), np.float32)
        query += [bias, ones]
        key += [ones, bias]
    return np.hstack(query, dtype=np.float32), np.hstack(key, dtype=np.float32)


def without_constants(vectors: np.ndarray, *, biased: bool) -> np.ndarray:
    """Folded vectors (n, E) without the dimensions that carry biases."""
    return vectors[:, :-2] if biased else vectors


def unfold(
    keys: np.ndarray, *, both_ways: bool, biased: bool, queries: np.ndarray | None = None
) -> ScoreTables:
    """The parts of the scores, from folded keys (N, E); vectors are views.

    A directed score needs the folded queries (N, E), too.
    """
    dim = keys.shape[1] - 2 * biased
    bias = keys[:, -1] if biased else np.zeros(len(keys), np.float32)
    if both_ways:
        half = dim // 2
        return ScoreTables(keys[:, half:dim], keys[:, :half], bias, both_ways)
    directed = queries is not None
    heads = keys if queries is None else queries
    return ScoreTables(heads[:, :dim], keys[:, :dim], bias, both_ways, directed)


def recognise(queries: np.ndarray, keys: np.ndarray) -> ScoreTables | None:
    """The parts of tables (N, E) that `fold` made, to the bit; None for other tables.

    Rows of zeros, which stand for items without a score, fit every form.
    """
    for both_ways in (False, True):
        for biased in (False, True):
            rest = keys.shape[1] - 2 * biased
            if rest < 1 or (both_ways and rest % 2):
                continue
            tables = unfold(keys, both_ways=both_ways, biased=biased)
            if _are_folded(queries, keys, tables, biased):
                return tables
    return None


def _are_folded(queries: np.ndarray, keys: np.ndarray, tables: ScoreTables, biased: bool) -> bool:
    for start in range(0, len(keys), _ROWS):
        rows = slice(start, start + _ROWS)
        for stored, made in zip(
            (queries, keys), fold(tables.take(rows), biased=biased), strict=True
        ):
            if not ((stored[rows] == made).all(1) | ~stored[rows].any(1)).all():
                return False
    return True
