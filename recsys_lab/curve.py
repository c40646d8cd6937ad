"""The rows of a learning curve and their file."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

Row = dict[str, float | int | None]

_ALWAYS = (
    "step",  # batches trained
    "epoch",
    "items",  # trained so far
    "seconds",  # since training began
    "train/loss",  # mean of a positive with its negatives since the last row, nats
    "train/lr",
    "train/items_per_second",  # since the last row, without the time that scoring took
)
_RANKING = ("val/hr@10", "val/ndcg@10", "val/mrr")  # at the end of an epoch only


class CurveFile:
    """Rows kept in memory and in `curve.csv`; a value that was not measured is left empty.

    Args:
        folder: run folder.
        protocols: negative protocols of the AUC columns.
        slices: slices of the AUC columns.
    """

    def __init__(self, folder: Path, protocols: Sequence[str], slices: Sequence[str]) -> None:
        auc = [f"val/auc/{protocol}/{part}" for protocol in protocols for part in slices]
        self.columns = [*_ALWAYS, *auc, *_RANKING]
        self.rows: list[Row] = []
        self._path = folder / "curve.csv"

    def append(self, row: Row) -> None:
        """Add a row at the end of the file."""
        self.rows.append(row)
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def rewrite(self) -> None:
        """Write the file anew from the rows in memory, atomically."""
        part = self._path.with_name(f".{self._path.name}.part")
        with part.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
