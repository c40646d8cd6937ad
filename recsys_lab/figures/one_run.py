"""Figures of one run."""

from collections.abc import Callable, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from recsys_lab.figures.canvas import (
    GREY,
    PALETTE,
    new_figure,
    pixels_of,
    save_figure,
    save_pixels,
    set_title,
)

Rows = Sequence[Mapping[str, object]]
Curves = Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]

Panels = Mapping[str, np.ndarray]  # pixels (height, width, 3), legible in a narrow column

_PANEL = 5, 3.8  # inches
_GAP = 24  # pixels
_LEGEND: Mapping[str, Any] = {"frameon": True, "edgecolor": "none", "framealpha": 0.8}

_COLORS = dict(zip(("uniform", "degree_matched", "given"), PALETTE, strict=False))
_STYLES = {"all": "--", "seen": "-"}
_SLICE_COLORS = {"all": GREY, "seen": PALETTE[0], "one_cold": PALETTE[1], "both_cold": PALETTE[2]}


def learning_rate_resets(rows: Sequence[Mapping[str, object]]) -> list[int]:
    """Steps at which the learning rate jumped up: warm restarts."""
    rates = [(int(row["step"]), float(row["train/lr"])) for row in rows]  # type: ignore[call-overload,arg-type]
    return [rates[k - 1][0] for k in range(1, len(rates)) if rates[k][1] > 1.5 * rates[k - 1][1]]


def learning_curve_panels(rows: Rows) -> Panels:
    """AUC-ROC on validation pairs over the steps, and the loss, from the rows of `curve.csv`."""
    return {
        "1_learning_curve": _panel(lambda axis: _auc(axis, rows)),
        "2_training_loss": _panel(lambda axis: _loss(axis, rows)),
    }


def precision_recall_panels(curves: Curves, title: str) -> Panels:
    """Precision and recall against the threshold, and against each other.

    Args:
        curves: (thresholds, precision, recall) by slice, as `precision_recall` returns them.
        title: names the pairs.
    """
    return {
        "4_precision_recall_by_threshold": _panel(lambda axis: _thresholds(axis, curves)),
        "3_precision_recall": _panel(lambda axis: _plane(axis, curves, title)),
    }


def save_panels(panels: Panels, path: Path) -> None:
    """Write panels side by side as one picture."""
    left, *others = panels.values()
    between = np.full((len(left), _GAP, 3), 255, np.uint8)
    save_pixels(np.hstack([left, *(part for one in others for part in (between, one))]), path)


def draw_click_ranks(curves: Mapping[str, Mapping[int, float]], path: Path) -> None:
    """Write a picture of the mean rank of the targets by the number of clicks before them.

    Args:
        curves: by scorer, the rank by the place of the click, 1 the latest.
        path: of the picture.
    """
    figure, [axis] = new_figure(*_PANEL, 1)
    for name, ranks in curves.items():
        axis.plot(list(ranks), list(ranks.values()), label=name, linewidth=1.6, marker=".")
    axis.invert_xaxis()
    axis.set(xlabel="clicks before the target", ylabel="mean rank among the items shown")
    set_title(axis, "Rank of the target by similarity to a click")
    axis.legend(frameon=False)
    save_figure(figure, path)


def _panel(draw: Callable[[Axes], None]) -> np.ndarray:
    figure, [axis] = new_figure(*_PANEL, 1)
    draw(axis)
    return pixels_of(figure)


def _auc(axis: Axes, rows: Rows) -> None:
    """AUC-ROC over the steps, with lines at learning-rate resets."""
    names = sorted({n for row in rows for n in row if n.startswith("val/auc/")}, reverse=True)
    found = {
        tuple(name.split("/")[2:]): [
            (row["step"], row[name]) for row in rows if row.get(name) is not None
        ]
        for name in names
    }
    for (protocol, part), points in found.items():
        is_copy = part == "all" and points == found.get((protocol, "seen"))
        if points and not is_copy:
            axis.plot(
                *zip(*points, strict=True),
                label=f"{protocol.replace('_', '-')} negatives, {part}",
                color=_COLORS.get(protocol),
                linestyle=_STYLES.get(part, ":"),
                linewidth=1.8,
                marker=_marker(points),
            )
    axis.set(xlabel="step (batches trained)", ylabel="AUC-ROC, validation")
    set_title(axis, "Learning curve")
    _mark_resets(axis, rows, "learning-rate reset")
    if axis.get_legend_handles_labels()[0]:  # there is none if no pair is scored
        axis.legend(loc="best", **_LEGEND)


def _loss(axis: Axes, rows: Rows) -> None:
    losses = np.array([(row["step"], row["train/loss"]) for row in rows], float)  # (rows, 2)
    axis.plot(*losses.T, color="#444b54", linewidth=1.6, marker=_marker(losses))
    axis.set(xlabel="step (batches trained)", ylabel="training loss of a positive (nats)")
    set_title(axis, "Training loss")
    _mark_resets(axis, rows, None)


def _marker(points: Sized) -> str | None:
    """A dot where there is no line."""
    return "o" if len(points) == 1 else None


def _mark_resets(axis: Axes, rows: Rows, label: str | None) -> None:
    for number, step in enumerate(learning_rate_resets(rows)):
        shown = label if number == 0 else None
        axis.axvline(step, color="#b0b5bd", linestyle=":", linewidth=1.2, label=shown)


def _without_copies(curves: Curves) -> Curves:
    """The curves without that of all pairs where all of them are seen."""
    every, seen = curves.get("all"), curves.get("seen")
    if every is None or seen is None:
        return curves
    is_copy = all(np.array_equal(a, b) for a, b in zip(every, seen, strict=True))
    return {name: curve for name, curve in curves.items() if name != "all" or not is_copy}


def _thresholds(axis: Axes, curves: Curves) -> None:
    for name, (thresholds, precision, recall) in _without_copies(curves).items():
        color, count = _SLICE_COLORS.get(name), len(thresholds)
        axis.plot(thresholds, precision[:count], color=color, label=f"precision, {name}")
        axis.plot(thresholds, recall[:count], color=color, ls="--", label=f"recall, {name}")
    axis.set(xlabel="threshold on the score", ylim=(0, 1.02))
    set_title(axis, "Precision and recall against threshold")
    axis.legend(loc="best", **_LEGEND)


def _plane(axis: Axes, curves: Curves, title: str) -> None:
    for name, (_, precision, recall) in _without_copies(curves).items():
        axis.plot(recall, precision, color=_SLICE_COLORS.get(name), label=name)
    axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axis.set_title(title, loc="left", fontsize=10)
    axis.legend(loc="best", **_LEGEND)
