"""Labels of points and lines without overlaps."""

from collections.abc import Mapping
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

Corners = tuple[tuple[float, float], tuple[float, float]]  # lower left, upper right; of the data


def label_levels(axis: Axes, levels: Mapping[str, float]) -> None:
    """Name horizontal lines at the right, outside the axes; names too close are moved apart.

    Args:
        axis: its limits are final.
        levels: height of each line.
    """
    _settle(axis)
    height = float(axis.bbox.height) / _pixels(axis)
    above = float("-inf")
    for label, level in sorted(levels.items(), key=lambda item: item[1]):
        place = float(axis.transAxes.inverted().transform(axis.transData.transform((0, level)))[1])
        above = max(place, above + _LINE / height)
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
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0},
        )


def label_points(
    axis: Axes, points: Mapping[str, Corners], levels: Mapping[str, float] | None = None
) -> None:
    """Name points, each at the nearest place that is free of points, bars, lines and other names.

    Args:
        axis: its limits are final.
        points: corners of each point with its error bars.
        levels: height of each horizontal line.
    """
    _settle(axis)
    to_paper, free = axis.transData.transform, _MARK * _pixels(axis)
    taken = [Bbox([to_paper(low), to_paper(high)]).padded(free) for low, high in points.values()]
    for level in (levels or {}).values():
        height = to_paper((0, level))[1]
        taken.append(Bbox([(axis.bbox.x0, height), (axis.bbox.x1, height)]).padded(1.0))
    for label, (low, high) in points.items():
        center = (low[0] + high[0]) / 2, (low[1] + high[1]) / 2
        half = (to_paper(high) - to_paper(low)) / 2 / _pixels(axis)
        taken.append(_label_point(axis, fill(label, _WIDTH), center, (half[0], half[1]), taken))


def _label_point(
    axis: Axes,
    label: str,
    center: tuple[float, float],
    half: tuple[float, float],
    taken: list[Bbox],
) -> Bbox:
    """Try places around the point in turn; the first free one is kept, else the last."""
    box, renderer = Bbox.null(), _canvas(axis).get_renderer()
    for radius in _RADII:
        for dx, dy in _DIRECTIONS:
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
                arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6}
                if radius > _RADII[1]
                else None,
            )
            note.update_positions(renderer)
            box = Text.get_window_extent(note, renderer)  # without the arrow
            is_last = (radius, (dx, dy)) == (_RADII[-1], _DIRECTIONS[-1])
            if is_last or (_inside(axis, box) and not any(box.overlaps(x) for x in taken)):
                return box
            note.remove()
    return box


def _inside(axis: Axes, box: Bbox) -> bool:
    outer = axis.bbox
    is_between = outer.x0 <= box.x0 and box.x1 <= outer.x1
    return bool(is_between and outer.y0 <= box.y0 and box.y1 <= outer.y1)


def _settle(axis: Axes) -> None:
    """Lay the figure out, so that positions in pixels are final."""
    _canvas(axis).draw()


def _pixels(axis: Axes) -> float:
    """Pixels in a point of paper."""
    return _canvas(axis).figure.dpi / 72.0


def _canvas(axis: Axes) -> FigureCanvasAgg:
    figure = axis.get_figure(root=True)
    if figure is None or not isinstance(figure.canvas, FigureCanvasAgg):
        raise TypeError("labels are placed in figures with an Agg canvas only")
    return figure.canvas
