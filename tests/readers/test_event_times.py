"""Times as numbers and as text against Python's own."""

from datetime import UTC, datetime

import polars as pl
import pytest

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.event_times import TimeReader

WHEN = datetime(2014, 3, 25, 16, 5, tzinfo=UTC)
DAY = datetime(2014, 3, 25, tzinfo=UTC)


def seconds(cells, form=None):
    reader = TimeReader("log.csv", "when", form)
    series = pl.Series(cells)
    reader.begin(series)
    return reader.seconds(series).to_list(), reader.said


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2014-03-25 16:05:00", WHEN),
        ("2014-03-25T16:05:00Z", WHEN),
        ("2014-03-25 16:05:00.000 UTC", WHEN),
        ("2014-03-25T18:05:00+02:00", WHEN),
        ("2014-03-25 16:05", WHEN),
        ("2014/03/25 16:05:00", WHEN),
        ("25.03.2014 16:05", WHEN),
        ("3/25/2014 16:05", WHEN),
        ("25/3/2014 16:05", WHEN),
        ("3/25/2014 4:05:00 PM", WHEN),
        ("25-Mar-2014 16:05:00", WHEN),
        ("Tue Mar 25 16:05:00 2014", WHEN),
        ("2014-03-25", DAY),
        ("20140325", DAY),
        ("03 25, 2014", DAY),
        ("Mar 25, 2014", DAY),
    ],
)
def test_text(text, when):
    assert seconds([text, None, text])[0] == [when.timestamp(), None, when.timestamp()]


@pytest.mark.parametrize(
    ("factor", "unit"),
    [(1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")],
)
def test_units_are_told_by_size(factor, unit):
    number = int(WHEN.timestamp()) * factor
    for cells in ([number] * 3, [str(number)] * 3, [float(number)] * 3):
        assert seconds(cells) == ([WHEN.timestamp()] * 3, f"times in {unit}")


def test_small_numbers_are_seconds():
    assert seconds(["0", "7.5", "x", "nan"]) == ([0, 7.5, None, None], "times in seconds")


def test_columns_of_times():
    assert seconds([WHEN.replace(tzinfo=None)])[0] == [WHEN.timestamp()]
    assert seconds([DAY.date()])[0] == [DAY.timestamp()]
    zoned = pl.Series([WHEN]).dt.convert_time_zone("Asia/Tokyo")
    assert seconds(zoned)[0] == [WHEN.timestamp()]


def test_what_is_told_wins():
    assert seconds(["5/4/2014", "4/25/2014"], "%m/%d/%Y")[0] == [
        datetime(2014, 5, 4, tzinfo=UTC).timestamp(),
        datetime(2014, 4, 25, tzinfo=UTC).timestamp(),
    ]


def test_what_cannot_be_told_is_refused():
    with pytest.raises(CatalogError, match=r"when holds 'soon', which is read as no time.*format="):
        seconds(["soon", "later"])
    with pytest.raises(CatalogError, match=r"day and month cannot .* time_format='%d/%m/%Y'"):
        seconds(["1/2/2014", "3/4/2014"])
