"""Figures of many runs: learning curves, precision and recall, time and quality, importance."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from recsys_lab.figures.canvas import (
    GREY,
    MAX_SERIES,
    PALETTE,
    LineStyle,
    new_figure,
    save_figure,
    series_style,
    set_log_x,
    set_title,
)
from recsys_lab.figures.labels import Corners, label_levels, label_points
from recsys_lab.figures.one_run import learning_rate_resets

Rows = Sequence[Mapping[str, float | int | None]]  # of one run's curve.csv
Curves = Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]  # by slice

_PROTOCOLS = {"uniform": "uniform negatives", "degree_matched": "degree-matched negatives"}
_LABELS = "val/label_mrr/"  # before a field
_MEASURES: tuple[tuple[str, LineStyle], ...] = (("precision", "-"), ("recall", "--"))
_PARTS = {"all": (PALETTE[4], 4.0, 0.6), "seen": (PALETTE[0], 1.5, 1.0)}  # colour, width, alpha
_MIN_UNSCORED = 0.005  # share of unscored pairs
_WIDE_CURVES = 4.0  # longest over shortest curve, above which the axis is logarithmic
_WIDE_RANGE = 8.0  # largest over smallest, above which an axis is logarithmic


class Measured(NamedTuple):
    """Cost and quality of an experiment: mean and deviation over seeds, 0 for a single one."""

    seconds: float
    seconds_deviation: float
    quality: float
    quality_deviation: float

    @property
    def corners(self) -> Corners:
        """Lower left and upper right, bars included."""
        x, dx, y, dy = self
        return (x - dx, y - dy), (x + dx, y + dy)


def draw_learning_curves(series: Mapping[str, Sequence[Rows]], path: Path) -> Figure:
    """AUC-ROC on validation pairs over the items trained, for both negative protocols.

    Runs that rank labels have a panel for each field: the mean reciprocal rank of its labels.
    A line is the mean over the seeds, its band reaches from the lowest to the highest; a single
    point is a dot. Dotted lines mark learning-rate resets, in the colour of their experiment.

    Args:
        series: for each experiment the curve of each seed; the first `MAX_SERIES` are drawn.
        path: the picture is written here.
    """
    handles, any_reset = [], False
    drawn = dict(list(series.items())[:MAX_SERIES])
    panels = _panels(drawn)
    columns, rows = min(3, len(panels)), -(-len(panels) // 3)
    figure, axes = new_figure(5.5 * columns, 4.6 * rows, columns, rows)
    for axis in axes[len(panels) :]:
        axis.remove()
    for number, (label, seeds) in enumerate(drawn.items()):
        curves = [_over_seeds(seeds, column) for column in panels]
        is_dot = max((len(curve[0]) for curve in curves if curve is not None), default=0) == 1
        looks = _looks(number, is_dot)
        handles.append(Line2D([], [], linewidth=2, label=label, **looks))
        resets = _resets(seeds)
        any_reset |= bool(resets)
        for axis, curve in zip(axes, curves, strict=False):
            if curve is None:
                continue
            _draw_mean_and_range(axis, *curve, looks)
            for reset in resets:
                axis.axvline(reset, color=looks["color"], linestyle=":", linewidth=1.0, alpha=0.7)
    lengths = [[r.get("items") or 0 for rows in seeds for r in rows] for seeds in drawn.values()]
    ends = [longest for items in lengths if (longest := max(items, default=0)) > 0]
    for axis, (title, measure) in zip(axes, panels.values(), strict=False):
        axis.set_visible(axis.has_data() or not any(other.has_data() for other in axes))
        if ends and max(ends) > _WIDE_CURVES * min(ends):
            set_log_x(axis)
        axis.set(xlabel="items trained (millions)", ylabel=f"{measure}, validation")
        set_title(axis, title)
    if any_reset:
        handles.append(Line2D([], [], color=GREY, ls=":", lw=1.2, label="learning-rate reset"))
    _legend_below(figure, handles)
    save_figure(figure, path)
    return figure


def draw_precision_recall_panels(
    series: Mapping[str, Curves], coverage: Mapping[str, float], path: Path
) -> Figure:
    """Precision and recall against the threshold, all and seen pairs, a panel per experiment.

    Args:
        series: curves by slice of each experiment; the first `MAX_SERIES` are drawn.
        coverage: share of the test pairs that each can score; the others share one score, which
            is marked.
        path: the picture is written here.
    """
    shown = dict(list(series.items())[:MAX_SERIES])
    columns = min(3, len(shown) or 1)
    rows = -(-len(shown) // columns) or 1
    figure, axes = new_figure(max(3.9 * columns, 7.0), 3.1 * rows + 0.5, columns, rows)
    for axis, (label, curves) in zip(axes, shown.items(), strict=False):
        for part, (color, width, alpha) in _PARTS.items():
            if part not in curves:
                continue
            thresholds, precision, recall = curves[part]
            for (_, style), values in zip(_MEASURES, (precision, recall), strict=True):
                axis.plot(thresholds, values, color=color, ls=style, lw=width, alpha=alpha)
        axis.set(xlabel="threshold on the score", ylim=(0, 1.03))
        axis.set_title(fill(label, 44), loc="left", fontsize=9, fontweight="bold", parse_math=False)
        if coverage.get(label, 1.0) < 1.0 and "all" in curves:
            _mark_cliff(axis, curves["all"], 1.0 - coverage[label])
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    handles = [
        Line2D([], [], color=color, ls=style, lw=width, alpha=alpha, label=f"{what}, {part} pairs")
        for part, (color, width, alpha) in _PARTS.items()
        for what, style in _MEASURES
    ]
    _legend_below(figure, handles)
    save_figure(figure, path)
    return figure


def draw_time_against_quality(
    points: Mapping[str, Measured],
    references: Mapping[str, float],
    path: Path,
    quality: str,
    numbers: Sequence[int],
) -> Figure:
    """Quality against seconds of training, a labelled point per experiment.

    Args:
        points: of each experiment; bars show the deviation over seeds.
        references: quality of the baselines, which take no training, as horizontal lines.
        path: the picture is written here.
        quality: name of the measure.
        numbers: of the experiments, which are shown where their names would overlap.
    """
    figure, (axis,) = new_figure(8.5, 5.0, 1)
    seconds = [point.seconds for point in points.values()]
    axis.margins(x=0.15, y=0.15)
    for number, (x, dx, y, dy) in enumerate(points.values()):
        color, _ = series_style(number)
        axis.errorbar(x, y, dy or None, dx or None, fmt="o", ms=7, capsize=3, color=color)
    if seconds and min(seconds) > 0 and max(seconds) > _WIDE_RANGE * min(seconds):
        set_log_x(axis)
    else:
        axis.set_xlim(left=max(axis.get_xlim()[0], 0.0))  # a bar may reach below 0
    axis.set(xlabel="seconds of training", ylabel=f"{quality}, test")
    set_title(axis, "Training time against quality")
    for level in references.values():
        axis.axhline(level, color=GREY, linestyle=(0, (4, 3)), linewidth=1.1, zorder=1)
    label_levels(axis, references)
    corners = {label: point.corners for label, point in points.items()}
    label_points(axis, corners, references, numbers)
    save_figure(figure, path)
    return figure


def draw_importance(shares: Mapping[str, float], path: Path) -> Figure:
    """The share of each option as a bar, the largest at the top, with its number.

    Args:
        shares: between 0 and 1, by option.
        path: the picture is written here.
    """
    figure, (axis,) = new_figure(11, 0.9 + 0.38 * len(shares), 1)
    ordered = sorted(shares.items(), key=lambda one: one[1])
    places = range(len(ordered))
    axis.barh(places, [share for _, share in ordered], height=0.62, color=PALETTE[0])
    axis.set_yticks(places, [name for name, _ in ordered], parse_math=False)
    for place, (_, share) in zip(places, ordered, strict=True):
        axis.text(share + 0.01, place, f"{share:.0%}", va="center", fontsize=9)
    axis.set(xlim=(0, 1.08), xlabel="share")
    axis.grid(visible=False, axis="y")
    save_figure(figure, path)
    return figure


def _looks(number: int, is_dot: bool) -> dict[str, Any]:
    """Colour, line style and marker of a series, which is a line or a single dot."""
    color, style = series_style(number)
    if not is_dot:
        return {"color": color, "linestyle": style, "marker": ""}
    return {"color": color, "linestyle": "", "marker": "o" if style == "-" else "D"}


def _draw_mean_and_range(
    axis: Axes, items: np.ndarray, values: np.ndarray, looks: Mapping[str, Any]
) -> None:
    """Draw means, and the range over the seeds as a band, or a bar at a single point.

    Args:
        axis: to draw on.
        items: (T,) millions of items trained.
        values: (seeds, T).
        looks: colour, line style and marker.
    """
    mean, low, high = values.mean(0), values.min(0), values.max(0)  # (T,)
    axis.plot(items, mean, linewidth=1.7, ms=6, mec="white", mew=0.6, **looks)
    if looks["marker"]:
        axis.vlines(items, low, high, color=looks["color"], linewidth=1.7)
    elif len(values) > 1:
        axis.fill_between(items, low, high, color=looks["color"], alpha=0.18, linewidth=0)


def _panels(series: Mapping[str, Sequence[Rows]]) -> dict[str, tuple[str, str]]:
    """Title and measure of each panel of the learning curves, by column of the curve."""
    panels = {f"val/auc/{name}/all": (title, "AUC-ROC") for name, title in _PROTOCOLS.items()}
    columns = (name for seeds in series.values() for rows in seeds for row in rows for name in row)
    labels = dict.fromkeys(name for name in columns if name.startswith(_LABELS))
    return panels | {name: (f"labels of {name[len(_LABELS) :]}", "MRR") for name in labels}


def _over_seeds(seeds: Sequence[Rows], name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Millions of items trained (T,) and values (seeds, T) at the steps that all seeds have."""
    curves = [{r["step"]: r for r in rows if r.get(name) is not None} for rows in seeds]
    curves = [curve for curve in curves if curve]
    steps = [step for step in (curves or [{}])[0] if all(step in curve for curve in curves)]
    if not steps:
        return None
    values = np.array([[curve[step][name] for step in steps] for curve in curves], float)
    items = np.array([[curve[step].get("items") or 0 for step in steps] for curve in curves])
    return items.mean(0) / 1e6, values


