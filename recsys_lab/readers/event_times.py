"""Times of events as seconds since 1970: numbers of any unit, dates, text of usual forms."""

import numpy as np
import polars as pl

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import show

_UNITS = (  # the first whose end is above most numbers; 1e11 seconds are the year 5138
    (1e11, 1.0, "seconds"),
    (1e14, 1e3, "milliseconds"),
    (1e17, 1e6, "microseconds"),
    (np.inf, 1e9, "nanoseconds"),
)
_FORMS = (
    "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M",
    "%Y-%m-%d", "%Y/%m/%d %H:%M:%S%.f", "%Y/%m/%d %H:%M", "%Y/%m/%d",
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d-%b-%Y %H:%M:%S", "%d-%b-%Y",
    "%d %b %Y %H:%M:%S", "%d %b %Y", "%a %b %d %H:%M:%S %Y", "%m %d, %Y", "%b %d, %Y", "%B %d, %Y",
    "%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %I:%M:%S %p",
    "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%m/%d/%y %H:%M", "%m/%d/%y",
    "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%d/%m/%y %H:%M", "%d/%m/%y",
)  # fmt: skip
_DATES_AS_NUMBERS = (19_000_101, 21_001_231)  # such as 20240131
_SAMPLE = 10_000


class TimeReader:
    """Reads the times of one file; the first cells tell their form.

    Args:
        path: the file, for messages.
        name: of the column.
        form: as `strptime` takes it; None tells it from the cells.

    Attributes:
        said: the form, once it is known.
    """

    def __init__(self, path: str, name: str, form: str | None) -> None:
        self._path, self._name, self._form = path, name, form
        self._divisor = 1.0
        self.said = "" if form is None else f"times as {form}"

    def begin(self, cells: pl.Series) -> None:
        """Tell the form by these cells, unless it is known.

        Raises:
            CatalogError: it cannot be told.
        """
        if self.said or not len(known := cells.drop_nulls()):
            return
        if known.dtype.is_temporal():
            self.said = "times of the file"
        else:
            self._tell(known)

    def seconds(self, cells: pl.Series) -> pl.Series:
        """Seconds (Float64), null where a cell is no time."""
        if cells.dtype.is_temporal():
            return _since_1970(cells)
        if self._form is not None:
            return _parse(cells.cast(pl.String), self._form)
        numbers = cells.cast(pl.Float64, strict=False) / self._divisor
        return numbers.set(~numbers.is_finite().fill_null(False), None)

    def _tell(self, known: pl.Series) -> None:
        """The form, or the unit of numbers."""
        numbers = known.cast(pl.Float64, strict=False).drop_nulls()
        low, high = _DATES_AS_NUMBERS
        if 2 * len(numbers) < len(known):
            self._form = self._form_of(known.head(_SAMPLE))
            self.said = f"times as {self._form}"
        elif numbers.is_between(low, high).all() and _fits(known.head(_SAMPLE), "%Y%m%d"):
            self._form, self.said = "%Y%m%d", "dates as 20240131"
        else:
            middle = abs(float(numbers.median() or 0.0))  # type: ignore[arg-type]
            _, self._divisor, unit = next(x for x in _UNITS if middle < x[0])
            self.said = f"times in {unit}"

    def _form_of(self, cells: pl.Series) -> str:
        """The form that most cells have.

        Raises:
            CatalogError: none, or two that differ in what is the day and what the month.
        """
        counts = {form: _count(cells, form) for form in _FORMS}
        best = max(counts.values())
        if 2 * best < len(cells):
            raise CatalogError(
                f"{self._path}: {self._name} holds {show(cells[0])}, which is read as no time: "
                "write times as 2024-12-31 23:59:59 or as numbers of seconds, or say their form "
                "with time_format=, such as '%d.%m.%Y %H:%M'"
            )
        found = [form for form, count in counts.items() if count == best]
        other = found[0].replace("%m/%d", "%d/%m")
        if other != found[0] and other in found:
            raise CatalogError(
                f"{self._path}: {self._name} holds {show(cells[0])}, where day and month cannot be "
                f"told apart: say time_format='{found[0]}' or time_format='{other}'"
            )
        return found[0]


def _plain(cells: pl.Series) -> pl.Series:
    """Without what says that a time is UTC."""
    return cells.str.strip_chars().str.replace(r"( ?UTC| ?GMT|Z)$", "")


def _parse(cells: pl.Series, form: str) -> pl.Series:
    """Seconds, null where a cell has another form."""
    plain = _plain(cells)
    try:
        if form.endswith("z"):
            times = plain.str.to_datetime(form, strict=False, time_zone="UTC")
        elif any(part in form for part in ("%H", "%I", "%T", "%R", "%s", "%p")):
            times = plain.str.to_datetime(form, strict=False)
        else:
            times = plain.str.to_date(form, strict=False)
    except pl.exceptions.PolarsError as error:
        raise CatalogError(
            f"time_format {form!r} is none that is read ({str(error).splitlines()[0]}): give one "
            "such as '%Y-%m-%d %H:%M:%S'"
        ) from error
    return _since_1970(times)


def _since_1970(times: pl.Series) -> pl.Series:
    if times.dtype == pl.Date:
        times = times.cast(pl.Datetime("us"))
    if not isinstance(times.dtype, pl.Datetime):
        return times.cast(pl.Int64).cast(pl.Float64) / 1e9  # of a day
    return times.dt.epoch("us").cast(pl.Float64) / 1e6


def _count(cells: pl.Series, form: str) -> int:
    found = _parse(cells.cast(pl.String), form)
    return len(found) - found.null_count()


def _fits(cells: pl.Series, form: str) -> bool:
    return _count(cells, form) == len(cells)
