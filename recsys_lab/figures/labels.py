"""Labels of points and lines without overlaps."""

from collections.abc import Mapping
from itertools import product
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from recsys_lab.figures.canvas import GREY

_RADII = (9, 16, 26, 38, 52, 70)  # points on paper
_DIRECTIONS = ((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (-1, -1), (0, 1), (0, -1))
_MARK = 5.0  # points on paper kept free around a point
_WIDTH = 32  # characters in a line of a point's name
_LINE = 9.5  # points on paper between two lines of text
_ARROW = {"arrowstyle": "-", "color": GREY, "linewidth": 0.6}

Corners = tuple[tuple[float, float], tuple[float, float]]  # lower left, upper right; of the data


def label_levels(axis: Axes, levels: Mapping[str, float]) -> None:
    """Name horizontal lines at the right, outside the axes; names too close are moved apart.

    Args:
        axis: its limits are final.
        levels: height of each line.
    """
    line = _LINE * _lay_out(axis).figure.dpi / 72.0 / axis.bbox.height  # share of the height
    above = float("-inf")
    for label, level in sorted(levels.items(), key=lambda item: item[1]):
        place = float(axis.transAxes.inverted().transform(axis.transData.transform((0, level)))[1])
        above = max(place, above + line)
        axis.annotate(
            label,
            (1.0, place),
            xytext=(1.03, above),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=8.5,
            color="#59636e",
            parse_math=False,
            arrowprops=_ARROW | {"shrinkA": 0},
        )


def label_points(axis: Axes, points: Mapping[str, Corners], levels: Mapping[str, float]) -> None:
    """Name points, each at the nearest place that is free of points, bars, lines and other names.

    Args:
        axis: its limits are final.
        points: corners of each point with its error bars.
        levels: height of each horizontal line.
    """
    canvas, to_paper = _lay_out(axis), axis.transData.transform
    pixels = canvas.figure.dpi / 72.0  # in a point of paper
    bars = [Bbox([to_paper(low), to_paper(high)]) for low, high in points.values()]
    taken = [bar.padded(_MARK * pixels) for bar in bars]
    for level in levels.values():
        height = to_paper((0, level))[1]
        taken.append(Bbox([(axis.bbox.x0, height), (axis.bbox.x1, height)]).padded(1.0))
    for (label, (low, high)), bar in zip(points.items(), bars, strict=True):
        center = (low[0] + high[0]) / 2, (low[1] + high[1]) / 2
        half = bar.width / 2 / pixels, bar.height / 2 / pixels
        taken.append(_label_point(axis, canvas, fill(label, _WIDTH), center, half, taken))


def _label_point(
    axis: Axes,
    canvas: FigureCanvasAgg,
    label: str,
    center: tuple[float, float],
    half: tuple[float, float],
    taken: list[Bbox],
) -> Bbox:
    """Try places around the point in turn; the first free one is kept, else the last."""
    box = Bbox.null()
    for radius, (dx, dy) in product(_RADII, _DIRECTIONS):
        note = axis.annotate(
            label,
            center,
            xytext=(dx * (radius + half[0]), dy * (radius + half[1])),
            textcoords="offset points",
            ha="left" if dx > 0 else "right" if dx < 0 else "center",
            va="center",
            fontsize=8.5,
            color="#24292f",
            parse_math=False,
            arrowprops=_ARROW if radius > _RADII[1] else None,
        )
        note.update_positions(canvas.get_renderer())
        box = Text.get_window_extent(note, canvas.get_renderer())  # without the arrow
        is_inside = axis.bbox.contains(*box.min) and axis.bbox.contains(*box.max)
        is_last = (radius, (dx, dy)) == (_RADII[-1], _DIRECTIONS[-1])
        if is_last or (is_inside and not any(box.overlaps(other) for other in taken)):
            break
        note.remove()
    return box


def _lay_out(axis: Axes) -> FigureCanvasAgg:
    """Lay the figure out, so that positions in pixels are final; returns its canvas."""
    figure = axis.get_figure(root=True)
    if figure is None or not isinstance(figure.canvas, FigureCanvasAgg):
        raise TypeError("labels are placed in figures with an Agg canvas only")
    figure.canvas.draw()
    return figure.canvas
