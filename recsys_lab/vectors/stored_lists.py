"""Lists of similar items that a run has in place of vectors, read from the disk as needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys_lab.results.files import atomic_path
from recsys_lab.vectors.parquet_columns import reading

SCHEMA = {"item": pl.String, "neighbour": pl.String, "rank": pl.Int32, "score": pl.Float32}


@dataclass(frozen=True)
class StoredLists:
    """The lists of a run; what is not asked for is not read.

    Attributes:
        path: the file.
        length: of the lists; they are shorter where no other item has a score.
    """

    path: Path
    length: int

    def of(self, items: Sequence[str]) -> pl.DataFrame:
        """The lists of some items: item, neighbour, rank and score."""
        return self._read(pl.col("item").is_in(list(items)))

    def score(self, item: str, other: str) -> float | None:
        """The score of a pair, None where the list of the first one does not hold the other."""
        found = self._read((pl.col("item") == item) & (pl.col("neighbour") == other))
        return float(found["score"][0]) if len(found) else None

    def write(self, out: Path, k: int) -> int:
        """Copy the k best of each list to another file; returns its rows."""
        with atomic_path(out) as part, reading(self.path):
            chosen = pl.scan_parquet(self.path).filter(pl.col("rank") <= k)
            chosen.sink_parquet(part, compression="zstd", maintain_order=True)
        return int(pl.scan_parquet(out).select(pl.len()).collect().item())

    def _read(self, wanted: pl.Expr) -> pl.DataFrame:
        with reading(self.path):
            return pl.scan_parquet(self.path).filter(wanted).collect()
