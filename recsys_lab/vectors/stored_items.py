"""The items of a run with their vectors, read from the disk when they are first needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.parquet_columns import read_column, reading
from recsys_lab.vectors.score_form import ScoreTables, unfold
from recsys_lab.vectors.store import (
    LISTS,
    PAIR_SCHEMA,
    VALUES,
    VECTOR_COLUMNS,
    WEIGHT_COLUMNS,
    complete_rows,
    read_pairs,
)
from recsys_lab.vectors.stored_lists import StoredLists

if TYPE_CHECKING:
    from recsys_lab.vectors.screen import KeyScreen


@dataclass(frozen=True)
class StoredItems:
    """Items, their vectors and their training pairs; `Embeddings` adds what one asks of them.

    Attributes:
        path: the Parquet file of the items.
        info: contents of `embeddings.json`; empty for a file from elsewhere.
    """

    path: Path
    info: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.items.height

    @property
    def folder(self) -> Path:
        """The folder that holds the embeddings."""
        return self.path.parent

    @cached_property
    def items(self) -> pl.DataFrame:
        """A row for each item: item, title, brand, categories, price, num_pairs, seen, scored."""
        wanted = [c for c in self._columns if c not in (*VECTOR_COLUMNS, *WEIGHT_COLUMNS)]
        with reading(self.path):
            items = pl.read_parquet(self.path, columns=wanted).rechunk()  # rows are taken quicker
        return complete_rows(self.path, items, self.info)

    @property
    def ids(self) -> pl.Series:
        """Raw id of each item, in ascending order for the embeddings of a run."""
        return self.items["item"]

    @cached_property
    def vectors(self) -> np.ndarray:
        """Item vectors (N, D) float32."""
        return self._read("vector" if "vector" in self._columns else "query")

    @cached_property
    def queries(self) -> np.ndarray:
        """Vectors (N, E) float32 to search with."""
        return self._read("query") if "query" in self._columns else self.vectors

    @cached_property
    def keys(self) -> np.ndarray:
        """Vectors (N, E) float32 to search in."""
        return self._read("key") if "key" in self._columns else self.vectors

    @cached_property
    def scored(self) -> np.ndarray:
        """Mask (N,) of the items that the model can score."""
        return self.items["scored"].to_numpy()

    @cached_property
    def lists(self) -> StoredLists | None:
        """Lists of similar items, of a run that has these in place of vectors; else None."""
        length = self.info.get("list_length")
        return None if length is None else StoredLists(self.folder / LISTS, length)

    def check_vectors(self) -> None:
        """Refuse what takes vectors where the run has lists.

        Raises:
            VectorsError: naming the remedy.
        """
        if self.lists is not None:
            raise VectorsError(
                f"{self.folder} has lists of similar items and no vectors: take a run that has "
                "vectors for this, such as one that the mixture is made of"
            )

    @property
    def score_tables(self) -> ScoreTables:
        """The parts of the scores, with the dimensions that the model has."""
        both_ways, biased = (bool(self.info.get(x, False)) for x in ("both_ways", "biased"))
        queries = self.queries if self.info.get("directed") else None
        return unfold(self.keys, both_ways=both_ways, biased=biased, queries=queries)

    @cached_property
    def pairs(self) -> pl.DataFrame:
        """The training pairs: head, tail (row numbers), weight, relations; may be empty."""
        if not self.info:
            return pl.DataFrame({}, PAIR_SCHEMA)
        return read_pairs(self.folder, len(self))

    @cached_property
    def values(self) -> pl.DataFrame:
        """Vectors of the values of side information: field, label, center, context."""
        path = self.folder / VALUES
        if not (self.info and path.is_file()):
            raise VectorsError(f"the model of {self.folder} has no side information")
        with reading(path):
            return pl.read_parquet(path)

    @cached_property
    def part_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights (N, 1 + F) of the parts of center and context vectors, see `store.SideInfo`."""
        centers, contexts = (read_column(self.path, name) for name in WEIGHT_COLUMNS)
        return centers, contexts

    @cached_property
    def screen(self) -> "KeyScreen":
        """The keys with copies of 8 bits, which find the list of one item several times faster."""
        from recsys_lab.vectors.screen import KeyScreen  # late: numba takes half a second

        return KeyScreen.build(self.keys)

    def query(self, row: int) -> np.ndarray:
        """The vector (1, E) of one item to search with; read without those of the others."""
        self.check_vectors()
        name = "query" if "query" in self._columns else "vector"
        column = "queries" if name == "query" else "vectors"
        if column in self.__dict__:  # cached
            return np.asarray(getattr(self, column)[row : row + 1])
        with reading(self.path):
            return pl.scan_parquet(self.path).select(name).slice(row, 1).collect()[name].to_numpy()

    @cached_property
    def _columns(self) -> dict[str, pl.DataType]:
        with reading(self.path):
            return pl.read_parquet_schema(self.path)

    def _read(self, name: str) -> np.ndarray:
        self.check_vectors()
        vectors = read_column(self.path, name)
        if not self.info and not np.isfinite(vectors).all():
            raise VectorsError(
                f"{self.path}: the column {name} holds NaN or infinite values; write it again "
                "without them"
            )
        return vectors
