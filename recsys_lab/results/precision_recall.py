"""Precision and recall against the threshold, kept in a run folder."""

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

import numpy as np

from recsys_lab.results.files import write_text

Curve = tuple[np.ndarray, np.ndarray, np.ndarray]  # thresholds, precision, recall: (T,) each

FILE_NAME = "precision_recall.csv"
MAX_THRESHOLDS = 500
_JUMPS = 25
_LARGEST = 1e30  # a score of 32 bits may be larger than any drawing


def thin_curve(thresholds: np.ndarray, precision: np.ndarray, recall: np.ndarray) -> Curve:
    """At most `MAX_THRESHOLDS` points that draw the same picture.

    Points are spread evenly over the scores' ranks and over their values. Both sides of the largest
    falls of recall are kept, so a cliff stays as steep. Takes (T,) ascending thresholds; precision
    and recall may be longer, values beyond T are left out.
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
    lines = ["slice,threshold,precision,recall"]
    for part, curve in curves.items():
        lines += [f"{part},{t:.7g},{p:.7g},{r:.7g}" for t, p, r in zip(*curve, strict=True)]
    write_text(folder / FILE_NAME, "\n".join(lines) + "\n")


def read_precision_recall(folder: Path) -> dict[str, Curve]:
    """Curves by slice; empty if the run wrote no file.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return {}
    curves = {}
    try:
        rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        for part, points in groupby(rows, lambda row: row[0]):
            values = np.array([point[1:] for point in points], float)
            if not (np.isfinite(values).all() and (np.abs(values) <= _LARGEST).all()):
                raise ValueError(f"a value of {part} is no number of a curve")
            thresholds, precision, recall = values.T
            curves[part] = thresholds, precision, recall
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return curves
