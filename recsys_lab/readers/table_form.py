"""How the lines of a table are written, told by its first lines, and said to the user.

- Comments: lines at the beginning that start with `#` or `%`, the banners of SNAP, KONECT,
  MatrixMarket and networkx among them; the line of sizes of MatrixMarket; `sep=;` of Excel; between
  bars, the lines that psql and MySQL draw.
- Layout: edges, or adjacency lists (`adjacency`).
- Separator: of tab, `::`, comma, semicolon, bar and white space the one that gives most lines the
  same number of columns, two at least; of several, the first of this list. A comma that stands
  within numbers only, beside semicolons, belongs to the numbers.
- Quotes as in CSV where a cell of the first lines begins and ends with `"`.
- Header: the first line, if its cells are usual names, if the third is no number while most others
  are, or if its cells differ in form from all below them and occur nowhere else.
- Columns by the names of the header, else by place: item, item, weight.

What cannot be told is refused with the line and with the options that say it.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Literal, NamedTuple

import polars as pl

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.adjacency import (
    are_adjacency_lists,
    is_ragged,
    refuse_in_doubt,
    refuse_libsvm,
    two_levels,
)
from recsys_lab.readers.cells import has_comma, show, split_line
from recsys_lab.readers.counts_on_top import are_counts, counts_on_top
from recsys_lab.readers.edge_attributes import (
    have_attributes,
    unread_attributes,
    without_attributes,
)
from recsys_lab.readers.matrix_market import entries_of
from recsys_lab.readers.number_style import NumberStyle
from recsys_lab.readers.table_columns import ROLES, Columns, Sample, find_columns, say_ignored

SAMPLE = 1000
SEPARATORS = {
    "\t": "tab", "::": "::", ",": "comma", ";": "semicolon", "|": "bar", " ": "white space",
}  # fmt: skip
# What psql and MySQL draw around a table, and write below it.
RULER = r"^[\s|+:-]*--[\s|+:-]*$|^\(\d+ rows?\)\s*$|^\d+ rows? in set.*$"
_EXCEL = re.compile(r"sep=(.)\s*$", re.IGNORECASE)
_OPEN = re.compile(r'(^|[,;\t|])\s*"[^"]*$')  # a cell in quotes without its end
_FEW_OPEN = 2
_MANY_OPEN = 0.02  # of the lines, whose quotes do not close
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
        numbers: how weights are written.
        layout: an edge in a line, or an item and its neighbours.
        levels: pattern of lines whose neighbours stand behind a colon or a tab; empty for others.
        entries: number of lines that the file itself names; None where it names none.
        counted: the first line by the number of edges in it, if it may count them.
        users_items: names of the columns, where these are users and items.
        stripped: whether white space around ids belongs to the writing of the file.
        attributes: whether lines end with the attributes of networkx, `{'weight': 2}`.
        unread: names of those that are not read.
        said: what was understood, for the user.
        warnings: what looks wrong.
    """

    separator: str
    num_columns: int
    roles: Mapping[str, int]
    header: str | None = None
    skipped: int = 0
    quoted: bool = False
    numbers: NumberStyle = NumberStyle()  # noqa: RUF009 - a tuple
    layout: Literal["edges", "adjacency"] = "edges"
    levels: str = ""
    entries: int | None = None
    counted: Mapping[int, str] = field(default_factory=dict)
    users_items: tuple[str, str] | None = None
    stripped: bool = False
    attributes: bool = False
    unread: Sequence[str] = ()
    said: str = ""
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class FormOptions:
    """What the user says about a table; None where it is to be told from the file.

    Attributes:
        columns: name or place (from 1) of a column, by ROLES.
        separator: one of SEPARATORS, or its name.
        comment: lines that begin with this text are comments, wherever they stand.
        layout: "edges" or "adjacency".
    """

    columns: Mapping[str, str | int] = field(default_factory=dict)
    separator: str | None = None
    comment: str | None = None
    layout: Literal["edges", "adjacency"] | None = None

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


