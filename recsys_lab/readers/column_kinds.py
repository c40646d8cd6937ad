"""What the cells of one column are by their values alone: row numbers, or times."""

import re
from collections.abc import Sequence

_FEWEST_ROWS = 10
_TIMES = ((9e8, 2.5e9), (9e11, 2.5e12))  # seconds and milliseconds, of 1998 to 2049


def are_row_numbers(cells: Sequence[str]) -> bool:
    """Whether the cells count the rows, from 0 or 1."""
    if len(cells) < _FEWEST_ROWS or not all(cell.isdecimal() for cell in cells):
        return False
    first = int(cells[0])
    return first in (0, 1) and [int(c) for c in cells] == list(range(first, first + len(cells)))


def are_times(cells: Sequence[str]) -> bool:
    """Whether all cells are seconds or milliseconds since 1970, or dates, and differ."""
    if len(cells) < _FEWEST_ROWS:
        return False
    if all(re.match(r"\d{4}-\d\d-\d\d|\d\d?/\d\d?/\d{4}", cell.strip()) for cell in cells):
        return True
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        return False
    return len(set(cells)) > 1 and any(
        all(low <= value <= high for value in values) for low, high in _TIMES
    )
