"""Cells of one line of a table, and lines as they are shown in messages."""

import csv
import re
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(
    r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?(nan|inf(inity)?)|true|false", re.IGNORECASE
)
_COMMA_NUMBER = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+|[-+]?\d{1,3}(,\d{3})+(\.\d+)?")
_ANSWERS = [
    ("true", "false"), ("t", "f"), ("yes", "no"), ("y", "n"), ("1", "0"),
    ("positive", "negative"), ("pos", "neg"),
]  # fmt: skip


def split_line(line: str, separator: str, *, quoted: bool) -> list[str] | None:
    """The cells of one line; None where its quotes do not match.

    Args:
        line: the line; between spaces several count as one, and those around are left out.
        separator: of the cells.
        quoted: whether cells may be quoted as in CSV; only between separators of one character.
    """
    if quoted and '"' in line and len(separator) == 1:
        text = re.sub(r"\s+", " ", line.strip()) if separator == " " else line
        try:
            return next(csv.reader([text], delimiter=separator, strict=True), [])
        except csv.Error:
            return None
    return line.split() if separator == " " else line.split(separator)


def is_number(cell: str, *, with_comma: bool = False) -> bool:
    """Whether a cell is a number, `nan` included, or a label such as `True`."""
    cell = cell.strip()
    return _NUMBER.fullmatch(cell) is not None or (with_comma and has_comma(cell))


def has_comma(cell: str) -> bool:
    """Whether a cell is a number such as `7,5`, `1.234,5` or `1,234.5`."""
    return _COMMA_NUMBER.fullmatch(cell.strip()) is not None


def show(text: str, most: int = 80) -> str:
    """Text from a file for a message: in quotes, cut, and what is not printable escaped."""
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"'{plain[:most]}{'...' if len(plain) > most else ''}'"


def yes_and_no(cells: Iterable[str]) -> tuple[str, str] | None:
    """The two words that a column answers a question with; None if it holds anything else."""
    found = {cell.strip().lower() for cell in cells} - {""}
    return next((both for both in _ANSWERS if found == set(both)), None)


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line holds no number, and none of its cells stands below it."""
    first, others = rows[0], rows[1:]
    return not any(map(is_number, first)) and not any(
        cell and any(len(row) > place and row[place] == cell for row in others if row != first)
        for place, cell in enumerate(first)
    )
