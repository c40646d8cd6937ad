"""Labels beside points that cover neither each other nor the points."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from recsys_lab.figures.canvas import GREY

_RADII = (9, 16, 26, 38, 52, 70)  # points on paper
_DIRECTIONS = ((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (-1, -1), (0, 1), (0, -1))
_MARK = 7.0  # pixels kept free around a point


def place_labels(
    axis: Axes,
    points: Mapping[str, tuple[float, float]],
    levels: Mapping[str, tuple[float, float]],
) -> None:
    """Label points and horizontal lines, each at the nearest free place.

    Args:
        axis: with its limits final.
        points: data coordinates of each labelled point.
        levels: the right end of each labelled line; its label stands on or under the line.
    """
    figure = axis.get_figure()
    if figure is None:
        raise ValueError("the axis belongs to no figure")
    figure.canvas.draw()  # settles the layout, so that places on paper are known
    taken = []
    for x, y in points.values():
        left, bottom = axis.transData.transform((x, y))
        taken.append(Bbox.from_extents(left, bottom, left, bottom).padded(_MARK))
    for label, place in sorted(levels.items(), key=lambda item: item[1][1]):
        offsets = [(-2.0, sign * radius) for radius in (7, 15, 24, 34) for sign in (1, -1)]
        _place(axis, label, place, offsets, taken, color=GREY)
    for label, place in points.items():
        offsets = [(dx * r, dy * r) for r in _RADII for dx, dy in _DIRECTIONS]
        _place(axis, label, place, offsets, taken, color="#24292f")


def _place(
    axis: Axes,
    label: str,
    place: tuple[float, float],
    offsets: Sequence[tuple[float, float]],
    taken: list[Bbox],
    color: str,
) -> None:
    """Try the offsets in turn; the first free one inside the axes is kept, else the last."""
    note: Annotation | None = None
    for dx, dy in offsets:
        if note is not None:
            note.remove()
        note = axis.annotate(
            label,
            place,
            xytext=(dx, dy),
            textcoords="offset points",
            ha="left" if dx > 0 else "right" if dx < 0 else "center",
            va="center",
            fontsize=8.5,
            color=color,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkB": 3}
            if max(abs(dx), abs(dy)) > _RADII[1]
            else None,
        )
        box = note.get_window_extent(_renderer(axis)).padded(1.5)
        inside = axis.bbox.padded(2.0)
        is_inside = inside.x0 <= box.x0 and box.x1 <= inside.x1
        is_inside = is_inside and inside.y0 <= box.y0 and box.y1 <= inside.y1
        if is_inside and not any(box.overlaps(other) for other in taken):
            break
    if note is not None:
        taken.append(note.get_window_extent(_renderer(axis)))


def _renderer(axis: Axes) -> RendererAgg:
    """The renderer of an Agg canvas, which measures text."""
    canvas = axis.figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):
        raise TypeError("labels are placed on Agg canvases only")
    return canvas.get_renderer()
