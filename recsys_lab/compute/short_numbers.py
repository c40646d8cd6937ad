"""Numbers that a search has drawn, as people read them."""

import re

_LONG = re.compile(r"\d+\.\d{5,}(e[-+]\d+)?")


def short_numbers(text: str) -> str:
    """A text in which numbers of more than four decimals have four digits.

    Examples:
        >>> short_numbers("lr=0.16255383,seed=1")
        'lr=0.1626,seed=1'
    """
    return _LONG.sub(lambda found: f"{float(found[0]):.4g}", text)
