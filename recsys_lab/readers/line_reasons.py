"""Why a line of a table is no row."""

from collections.abc import Mapping, Sequence

import polars as pl

BAD_LINES = (
    "not UTF-8",
    "malformed",
    "too long",
    "neither an object nor a list",
    "wrong number of columns",
)


def checks_of_lines(lines: pl.Series, text: pl.Series) -> list[tuple[str, pl.Series]]:
    """What is no row of any table, whatever its form: reasons and masks (n,).

    Args:
        lines: bytes as read, null where a line is too long.
        text: the same decoded, null where that is not possible.
    """
    return [
        ("too long", lines.is_null()),
        ("not UTF-8", text.is_null()),
        ("malformed", text.str.contains("\0", literal=True)),
        ("blank", text.str.strip_chars() == ""),
    ]


def with_reasons(
    text: pl.Series,
    columns: Mapping[str, pl.Series],
    checks: Sequence[tuple[str, pl.Series]],
    before: int,
) -> pl.DataFrame:
    """The rows of some lines; each has the first reason that holds for it.

    Args:
        text: (n,) the lines.
        columns: (n,) cells by role.
        checks: reasons and masks (n,).
        before: number of the lines before these.
    """
    frame = pl.DataFrame(
        {
            "number": pl.int_range(before + 1, before + 1 + len(text), eager=True),
            "digest": text.hash(),
        }
        | dict(columns)
    )
    reasons = [pl.when(test).then(pl.lit(name)) for name, test in checks]
    return frame.with_columns(reason=pl.coalesce(reasons))