def detect_form(
    lines: Sequence[str], path: str, options: FormOptions, *, is_whole: bool = False
) -> TableForm:
    """The form of a file whose first lines, blank ones included, these are.

    Args:
        lines: the first lines.
        path: the file, for messages.
        options: what the user says.
        is_whole: whether the file has no other lines.

    Raises:
        CatalogError: it cannot be told, or the options do not fit.
    """
    begin = _beginning(lines, path, options)
    sample = [line.removeprefix(BOM) for line in lines[begin.skipped :] if line.strip()]
    if options.comment:
        sample = [line for line in sample if not line.startswith(options.comment)]
    if not sample:
        return TableForm("\t", 2, {"source": 0, "target": 1}, skipped=begin.skipped)
    refuse_breaks(sample, path)
    form, sample = _with_separator(begin, sample, options)
    rows = [split_line(line, form.separator, quoted=form.quoted) or [] for line in sample]
    if form.attributes and 2 * sum(len(row) == 1 for row in rows) > len(rows):
        raise CatalogError(
            f"{path} is a multiline adjacency list of networkx, the first line is "
            f"{show(sample[0])}: write it with nx.write_edgelist"
        )
    form, rows, sample = _without_counts(form, rows, sample, lines, path, is_whole=is_whole)
    refuse_libsvm(path, rows, sample)
    by_networkx = any(line.startswith("# GMT ") for line in begin.banners)
    lists = form.levels or is_ragged(rows, by_networkx=by_networkx)
    in_doubt = options.layout is None and lists and not begin.banner.startswith("%")
    if not in_doubt and options.layout != "adjacency":
        return _edge_form(form, rows[:SAMPLE], sample[:SAMPLE], path, options, begin.banner)
    rows = [[cell for cell in map(str.strip, row) if cell] or [""] for row in rows]
    if in_doubt and not (
        (is_whole or by_networkx) and are_adjacency_lists(rows, by_networkx=by_networkx)
    ):
        refuse_in_doubt(path, rows, sample, SEPARATORS[form.separator])
    return _adjacency_form(form, rows)


def _with_separator(
    begin: "_Beginning", sample: list[str], options: FormOptions
) -> tuple[TableForm, list[str]]:
    """The form as far as its lines are split, and the lines without what ends or draws them."""
    attributes = have_attributes(sample)
    unread, warnings = unread_attributes(sample) if attributes else ([], [])
    if attributes:
        sample = without_attributes(pl.Series(sample)).to_list()
    separator = options.separator_text or begin.separator or likely_separator(sample[:SAMPLE])
    levels = None if options.layout == "edges" else two_levels(sample)
    if levels:
        separator = levels[1]
        sample = [re.sub(levels[0], rf"\1{separator}\2", line) for line in sample]
    if separator == "|":
        sample = [line for line in sample if not re.match(RULER, line)] or sample
    raw = (cell for line in sample for cell in line.split(separator))
    form = TableForm(
        separator,
        2,
        {"source": 0, "target": 1},
        skipped=begin.skipped,
        quoted=separator == "," or any(len(c) > 1 and c[0] == c[-1] == '"' for c in raw),
        attributes=attributes,
        unread=unread,
        warnings=warnings,
        levels=levels[0] if levels else "",
        entries=begin.entries,
    )
    return form, sample


def _without_counts(
    form: TableForm,
    rows: list[list[str]],
    sample: list[str],
    lines: Sequence[str],
    path: str,
    *,
    is_whole: bool,
) -> tuple[TableForm, list[list[str]], list[str]]:
    """The rows without a first line that counts nodes and edges; of a long file it stays."""
    if form.entries is not None:
        return form, rows, sample
    if not is_whole:
        counted = {edges: sample[0] for _, edges in counts_on_top(rows)}
        return replace(form, counted=counted), rows, sample
    if not are_counts(path, rows, sample[0]):
        return form, rows, sample
    skipped = next(k for k in range(form.skipped, len(lines)) if sample[0] in lines[k]) + 1
    warning = (
        f"the first line, {show(sample[0])}, is the number of nodes and of the lines below, and is "
        "left out"
    )
    form = replace(form, skipped=skipped, warnings=[*form.warnings, warning])
    return form, rows[1:], sample[1:]


def _edge_form(
    form: TableForm,
    rows: Sequence[list[str]],
    sample: Sequence[str],
    path: str,
    options: FormOptions,
    banner: str,
) -> TableForm:
    found = find_columns(
        Sample(path, sample, rows, SEPARATORS[form.separator], banner), options.columns
    )
    return replace(
        form,
        num_columns=found.num_columns,
        roles=found.roles,
        header=found.header,
        numbers=found.numbers,
        stripped=found.stripped,
        users_items=found.users_items,
        said=_say(form, found),
        warnings=[*form.warnings, *found.warnings],
    )


