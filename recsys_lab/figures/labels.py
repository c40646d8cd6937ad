"""Labels of points and lines without overlaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import hypot
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.path import Path
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from recsys_lab.figures.canvas import GREY, series_style

_RADII = (9, 13, 18, 26, 38, 52, 70)  # points on paper
_BESIDE = 18  # a name at this radius needs no line to its point
_CLEAR = 1.5  # another point is this many times further from a name than its own
_DIRECTIONS = (
    (1, 0),
    (1, 1),
    (1, -1),
    (-1, 0),
    (-1, 1),
    (-1, -1),
    (0, 1),
    (0, -1),
    (0.5, 1),
    (-0.5, 1),
    (0.5, -1),
    (-0.5, -1),
)
_MARK = 5.0  # points on paper kept free around a point
_WIDTH = 32  # characters in a line of a point's name
_LINE = 9.5  # points on paper between two lines of text
_ARROW = {"arrowstyle": "-", "color": GREY, "linewidth": 0.8}

Place = tuple[float, float]  # pixels
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


def label_points(
    axis: Axes, points: Mapping[str, Corners], levels: Mapping[str, float], numbers: Sequence[int]
) -> None:
    """Name points, each at the nearest place that is free of points, bars, lines and other names.

    A name beside its point is nearer to it than to any other; one further away is connected to it
    by a line in the colour of the point, which is that of `series_style`. If some name finds no
    free place, all points have numbers instead.

    Args:
        axis: its limits are final.
        points: corners of each point with its error bars.
        levels: height of each horizontal line.
        numbers: of the points.
    """
    canvas, to_paper = _lay_out(axis), axis.transData.transform
    pixels = canvas.figure.dpi / 72.0  # in a point of paper
    scene = _Scene(Bbox(axis.bbox.get_points()))
    for low, high in points.values():
        x, y = (float(place) for place in to_paper(np.add(low, high) / 2))
        (left, bottom), (right, top) = np.clip(  # an end may be below 0 on a logarithmic axis
            np.nan_to_num([to_paper(low), to_paper(high)], nan=0.0), axis.bbox.min, axis.bbox.max
        )
        scene.dots.append((x, y))
        bars = Bbox.from_extents(left, y, right, y), Bbox.from_extents(x, bottom, x, top)
        scene.taken += [bar.padded(_MARK * pixels) for bar in bars]
    for level in levels.values():
        height = to_paper((0, level))[1]
        scene.taken.append(Bbox([(axis.bbox.x0, height), (axis.bbox.x1, height)]).padded(1.0))
    notes: list[Annotation] = []
    for number, label in enumerate(points):
        note, is_free = _label_point(axis, canvas, fill(label, _WIDTH), number, scene)
        notes.append(note)
        if not is_free:
            for note in notes:
                note.remove()
            _number_points(axis, scene.dots, numbers)
            return


def _number_points(axis: Axes, dots: Sequence[Place], numbers: Sequence[int]) -> None:
    """Write a number onto each dot, the first on top."""
    for place, (dot, number) in enumerate(zip(dots, numbers, strict=True)):
        edge = {"boxstyle": "circle,pad=0.2", "facecolor": "white"}
        note = axis.annotate(
            str(number),
            dot,
            xycoords="figure pixels",
            ha="center",
            va="center",
            fontsize=7,
            color="#24292f",
            bbox=edge | {"edgecolor": series_style(place)[0]},
            zorder=10 - place / len(dots),
        )
        note.set_in_layout(False)


@dataclass
class _Scene:
    """What names must keep clear of, in pixels."""

    frame: Bbox
    dots: list[Place] = field(default_factory=list)
    taken: list[Bbox] = field(default_factory=list)  # points, bars, lines and names
    names: list[Bbox] = field(default_factory=list)
    connections: list[Path] = field(default_factory=list)

    def allows(self, box: Bbox, number: int, is_beside: bool) -> bool:
        """Whether the name of a dot may stand in a box."""
        is_inside = self.frame.contains(*box.min) and self.frame.contains(*box.max)
        if not is_inside or any(box.overlaps(other) for other in self.taken):
            return False
        if any(line.intersects_bbox(box) for line in self.connections):
            return False
        others = self.dots[:number] + self.dots[number + 1 :]
        if is_beside:
            own = _distance(box, self.dots[number])
            return all(_distance(box, other) > _CLEAR * own for other in others)
        line = _connection(self.dots[number], box)
        around = [Bbox.from_bounds(x, y, 0, 0).padded(_MARK) for x, y in others]
        return not any(line.intersects_bbox(other) for other in (*self.names, *around))


def _label_point(
    axis: Axes, canvas: FigureCanvasAgg, label: str, number: int, scene: _Scene
) -> tuple[Annotation, bool]:
    """Write the name of a dot at the nearest place that the scene allows; whether there is any."""
    dot = scene.dots[number]
    note = axis.annotate(
        label,
        dot,
        xycoords="figure pixels",
        xytext=dot,
        textcoords="figure pixels",
        ha="center",
        va="center",
        fontsize=8.5,
        color="#24292f",
        parse_math=False,
        arrowprops=_ARROW | {"color": series_style(number)[0]},
    )
    note.set_in_layout(False)  # it is inside the axes, which must not move any more
    size = Text.get_window_extent(note, canvas.get_renderer())  # without the arrow
    places = _places(dot, size.width, size.height, canvas.figure.dpi / 72.0)
    allowed = (place for place in places if scene.allows(place[1], number, place[0]))
    found = next(allowed, None)
    is_beside, box = found or places[-1]
    note.set_position(_center(box))
    scene.taken.append(box)
    scene.names.append(box)
    if not is_beside:
        scene.connections.append(_connection(dot, box))
    elif note.arrow_patch is not None:
        note.arrow_patch.set_visible(False)
    return note, found is not None


def _connection(dot: Place, box: Bbox) -> Path:
    return Path([dot, _center(box)])


def _center(box: Bbox) -> Place:
    return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2


def _places(dot: Place, width: float, height: float, pixels: float) -> list[tuple[bool, Bbox]]:
    """Boxes of a size around a point, the nearest first, and whether they are beside it."""
    found = []
    for radius, (dx, dy) in product(_RADII, _DIRECTIONS):
        left = dot[0] + dx * radius * pixels - width * (1 - dx) / 2
        middle = dot[1] + dy * radius * pixels
        box = Bbox.from_bounds(left, middle - height / 2, width, height)
        found.append((radius <= _BESIDE, box))
    return found


def _distance(box: Bbox, place: Place) -> float:
    """Pixels from a point to a box."""
    across = max(box.x0 - place[0], place[0] - box.x1, 0.0)
    return hypot(across, max(box.y0 - place[1], place[1] - box.y1, 0.0))


def _lay_out(axis: Axes) -> FigureCanvasAgg:
    """Lay the figure out, so that positions in pixels are final; returns its canvas."""
    figure = axis.get_figure(root=True)
    if figure is None or not isinstance(figure.canvas, FigureCanvasAgg):
        raise TypeError("labels are placed in figures with an Agg canvas only")
    figure.canvas.draw()
    return figure.canvas
