"""The rows of a learning curve and their file."""

import csv
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from recsys_lab.results.files import atomic_path
from recsys_lab.results.metric_names import MAIN_METRICS
from recsys_lab.results.write_errors import writing

Row = dict[str, float | int | None]

_LARGEST = 1e15  # no curve has more
_MAX_POINTS = 20  # in an epoch: more cost more than they show

_TRAINING = (
    "step",  # batches trained
    "epoch",
    "items",  # trained so far
    "seconds",  # since training began
    "train/loss",  # mean of a positive with its negatives since the last row, nats
    "train/lr",
    "train/items_per_second",  # since the last row, without the time that scoring took
)
_SLICES = ("all", "seen")  # of the AUC


def points_every(wanted: int, num_batches: int) -> int:
    """Batches between two points of a curve, given the wanted number and those of an epoch."""
    return max(wanted, -(-num_batches // _MAX_POINTS))


class CurveFile:
    """Rows kept in memory and in `curve.csv`; a value that was not measured is left empty.

    Args:
        folder: run folder.
        protocols: negative protocols of the AUC columns.
        more: further columns, of the end of an epoch.
    """

    def __init__(self, folder: Path, protocols: Iterable[str], more: Iterable[str] = ()) -> None:
        auc = [f"val/auc/{protocol}/{part}" for protocol in protocols for part in _SLICES]
        ranking = [f"val/{metric}" for metric in MAIN_METRICS]  # at the end of an epoch only
        self.columns = [*_TRAINING, *auc, *ranking, *more]
        self.rows: list[Row] = []
        self._path = folder / "curve.csv"

    def append(self, row: Row) -> None:
        """Add a row at the end of the file.

        Raises:
            WriteError: the file cannot be written; it holds the rows before, and memory all of
                them.
        """
        self.rows.append(row)
        with writing(self._path):
            before = self._path.stat().st_size if self._path.exists() else 0
            try:
                with self._path.open("a", newline="") as file:
                    csv.DictWriter(file, self.columns).writerow(row)
            except OSError:
                with suppress(OSError):
                    os.truncate(self._path, before)  # a row is whole or absent
                raise

    def rewrite(self) -> None:
        """Write the file anew from the rows in memory, atomically."""
        with atomic_path(self._path) as part, part.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)


def read_curve(folder: Path) -> list[Row]:
    """The rows of a run folder's `curve.csv`, None where a value was not measured; none without it.

    A run that is killed while it writes may leave a last line cut short; that line is left out.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / "curve.csv"
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if rows and None in rows[-1].values():
            rows.pop()
        numbers = [{name: _number(text) for name, text in row.items()} for row in rows]
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{path.name} is damaged: {error}") from error
    if wrong := [row for row in numbers if not isinstance(row.get("step"), int)]:
        raise ValueError(f"{path.name} is damaged: {len(wrong):,} of its rows name no step")
    return numbers


def _number(text: object) -> float | int | None:
    if not text:
        return None
    if not isinstance(text, str):
        raise ValueError("a row is shorter or longer than the first line")
    value = int(text) if text.isascii() and text.isdecimal() else float(text)
    if not abs(value) <= _LARGEST:
        raise ValueError(f"{text[:40]} is no number of a curve")
    return value


def best_value(folder: Path, name: str) -> float | None:
    """The largest value of a column of a run's curve; None without one or if it is damaged."""
    with suppress(OSError, ValueError):
        values = [value for row in read_curve(folder) if (value := row.get(name)) is not None]
        return max(values, default=None)
    return None
