"""How the lines of a table are written, told by its first lines, and said to the user.

- Comments: lines at the beginning that start with `#` or `%`, the banners of SNAP, KONECT,
  MatrixMarket and networkx among them; the line of sizes of MatrixMarket.
- Separator: of tab, `::`, comma, semicolon, bar and white space the one that gives most lines the
  same number of columns, two at least; of several, the first of this list. A comma that stands
  within numbers only, beside semicolons, is a decimal comma.
- Quotes as in CSV where a cell of the first lines begins and ends with `"`.
- Header: the first line, if its cells are usual names, if the third is no number while most others
  are, or if its cells differ in form from all below them and occur nowhere else.
- Columns by the names of the header, else by place: item, item, weight.

What cannot be told is refused with the line and with the options that say it.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import has_decimal_comma, show, split_line
from recsys_lab.readers.table_columns import ROLES, Columns, Sample, find_columns

SAMPLE = 1000
SEPARATORS = {
    "\t": "tab", "::": "::", ",": "comma", ";": "semicolon", "|": "bar", " ": "white space",
}  # fmt: skip
# The attributes of an edge at the end of a line, as networkx writes them: `a b {'weight': 2.0}`.
ATTRIBUTES = r"\s+\{[^{}]*\}\s*$"
WEIGHT_AT_END = r"""\s+\{[^{}]*['"]weight['"]:\s*([-+.\w]+)[^{}]*\}\s*$"""
BOM = "\ufeff"


@dataclass(frozen=True)
class TableForm:
    """How the lines of one file are written.

    Attributes:
        separator: a key of SEPARATORS.
        num_columns: of a line that is read.
        roles: place of the columns that are used, by ROLES.
        header: text of the header line, which is dropped wherever it stands; None for none.
        skipped: number of lines at the beginning that are no data.
        quoted: whether cells may be quoted as in CSV.
        decimal_comma: whether `7,5` is a number.
        stripped: whether white space around ids belongs to the writing of the file.
        attributes: whether lines end with the attributes of networkx, `{'weight': 2}`.
        said: what was understood, for the user.
        warnings: what looks wrong.
    """

    separator: str
    num_columns: int
    roles: Mapping[str, int]
    header: str | None = None
    skipped: int = 0
    quoted: bool = False
    decimal_comma: bool = False
    stripped: bool = False
    attributes: bool = False
    said: str = ""
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class FormOptions:
    """What the user says about a table; None where it is to be told from the file.

    Attributes:
        columns: name or place (from 1) of a column, by ROLES.
        separator: one of SEPARATORS, or its name.
        comment: lines that begin with this text are comments, wherever they stand.
    """

    columns: Mapping[str, str | int] = field(default_factory=dict)
    separator: str | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        for role in self.columns:
            if role not in ROLES:
                raise CatalogError(
                    f"columns.{role} is no column that is read; these are {', '.join(ROLES)}"
                )
        if ("source" in self.columns) != ("target" in self.columns):
            raise CatalogError("columns.source and columns.target are given together or not at all")
        if self.separator is not None and self.separator_text not in SEPARATORS:
            names = ", ".join(SEPARATORS.values())
            raise CatalogError(f"separator must be one of {names}, got {self.separator!r}")

    @property
    def separator_text(self) -> str | None:
        """The separator itself, also where its name is given."""
        by_name = {name: text for text, name in SEPARATORS.items()} | {"space": " ", "\\t": "\t"}
        return by_name.get(self.separator or "", self.separator)


def detect_form(lines: Sequence[str], path: str, options: FormOptions) -> TableForm:
    """The form of a file whose first lines, blank ones included, these are.

    Raises:
        CatalogError: it cannot be told, or the options do not fit.
    """
    skipped, banner = _beginning(lines, options)
    sample = [line.removeprefix(BOM) for line in lines[skipped:] if line.strip()]
    if options.comment:
        sample = [line for line in sample if not line.startswith(options.comment)]
    sample = sample[:SAMPLE]
    if not sample:
        return TableForm("\t", 2, {"source": 0, "target": 1}, skipped=skipped)
    attributes = 2 * sum(bool(re.search(ATTRIBUTES, x)) for x in sample) > len(sample)
    if attributes:
        sample = [re.sub(ATTRIBUTES, "", re.sub(WEIGHT_AT_END, r" \1", x)) for x in sample]
    separator = options.separator_text or _separator(sample)
    raw = (cell for line in sample for cell in line.split(separator))
    quoted = separator == "," or any(len(c) > 1 and c[0] == c[-1] == '"' for c in raw)
    rows = [split_line(line, separator, quoted=quoted) or [] for line in sample]
    found = find_columns(Sample(path, sample, rows, SEPARATORS[separator], banner), options.columns)
    return TableForm(
        separator,
        found.num_columns,
        found.roles,
        header=found.header,
        skipped=skipped,
        quoted=quoted,
        decimal_comma=found.decimal_comma,
        stripped=found.stripped,
        attributes=attributes,
        said=_say(separator, found, attributes=attributes),
        warnings=found.warnings,
    )


def _say(separator: str, found: Columns, *, attributes: bool) -> str:
    """What was understood, in half a sentence."""
    parts = [SEPARATORS[separator], f"{found.num_columns} columns"]
    parts.append("no header" if found.header is None else f"header {show(found.header)}")
    if attributes:
        parts.append("attributes of edges at the end of the lines")
    if found.decimal_comma:
        parts.append("decimal comma")
    if found.stripped:
        parts.append("white space around ids taken off")
    places = ", ".join(f"{role} {place + 1}" for role, place in found.roles.items())
    return f"{', '.join(parts)} (columns: {places}); first edge {found.first_edge}"


def _beginning(lines: Sequence[str], options: FormOptions) -> tuple[int, str]:
    """Number of lines before the data, and the banner among them."""
    marks = ("#", "%") if options.comment is None else (options.comment,)
    first = [line.removeprefix(BOM) for line in lines[:SAMPLE]]
    comments = list(takewhile(lambda line: line.startswith(marks) or not line.strip(), first))
    if len(comments) == len(first):
        return 0, ""  # nothing but comments: perhaps ids that begin with such a sign
    banner = next((line.strip() for line in comments if line.strip()), "")
    if banner.lower().startswith("%%matrixmarket"):
        if "coordinate" not in banner.lower():
            raise CatalogError(
                f"{show(banner)}: a dense matrix is no list of edges; write it in coordinate form"
            )
        return len(comments) + 1, banner  # and the line of sizes
    return len(comments), banner


def _separator(sample: Sequence[str]) -> str:
    """The separator that gives most lines one number of columns, two at least."""
    shares = {}
    for separator in SEPARATORS:
        widths = Counter(len(_cells(line, separator)) for line in sample)
        shares[separator] = max((n for width, n in widths.items() if width >= 2), default=0)
    best = max(shares.values())
    if not best:
        return "\t"
    chosen = next(s for s, n in shares.items() if n >= 0.9 * best)
    if chosen == "," and shares[";"] >= 0.9 * best and _commas_are_decimal(sample, ";"):
        return ";"
    return chosen


def _commas_are_decimal(sample: Sequence[str], separator: str) -> bool:
    with_comma = [c for line in sample for c in _cells(line, separator) if "," in c]
    return bool(with_comma) and all(has_decimal_comma(c) for c in with_comma)


def _cells(line: str, separator: str) -> list[str]:
    return split_line(line, separator, quoted='"' in line) or []
