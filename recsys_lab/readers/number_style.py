"""How numbers are written in a column: with a decimal point or comma, with or without thousands."""

import re
from collections.abc import Sequence
from typing import NamedTuple

_ENGLISH = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?")
_GERMAN = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_SMALL = re.compile(r"[-+]?\d{1,3}")


class NumberStyle(NamedTuple):
    """What stands in numbers beside their digits.

    Attributes:
        thousands: sign between thousands; empty for none.
        decimal: sign before the decimals.
        in_doubt: a number that may be read in two ways; empty where it is clear.
    """

    thousands: str = ""
    decimal: str = "."
    in_doubt: str = ""

    @property
    def said(self) -> str:
        """The style, where it is not the usual one."""
        parts = ["decimal comma"] if self.decimal == "," else []
        return ", ".join(
            [*parts, f"thousands with {self.thousands!r}"] if self.thousands else parts
        )


def number_style(cells: Sequence[str], separator: str) -> NumberStyle:
    """The style of the numbers among some cells.

    `1,234` is in doubt, unless another number shows what its comma is. Between semicolons the comma
    is a decimal comma, as spreadsheets write it.
    """
    with_comma = [cell.strip() for cell in cells if "," in cell]
    others = [cell.strip() for cell in cells if cell.strip() and "," not in cell]
    english = [_ENGLISH.fullmatch(cell) is not None for cell in with_comma]
    german = [_GERMAN.fullmatch(cell) is not None for cell in with_comma]
    if not with_comma or not (all(english) or all(german)):
        return NumberStyle()
    if not all(english) or any(cell.lstrip("+-").startswith("0") for cell in with_comma):
        has_points = any("." in cell for cell in with_comma)
        return NumberStyle("." if has_points else "", ",")
    if not all(german):
        return NumberStyle(",", ".")
    if separator == ";":
        return NumberStyle("", ",")
    if others and all(_SMALL.fullmatch(cell) for cell in others):
        return NumberStyle(",", ".")
    if others and all("." in cell or cell.lstrip("+-").isdigit() for cell in others):
        is_point = any("." in cell for cell in others)
        return NumberStyle(",", ".") if is_point else NumberStyle("", ",")
    return NumberStyle(in_doubt=with_comma[0])
