"""The cells of many lines of text at once."""

import numpy as np
import polars as pl

from recsys_lab.readers.cells import split_line


def split_lines(text: pl.Series, separator: str, *, quoted: bool) -> pl.Series:
    """The cells of every line as a list; null where its quotes do not match, or there is no line.

    Args:
        text: the lines.
        separator: of the cells; between spaces several count as one.
        quoted: whether cells may be quoted as in CSV.
    """
    if separator == " ":
        text = text.str.replace_all(r"\s+", " ").str.strip_chars()
    fields = text.str.split(separator)
    if quoted:
        with_quotes = text.str.contains('"', literal=True).fill_null(False).arg_true()
        if len(with_quotes):
            lines = text.gather(with_quotes)
            rows = [split_line(line, separator, quoted=True) for line in lines]
            rows_of = np.arange(len(text))
            rows_of[with_quotes.to_numpy()] = len(text) + np.arange(len(rows))
            fields = pl.concat([fields, pl.Series(rows, dtype=pl.List(pl.String))]).gather(rows_of)
    return fields
