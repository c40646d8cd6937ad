"""Figures of one run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from recsys_lab.figures.canvas import GREY, PALETTE, new_figure, save_figure, set_title

_COLORS = dict(zip(("uniform", "degree_matched", "given"), PALETTE, strict=False))
_STYLES = {"all": "--", "seen": "-"}
_SLICE_COLORS = {"all": GREY, "seen": PALETTE[0], "one_cold": PALETTE[1], "both_cold": PALETTE[2]}


def learning_rate_resets(rows: Sequence[Mapping[str, object]]) -> list[int]:
    """Steps at which the learning rate jumped up: warm restarts."""
    rates = [(int(row["step"]), float(row["train/lr"])) for row in rows]  # type: ignore[call-overload,arg-type]
    return [rates[k - 1][0] for k in range(1, len(rates)) if rates[k][1] > 1.5 * rates[k - 1][1]]


def draw_learning_curve(rows: Sequence[Mapping[str, object]], path: Path) -> np.ndarray:
    """AUC-ROC on validation pairs over the steps, with lines at learning-rate resets.

    Writes the picture to the path; returns its pixels, as do all figures of one run.

    Args:
        rows: the rows of `curve.csv`.
        path: of the picture.
    """
    figure, (curve, loss) = new_figure(11, 4.2, 2)
    names = sorted({n for row in rows for n in row if n.startswith("val/auc/")}, reverse=True)
    for name in names:
        protocol, part = name.split("/")[2:]
        points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
        if points:
            curve.plot(
                *zip(*points, strict=True),
                label=f"{protocol.replace('_', '-')} negatives, {part}",
                color=_COLORS.get(protocol),
                linestyle=_STYLES.get(part, ":"),
                linewidth=1.8,
            )
    curve.set(xlabel="step (batches trained)", ylabel="AUC-ROC, validation pairs")
    set_title(curve, "Learning curve")
    losses = np.array([(row["step"], row["train/loss"]) for row in rows], float)  # (rows, 2)
    loss.plot(*losses.T, color="#444b54", linewidth=1.6)
    loss.set(xlabel="step (batches trained)", ylabel="training loss of a positive (nats)")
    set_title(loss, "Training loss")
    for number, step in enumerate(learning_rate_resets(rows)):
        for axis in (curve, loss):
            label = "learning-rate reset" if number == 0 and axis is curve else None
            axis.axvline(step, color="#b0b5bd", linestyle=":", linewidth=1.2, label=label)
    if curve.get_legend_handles_labels()[0]:  # there is none if no pair is scored
        curve.legend(frameon=False, loc="lower right")
    return save_figure(figure, path)


def draw_precision_recall(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], path: Path, title: str
) -> np.ndarray:
    """Precision and recall against the threshold on the score, and against each other.

    Args:
        curves: (thresholds, precision, recall) by slice, as `precision_recall` returns them.
        path: of the picture.
        title: names the pairs.
    """
    figure, (against, plane) = new_figure(11, 4.2, 2)
    for name, (thresholds, precision, recall) in curves.items():
        color = _SLICE_COLORS.get(name)
        count = len(thresholds)
        against.plot(thresholds, precision[:count], color=color, label=f"precision, {name}")
        against.plot(thresholds, recall[:count], color=color, ls="--", label=f"recall, {name}")
        plane.plot(recall, precision, color=color, label=name)
    against.set(xlabel="threshold on the score", ylim=(0, 1.02))
    set_title(against, "Precision and recall against threshold")
    plane.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    plane.set_title(title, loc="left", fontsize=10)
    against.legend(frameon=False)
    plane.legend(frameon=False)
    return save_figure(figure, path)