def _adjacency_form(form: TableForm, rows: Sequence[list[str]]) -> TableForm:
    widths = [len(row) - 1 for row in rows]
    first = ", ".join(map(show, rows[0][1:4])) or "nothing"
    said = (
        f"adjacency lists, {SEPARATORS[form.separator]}, at most {max(widths)} neighbours in a "
        "line, each of which counts as a line of its own; the first item "
        f"{show(rows[0][0])} lists {first}"
    )
    return replace(form, layout="adjacency", stripped=True, said=said)


def _say(form: TableForm, found: Columns) -> str:
    """What was understood, in half a sentence."""
    parts = [SEPARATORS[form.separator], f"{found.num_columns} columns"]
    parts.append("no header" if found.header is None else f"header {show(found.header)}")
    if form.attributes:
        parts.append("attributes of edges at the end of the lines")
    if found.numbers.said:
        parts.append(found.numbers.said)
    if found.stripped:
        parts.append("white space around ids taken off")
    places = ", ".join(f"{role} {place + 1}" for role, place in found.roles.items())
    ignored = say_ignored([*found.ignored, *form.unread])
    places += f"; {ignored}" if ignored else ""
    return f"{', '.join(parts)} (columns: {places}); first edge {found.first_edge}"


class _Beginning(NamedTuple):
    """What stands before the data."""

    skipped: int  # lines
    banners: Sequence[str] = ()  # the comments among them
    separator: str | None = None
    entries: int | None = None

    @property
    def banner(self) -> str:
        return self.banners[0] if self.banners else ""


def _beginning(lines: Sequence[str], path: str, options: FormOptions) -> _Beginning:
    marks = ("#", "%") if options.comment is None else (options.comment,)
    first = [line.removeprefix(BOM) for line in lines[:SAMPLE]]
    comments = list(takewhile(lambda line: line.startswith(marks) or not line.strip(), first))
    if len(comments) == len(first):
        if len(first) < SAMPLE and any(len(x) > 1 and x[1] in "# %" for x in first if x.strip()):
            raise CatalogError(
                f"{path} holds nothing but comments, the first is {show(first[0])}: give a file "
                "with edges, or say comment= if these lines are edges"
            )
        return _Beginning(0)  # perhaps ids that begin with such a sign
    banners = [line.strip() for line in comments if line.strip()]
    after = first[len(comments)]
    if banners and banners[0].lower().startswith("%%matrixmarket"):
        entries = entries_of(banners[0], after, path)
        return _Beginning(len(comments) + 1, banners, None, entries)
    if banners and re.match(r"%\s*bip", banners[0].lower()):
        raise CatalogError(
            f"{path} is a bipartite network of KONECT ({show(banners[0])}): its two columns number "
            "two kinds of things, such as users and items, apart; make pairs of items of it first"
        )
    if excel := _EXCEL.match(after):
        known = excel[1] if excel[1] in SEPARATORS else None
        return _Beginning(len(comments) + 1, banners, known)
    behind = [line.startswith("# ") for line in first[len(comments) :]]
    if banners and banners[0].startswith("# ") and sum(behind) > len(behind) // 20:
        raise CatalogError(
            f"{path}: lines with # stand between the data, as {show(banners[0])}, which may be LGL "
            "of igraph: write pairs with write_edgelist, or say comment=# if they are comments"
        )
    return _Beginning(len(comments), banners)


def refuse_breaks(sample: Sequence[str], path: str, *, quoting: bool = True) -> None:
    """Refuse cells in quotes that go on in the next line; `quoting` shows the first."""
    opens = [line for line in sample if line.count('"') % 2 and _OPEN.search(line)]
    if len(opens) > max(_FEW_OPEN, _MANY_OPEN * len(sample)):
        raise CatalogError(
            f"{path}: a cell in quotes goes on in the next line"
            f"{f', the first in {show(opens[0])}' if quoting else ''}: "
            "write the table without line breaks in cells"
        )


def likely_separator(sample: Sequence[str]) -> str:
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
    return bool(with_comma) and all(has_comma(c) for c in with_comma)


def _cells(line: str, separator: str) -> list[str]:
    return split_line(line, separator, quoted='"' in line) or []
