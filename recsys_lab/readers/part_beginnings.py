"""The first lines of a later file of a table: its comments, and its header."""

from itertools import takewhile

import polars as pl

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import show, split_line
from recsys_lab.readers.table_form import TableForm


def begin_part(lines: pl.Series, form: TableForm, path: str) -> int:
    """Number of the lines that stand before the data, as in the first file.

    Args:
        lines: the first lines, null where one is no text.
        form: of the first file.
        path: the file, for messages.

    Raises:
        CatalogError: its columns stand in another order.
    """
    first = lines.fill_null("").to_list()
    marks = ("#", "%") if form.skipped else ()
    skipped = len(list(takewhile(lambda line: line.startswith(marks), first))) if marks else 0
    top = next((line for line in first[skipped:] if line.strip()), "")
    if form.header is not None and top != form.header:
        expected, found = (
            split_line(line, form.separator, quoted=form.quoted) or []
            for line in (form.header, top)
        )
        if sorted(expected) == sorted(found):
            raise CatalogError(
                f"{path} has the columns of the first file in another order ({show(top)} instead "
                f"of {show(form.header)}): write all files in one order"
            )
    return skipped
