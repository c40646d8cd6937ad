"""Precision and recall against the threshold, kept in a run folder."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from recsys_lab.results.files import write_text

Curve = tuple[np.ndarray, np.ndarray, np.ndarray]  # thresholds, precision, recall: (T,) each

FILE_NAME = "precision_recall.csv"
MAX_THRESHOLDS = 500
_JUMPS = 25


def thin_curve(thresholds: np.ndarray, precision: np.ndarray, recall: np.ndarray) -> Curve:
    """At most `MAX_THRESHOLDS` points that draw the same picture.

    Points are spread evenly over the scores' ranks and over their values. Both sides of the largest
    falls of recall are kept, so a cliff stays as steep.

    Args:
        thresholds: (T,) ascending.
        precision: (T,) or longer; values beyond T are left out.
        recall: (T,) or longer.
    """
    count = len(thresholds)
    precision, recall = precision[:count], recall[:count]
    if count > MAX_THRESHOLDS:
        each = (MAX_THRESHOLDS - 2 * _JUMPS) // 2
        by_rank = np.linspace(0, count - 1, each).round().astype(int)
        values = np.linspace(thresholds[0], thresholds[-1], each)
        by_value = np.searchsorted(thresholds, values).clip(0, count - 1)
        jumps = np.argsort(-np.abs(np.diff(recall)), kind="stable")[:_JUMPS]
        kept = np.unique(np.concatenate([by_rank, by_value, jumps, jumps + 1]))
        thresholds, precision, recall = thresholds[kept], precision[kept], recall[kept]
    return thresholds, precision, recall


def write_precision_recall(folder: Path, curves: Mapping[str, Curve]) -> None:
    """Write the curves of the slices (`thin_curve`), one line for each threshold."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["slice", "threshold", "precision", "recall"])
    for part, curve in curves.items():
        for row in zip(*curve, strict=True):
            writer.writerow([part, *(f"{value:.7g}" for value in row)])
    write_text(folder / FILE_NAME, text.getvalue())


def read_precision_recall(folder: Path) -> dict[str, Curve]:
    """Curves by slice; empty if the run wrote no file.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return {}
    rows: dict[str, list[list[float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                point = [float(row[name]) for name in ("threshold", "precision", "recall")]
                rows.setdefault(row["slice"], []).append(point)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path} is damaged: {error}") from error
    found = {}
    for part, points in rows.items():
        thresholds, precision, recall = np.array(points).T
        found[part] = (thresholds, precision, recall)
    return found
