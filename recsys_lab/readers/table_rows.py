"""Rows of a table of edges as all forms of files give them: cells, and the reason against each."""

from collections.abc import Sequence

import polars as pl

from recsys_lab.readers.number_style import NumberStyle
from recsys_lab.readers.table_form import TableForm

ENDS = ("source", "target")
CELLS = (*ENDS, "weight", "type")
_NULL = r"\N"  # of MySQL, Hive and PostgreSQL


def finish_rows(
    frame: pl.DataFrame, form: TableForm, checks: Sequence[tuple[str, pl.Expr]] = ()
) -> pl.DataFrame:
    r"""Clean the cells, and give each line the first reason that holds for it.

    An id or a type that is empty or `\N` is none.

    Args:
        frame: text, number (of the line) and CELLS.
        form: of the file.
        checks: reasons and when they hold, before those of the ids.
    """
    if form.stripped:
        frame = frame.with_columns(pl.col(ENDS).str.strip_chars())
    no_id = pl.any_horizontal(pl.col(end).fill_null("").is_in(["", _NULL]) for end in ENDS)
    reason = pl.coalesce(
        pl.when(test).then(pl.lit(name)) for name, test in (*checks, ("no id", no_id))
    )
    cell = _as_number(pl.col("weight"), form.numbers)
    is_none = pl.col("type").cast(pl.String).str.strip_chars().is_in(["", _NULL])
    kind = pl.when(~is_none).then(pl.col("type"))
    return frame.select("text", "number", *ENDS, type=kind, cell=cell, reason=reason)


def _as_number(cell: pl.Expr, style: NumberStyle) -> pl.Expr:
    cell = cell.str.strip_chars()
    if style.thousands:
        cell = cell.str.replace_all(style.thousands, "", literal=True)
    return cell.str.replace(",", ".", literal=True) if style.decimal == "," else cell
