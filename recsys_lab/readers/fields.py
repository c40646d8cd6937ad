"""Side information of one Amazon record: text as people write it, or nothing, and why.

Each function takes the raw value, which may be anything, and the list of notes to which it adds
what it could not use. An absent, null or empty value is nothing without a note.
"""

import html
import math
import re
from functools import lru_cache

# Written where the maker is not known; two items that share it have nothing in common.
_NO_MAKER = (
    "unknown|unknown brand|generic|n/a|na|none|null|nan|no|no brand|nobrand|no name|unbranded|"
    "unspecified|not specified|not available|not applicable|other|others|misc|-|--"
)
NO_MAKER = frozenset(_NO_MAKER.split("|"))

_MAX_ESCAPES = 8  # how often text may have been escaped on top of an escape
_MAX_PRICE_TEXT = 40  # longer text is no price but page source
_AMOUNT = r"\$?\s*([0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)"
_PRICE = re.compile(rf"{_AMOUNT}(?:\s*-\s*{_AMOUNT})?")


def clean_text(text: str) -> str:
    """Text without HTML entities, doubly escaped ones included, and without white space around."""
    for _ in range(_MAX_ESCAPES):
        if "&" not in text or (plain := html.unescape(text)) == text:
            break
        text = plain
    return text.strip()


_clean_label = lru_cache(maxsize=1 << 16)(clean_text)  # a label stands in hundreds of records


def read_title(value: object, notes: list[str]) -> str | None:
    """The title in plain text."""
    return _read_text(value, "title", notes)


def read_brand(value: object, notes: list[str]) -> str | None:
    """The brand in plain text; None for the names of NO_MAKER, in any case."""
    brand = _read_text(value, "brand", notes)
    if brand is not None and brand.lower() in NO_MAKER:
        notes.append("brands that name no maker")
        return None
    return brand


def _read_text(value: object, field: str, notes: list[str]) -> str | None:
    if isinstance(value, str):
        return clean_text(value) or None
    if value is not None:
        notes.append(f"{field} of a wrong type")
    return None


def read_categories(paths: object, flat: object, notes: list[str]) -> list[list[str]] | None:
    """The category paths, without repetition, in their order.

    Args:
        paths: a list of lists of labels (the form of 2014).
        flat: one list of labels, which is one path (the form of 2018).
        notes: where to say what could not be used.
    """
    if isinstance(paths, list):
        candidates = paths
    else:
        if paths is not None:
            notes.append("categories of a wrong type")
        candidates = [] if flat is None else [flat]
    found: list[list[str]] = []
    for path in candidates:
        if not isinstance(path, list):
            notes.append("categories of a wrong type")
            continue
        labels = [_clean_label(label) for label in path if isinstance(label, str)]
        if len(labels) < len(path):
            notes.append("categories of a wrong type")
        if "" in labels:
            labels = [label for label in labels if label]
        if labels and labels not in found:
            found.append(labels)
    return found or None


def read_price(value: object, notes: list[str]) -> float | None:
    """The price in dollars, of a range such as "$5.00 - $9.99" the lower end.

    Numbers and text such as "$1,234.50" are read; a negative or infinite number and other text,
    such as the style sheets found in the files of 2018, are noted.
    """
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        price = float(value)
        if math.isfinite(price) and price >= 0:
            return price
    elif isinstance(value, str):
        amounts = _PRICE.fullmatch(value.strip()) if len(value) <= _MAX_PRICE_TEXT else None
        if amounts:
            return min(float(amount.replace(",", "")) for amount in amounts.groups() if amount)
    notes.append("price not understood")
    return None
