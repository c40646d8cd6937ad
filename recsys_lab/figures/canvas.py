"""Canvas, colours and saving of all figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from recsys_lab.results.files import atomic_path

# Okabe and Ito's palette without its yellow, which is too pale for lines on white
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#3b4048")
GREY = "#8a8f98"
LineStyle = Literal["-", "--", ":"] | tuple[float, Sequence[float]]
_DPI = 130
MAX_SERIES = 12  # more lines cannot be distinguished
_WIDE = 1000.0  # largest over smallest; more labels than those of powers of ten would overlap


def new_figure(
    width: float, height: float, columns: int, rows: int = 1
) -> tuple[Figure, list[Axes]]:
    """A figure with rows x columns axes, listed row by row."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(np.ravel(figure.subplots(rows, columns)))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="#e6e6e6", linewidth=0.8)
        axis.set_axisbelow(True)
    return figure, axes


def series_style(number: int) -> tuple[str, LineStyle]:
    """Colour and line style of a series; all of the first `2 * len(PALETTE)` differ."""
    style: LineStyle = "-" if (number // len(PALETTE)) % 2 == 0 else (0, (4, 1.5))
    return PALETTE[number % len(PALETTE)], style


def set_log_x(axis: Axes) -> None:
    """A logarithmic x axis with labels at 1, 2 and 5, or at powers of ten alone in a wide range."""
    axis.set_xscale("log")
    low, high = axis.get_xlim()
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > _WIDE else (1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def set_title(axis: Axes, text: str) -> None:
    """A bold title at the left."""
    axis.set_title(text, loc="left", fontweight="bold")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, atomically; `Figure.savefig` would draw everything twice."""
    save_pixels(pixels_of(figure), path, figure.dpi)


def save_pixels(pixels: np.ndarray, path: Path, dpi: float = _DPI) -> None:
    """Write pixels (height, width, 3) as a PNG, atomically."""
    with atomic_path(path) as part:
        imsave(part, pixels, format="png", dpi=dpi, origin="upper")


def pixels_of(figure: Figure) -> np.ndarray:
    """A figure as pixels (height, width, 3), uint8."""
    assert isinstance(figure.canvas, FigureCanvasAgg)  # noqa: S101 - see `new_figure`
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3]
