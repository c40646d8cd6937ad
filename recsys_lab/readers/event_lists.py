"""Events as research data has them: a line for each user, which is first, and the user's items."""

import numpy as np
import polars as pl

from recsys_lab.readers.account import ReadAccount
from recsys_lab.readers.adjacency import two_levels
from recsys_lab.readers.cells import has_header, split_line
from recsys_lab.readers.columnar_tables import kind_of
from recsys_lab.readers.encodings import decode_lines
from recsys_lab.readers.event_log import EventLog
from recsys_lab.readers.json_tables import begins_document, is_json
from recsys_lab.readers.line_fields import split_lines
from recsys_lab.readers.lines import begin, read_batches
from recsys_lab.readers.opening import find_files
from recsys_lab.readers.table_form import BOM, SAMPLE, SEPARATORS, likely_separator

BAD_LISTS = ("not UTF-8", "malformed", "too long")
_FEW = 0.9  # of the lines with as many cells as most: a table with some bad lines has more


def is_of_lists(path: str) -> bool:
    """Whether the first lines look like users with their items: without a header, of any length."""
    if not (lines := _first_lines(path)):
        return False
    separator = _separator(lines)[0]
    rows = [split_line(line, separator, quoted=True) or [] for line in lines]
    widths = [len(row) for row in rows]
    most = max(map(widths.count, set(widths)))
    users = {row[0] for row in rows if row}
    return not has_header(rows) and most < _FEW * len(rows) and 2 * len(users) > len(rows)


def is_table(path: str) -> bool:
    """Whether a file is JSON or one of columns, where lists stand in cells and not in lines."""
    return not _first_lines(path)


def _first_lines(path: str) -> list[str]:
    """Lines of text; none of JSON and of files of columns."""
    if kind_of(find_files(path)[0]):
        return []
    first, _ = begin(path)
    lines = [line for line in first.decode(errors="replace").splitlines() if line.strip()]
    lines = [line.removeprefix(BOM) for line in lines[: SAMPLE + 1]]
    lines = lines[:-1] if len(lines) > SAMPLE else lines
    return [] if not lines or begins_document(first) or is_json(lines) else lines


def read_lists(path: str, log: EventLog, account: ReadAccount, part: int) -> tuple[str, int, str]:
    """Put the events of a file into the log, and each item of a line as a line in the account.

    Returns:
        What was understood; the number of the first bad line, from 1, or 0; and the remedy for
        lines that are not UTF-8.
    """
    separator, levels, before, first_bad, remedy = "", "", 0, 0, ""
    number = 0
    for batch in read_batches(path):
        lines = pl.Series(batch, dtype=pl.Binary)
        text, converted = decode_lines(lines)
        remedy = remedy or converted
        text = text.str.strip_prefix(BOM)
        if not separator:
            sample = [line for line in text.drop_nulls().head(SAMPLE) if line.strip()]
            separator, levels = _separator(sample) if sample else (" ", "")
        if levels:
            text = text.str.replace(levels, "${1}" + separator + "${2}")
        fields = split_lines(text, separator, quoted=True)
        bad = _count_bad(lines, text, fields, account)
        first_bad = first_bad or (before + int(np.flatnonzero(bad)[0]) + 1 if bad.any() else 0)
        number += _take(fields, number, log, account, part)
        before += len(batch)
    named = SEPARATORS.get(separator, separator)
    return f"a user and its items in a line, between {named}: {number:,} lines", first_bad, remedy


def _separator(sample: list[str]) -> tuple[str, str]:
    """The separator of a line, and the pattern of lines with one of their own behind the user."""
    if levels := two_levels(sample):
        return levels[1], levels[0]
    return likely_separator(sample), ""


def _count_bad(
    lines: pl.Series, text: pl.Series, fields: pl.Series, account: ReadAccount
) -> np.ndarray:
    """Count lines that are none; which of them are bad."""
    too_long = lines.is_null().to_numpy()
    not_utf8 = text.is_null().to_numpy() & ~too_long
    malformed = fields.is_null().to_numpy() & ~too_long & ~not_utf8
    blank = (text.str.strip_chars() == "").fill_null(False).to_numpy()
    reasons = {
        "too long": too_long, "not UTF-8": not_utf8, "malformed": malformed, "blank": blank,
    }  # fmt: skip
    for reason, found in reasons.items():
        account.drop(reason, int(found.sum()))
        account.lines += int(found.sum())
    return too_long | not_utf8 | malformed


def _take(fields: pl.Series, before: int, log: EventLog, account: ReadAccount, part: int) -> int:
    """Put the items of some lines into the log; the number of lines that name a user."""
    cells = fields.drop_nulls().list.eval(pl.element().str.strip_chars())
    cells = cells.list.eval(pl.element().filter(pl.element() != ""))
    cells = cells.filter(cells.list.len() > 0)
    items = cells.list.slice(1)
    counts = items.list.len().to_numpy()
    alone = int((counts == 0).sum())
    account.drop("user without an item", alone)
    users = np.repeat(log.users.encode(cells.list.first()), counts)
    codes = log.items.encode(items.explode(empty_as_null=False))
    session = np.repeat(np.arange(before, before + len(cells), dtype=np.int32), counts)
    account.lines += len(codes) + alone
    account.kept += len(codes)
    log.tables.append(
        pl.DataFrame(
            {
                "user": users,
                "item": codes,
                "part": np.full(len(codes), part, np.int8),
                "session": session,
            }
        )
    )
    return len(cells)
