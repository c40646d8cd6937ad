"""The attributes of an edge at the end of a line, as networkx writes them: `a b {'weight': 2.0}`.

The weight among them is read where it is a number, also in quotes or as NumPy prints it. Others
are not read, and named.
"""

import re
from collections.abc import Sequence

import polars as pl

_ATTRIBUTES = r"""[\s,;|]\s*\{(?:['"].*)?\}\s*$"""
_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf))"
_WEIGHT = (  # 3, '3' or np.float64(3.0)
    r"""([\s,;|])\s*\{.*?['"]weight['"]:\s*"""
    rf"""(?:['"]\s*{_NUMBER}\s*['"]|(?:[\w.]+\()?{_NUMBER}\)?)\s*[,}}].*$"""
)
_KEY = re.compile(r"""['"]([^'"{}]+)['"]\s*:""")


def have_attributes(lines: Sequence[str]) -> bool:
    """Whether most lines end with attributes."""
    return 2 * sum(bool(re.search(_ATTRIBUTES, line)) for line in lines) > len(lines)


def without_attributes(lines: pl.Series) -> pl.Series:
    """The lines with the weight in place of the attributes."""
    return lines.str.replace(_WEIGHT, "${1}${2}${3}").str.replace(_ATTRIBUTES, "")


def unread_attributes(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of attributes that are not read, and a warning where no weight is read among them."""
    names: dict[str, None] = {}
    weights = sum(bool(re.search(_WEIGHT, line)) for line in lines)
    for line in lines:
        if found := re.search(_ATTRIBUTES, line):
            inner = re.sub(r"\{[^{}]*\}", "", found[0].strip(" \t,;|")[1:-1])
            names |= dict.fromkeys(_KEY.findall(inner))
    if weights:
        names.pop("weight", None)
    if weights or not names:
        return list(names), []
    first = "weight" if "weight" in names else next(iter(names))
    why = ", as it is no number" if first == "weight" else ""
    return list(names), [
        f"the attribute {first} at the end of the lines is not read{why}: if it is the weight, "
        f"write it as a number called weight, or as a column with nx.write_edgelist(G, NEW, "
        f"data=[{first!r}])"
    ]
