"""Side information of one Amazon record in plain text.

An absent or empty value is None. A value that cannot be used is None too, and is noted: the
functions append to a list of notes.
"""

import html
import math
import re
from functools import lru_cache

import orjson

# Written where the maker is not known; it says nothing about two items that share it.
_NO_MAKER = (
    "unknown|unknown brand|generic|n/a|na|none|null|nan|no|no brand|nobrand|no name|unbranded|"
    "unspecified|not specified|not available|not applicable|other|others|misc|-|--"
)
NO_MAKER = frozenset(_NO_MAKER.split("|"))

_BY = re.compile(r"by\s*\n\s*")

_MAX_ESCAPES = 8  # times that text may have been escaped, one over the other
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


def read_title(text: str | None) -> str | None:
    """The title in plain text."""
    return clean_text(text) or None if text else None


def read_brand(text: str | None, notes: list[str]) -> str | None:
    """The brand in plain text; None for the names of NO_MAKER, in any case.

    Pages of 2018 write "by", a line end and the brand.
    """
    brand = clean_text(text) if text else None
    if brand and (behind := _BY.match(brand)):
        notes.append("brands behind 'by'")
        brand = brand[behind.end() :]
    if brand and brand.lower() in NO_MAKER:
        notes.append("brands that name no maker")
        return None
    return brand or None


def read_categories(paths: list[list[str]] | None, flat: list[str] | None) -> str | None:
    """The category paths in plain text, without repetition, in their order, as JSON.

    Args:
        paths: the form of 2014.
        flat: one path, the form of 2018; used where the other is absent.
    """
    if paths is None and flat is not None:
        paths = [flat]
    return _clean_paths(orjson.dumps(paths)) if paths else None


@lru_cache(maxsize=1 << 16)  # a path stands in hundreds of records
def _clean_paths(packed: bytes) -> str | None:
    found: list[list[str]] = []
    for path in orjson.loads(packed):
        labels = list(filter(None, map(clean_text, path)))
        if labels and labels not in found:
            found.append(labels)
    return orjson.dumps(found).decode() if found else None


def read_price(value: float | str | None, notes: list[str]) -> float | None:
    """The price in dollars, of a range such as "$5.00 - $9.99" the lower end.

    Numbers and text such as "$1,234.50" are read; a negative or infinite number and other text,
    such as the style sheets found in the files of 2018, are noted.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        price = float(value)
        if math.isfinite(price) and price >= 0:
            return price
    else:
        amounts = _PRICE.fullmatch(value.strip()) if len(value) <= _MAX_PRICE_TEXT else None
        if amounts:
            return min(float(amount.replace(",", "")) for amount in amounts.groups() if amount)
    notes.append("price not understood")
    return None
