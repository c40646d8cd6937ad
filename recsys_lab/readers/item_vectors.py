"""Vectors of items as a file holds them, checked."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

log = logging.getLogger(__name__)

_ROWS = 65_536  # checked at a time


class VectorFileError(ValueError):
    """A file of vectors cannot be used; the message names the file, the place and the remedy."""


@dataclass(frozen=True)
class ItemVectors:
    """Vectors by raw id.

    Attributes:
        ids: raw ids, each once.
        tables: (n, D) float32 by name: "vector", or "query" and "key".
    """

    ids: pl.Series
    tables: Mapping[str, np.ndarray]


def checked(path: str, ids: pl.Series, tables: Mapping[str, np.ndarray]) -> ItemVectors:
    """The vectors of a file; of an id that is there several times, the first ones count.

    Args:
        path: of the file, for messages.
        ids: n raw ids.
        tables: (n, D) of numbers.

    Raises:
        VectorFileError: there are none, an id is missing, or a value is no finite float32.
    """
    ids = ids.alias("item")
    if not len(ids):
        raise VectorFileError(f"{path} holds no vectors: give a file with one for each item")
    if len(absent := (ids.is_null() | (ids == "")).arg_true()):
        raise VectorFileError(
            f"{path}: vector {absent[0] + 1:,} has no id: give every vector the id of its item"
        )
    for name, vectors in tables.items():
        _check_finite(path, name, ids, vectors)
    first = ids.is_first_distinct()
    if repeated := len(ids) - int(first.sum()):
        example = ids.filter(~first)[0]
        log.warning(
            "%s holds %d vectors of ids that came before, such as %r: the first of each counts",
            path,
            repeated,
            example,
        )
        kept = first.to_numpy()
        ids, tables = ids.filter(first), {name: table[kept] for name, table in tables.items()}
    return ItemVectors(ids, {n: np.asarray(table, np.float32) for n, table in tables.items()})


def _check_finite(path: str, name: str, ids: pl.Series, vectors: np.ndarray) -> None:
    """Refuse NaN and infinity, also where a float64 has no place in a float32."""
    bad, first = 0, -1
    for start in range(0, len(vectors), _ROWS):
        with np.errstate(over="ignore"):
            piece = np.asarray(vectors[start : start + _ROWS], np.float32)
        wrong = np.flatnonzero(~np.isfinite(piece).all(1))
        first = start + int(wrong[0]) if first < 0 and len(wrong) else first
        bad += len(wrong)
    if bad:
        raise VectorFileError(
            f"{path}: {bad:,} of {len(vectors):,} {name} vectors hold NaN or infinite values, the "
            f"first is number {first + 1:,}, of {ids[first]!r}: leave these items out"
        )
