"""Figures, drawn without a display."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_COLORS = {"uniform": "#1f6f8b", "degree_matched": "#d1602f", "given": "#5b8c3a"}
_STYLES = {"all": "--", "seen": "-"}
_SLICE_COLORS = {"all": "#8a8f98", "seen": "#1f6f8b", "one_cold": "#d1602f", "both_cold": "#5b8c3a"}


def _figure(width: float, height: float, columns: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(np.atleast_1d(figure.subplots(1, columns)))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="#e6e6e6", linewidth=0.8)
        axis.set_axisbelow(True)
    return figure, axes


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    figure.savefig(part, format="png", dpi=130)
    part.replace(path)


def learning_rate_resets(rows: Sequence[Mapping[str, object]]) -> list[int]:
    """Steps at which the learning rate jumped up: warm restarts."""
    rates = [(int(row["step"]), float(row["train/lr"])) for row in rows]  # type: ignore[call-overload,arg-type]
    return [rates[k - 1][0] for k in range(1, len(rates)) if rates[k][1] > 1.5 * rates[k - 1][1]]


def draw_learning_curve(rows: Sequence[Mapping[str, object]], path: Path) -> Figure:
    """AUC-ROC on validation pairs over the steps, with lines at learning-rate resets.

    Args:
        rows: the rows of `curve.csv`.
        path: where the picture goes.
    """
    figure, (curve, loss) = _figure(11, 4.2, 2)
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
    curve.set_title("Learning curve", loc="left", fontweight="bold")
    losses = np.array([(row["step"], row["train/loss"]) for row in rows], float)  # (rows, 2)
    loss.plot(*losses.T, color="#444b54", linewidth=1.6)
    loss.set(xlabel="step (batches trained)", ylabel="training loss of a positive (nats)")
    loss.set_title("Training loss", loc="left", fontweight="bold")
    for number, step in enumerate(learning_rate_resets(rows)):
        for axis in (curve, loss):
            label = "learning-rate reset" if number == 0 and axis is curve else None
            axis.axvline(step, color="#b0b5bd", linestyle=":", linewidth=1.2, label=label)
    if names:
        curve.legend(frameon=False, loc="lower right")
    save_figure(figure, path)
    return figure


def draw_precision_recall(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], path: Path, title: str
) -> Figure:
    """Precision and recall against the threshold on the score, and against each other.

    Args:
        curves: (thresholds, precision, recall) by slice, as `precision_recall` returns them.
        path: where the picture goes.
        title: what was scored.
    """
    figure, (against, plane) = _figure(11, 4.2, 2)
    for name, (thresholds, precision, recall) in curves.items():
        color = _SLICE_COLORS.get(name)
        count = len(thresholds)
        against.plot(thresholds, precision[:count], color=color, label=f"precision, {name}")
        against.plot(thresholds, recall[:count], color=color, ls="--", label=f"recall, {name}")
        plane.plot(recall, precision, color=color, label=name)
    against.set(xlabel="threshold on the score", ylim=(0, 1.02))
    against.set_title("Precision and recall against threshold", loc="left", fontweight="bold")
    plane.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    plane.set_title(title, loc="left", fontsize=10)
    against.legend(frameon=False)
    plane.legend(frameon=False)
    save_figure(figure, path)
    return figure
