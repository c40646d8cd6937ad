"""Columns of vectors in Parquet files, written piece by piece and read with errors that say why."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from recsys_lab.vectors.errors import VectorsError

Table = tuple[pl.Schema, Callable[[], Iterator[pl.DataFrame]]]  # written piece by piece
ROWS = 8192  # of a row group: one row is read without the others
PARQUET: dict[str, Any] = {
    "compression": "snappy",  # zstd takes three times as long, and vectors gain 8 % by it
    "row_group_size": ROWS,
    "statistics": False,
    "maintain_order": True,
}


def as_column(name: str, vectors: np.ndarray) -> pl.Series:
    """Vectors (n, D) as a column of fixed-size lists of float32."""
    vectors = np.ascontiguousarray(vectors, np.float32)
    return pl.Series(name, vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Reads of a Parquet file; one that is absent or damaged is a `VectorsError`."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).partition("\n")[0]
        raise VectorsError(
            f"{path} is not a Parquet file that can be read ({reason}): write it again"
        ) from error


def read_column(path: Path, name: str) -> np.ndarray:
    """A column of fixed-size lists as an array (N, D)."""
    with reading(path):
        column = pl.read_parquet(path, columns=[name])[name]
    shape = (len(column), column.dtype.shape[0])  # type: ignore[attr-defined]
    return np.ascontiguousarray(column.rechunk().to_numpy(), np.float32).reshape(shape)


def sink(table: Table, path: Path) -> None:
    """Write frames to Parquet one after the other."""
    schema, frames = table

    def source(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        for frame in frames():
            yield frame if with_columns is None else frame.select(with_columns)

    register_io_source(source, schema=schema).sink_parquet(path, **PARQUET)