def _resets(seeds: Sequence[Rows]) -> list[float]:
    """Millions of items trained at each learning-rate reset of the first seed."""
    rows = next((rows for rows in seeds if rows), [])
    rated = [row for row in rows if row.get("train/lr") is not None]
    items = {row["step"]: float(row.get("items") or 0) / 1e6 for row in rated}
    return [items[step] for step in learning_rate_resets(rated)]


def _mark_cliff(axis: Axes, curve: tuple[np.ndarray, np.ndarray, np.ndarray], share: float) -> None:
    """Mark the score that the unscored pairs share: recall falls furthest there."""
    thresholds, _, recall = curve
    falls = -np.diff(recall)
    if share < _MIN_UNSCORED or not len(falls) or falls.max() < share / 2:
        return
    axis.axvline(thresholds[int(falls.argmax())], color=GREY, linestyle=":", linewidth=1.2)
    text = f"{axis.get_xlabel()}\ndotted: the one score of the {share:.1%} unscored pairs"
    axis.set_xlabel(text, fontsize=9)


def _legend_below(figure: Figure, handles: Sequence[Line2D]) -> None:
    """A legend below the axes."""
    longest = max((len(str(handle.get_label())) for handle in handles), default=1)
    width = figure.get_figwidth() * 13.0  # characters, about
    columns = int(np.clip(width // (longest + 8), 1, 4))
    columns = 2 if columns == 3 and len(handles) == 4 else columns
    legend = figure.legend(
        handles=list(handles), loc="outside lower center", ncols=columns, frameon=False, fontsize=9
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a dollar in a name is no formula
