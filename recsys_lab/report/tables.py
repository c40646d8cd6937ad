"""A comparison as Markdown and as CSV."""

import csv
import io
from collections.abc import Sequence
from typing import NamedTuple

from recsys_lab.report.columns import Column
from recsys_lab.report.comparison import Comparison, Entry, Estimate, Table, estimate
from recsys_lab.report.published import CAPTION, HEADERS, PUBLISHED

HOW_TO_READ = (
    "Mean over seeds ± standard deviation (n - 1). n is the number of seeds; baselines are not "
    "trained and have none. Bold is the best of a column. Intervals are 95 %, by a bootstrap over "
    "items; their bounds are averaged over the seeds."
)
DIFFERENCES = (
    "Differences to the strong baselines on the same queries, in brackets the 95 % interval; "
    "bold where it excludes zero."
)
Difference = tuple[str, bool]  # its text, and whether its interval excludes zero


class Picture(NamedTuple):
    """A figure beside the tables: file name, title and caption."""

    name: str
    title: str
    caption: str


def write_value(column: Column, value: Estimate | None) -> str:
    """`0.9751 ± 0.0003`, or a dash."""
    if value is None:
        return column.write(None)
    text = column.write(value.mean)
    return text if value.deviation is None else f"{text} ± {column.write(value.deviation)}"


def write_bounds(column: Column, value: Estimate | None) -> str:
    """`[0.9701, 0.9802]`, or nothing."""
    if value is None or value.bounds is None:
        return ""
    return f"[{column.write(value.bounds[0])}, {column.write(value.bounds[1])}]"


def write_seeds(entry: Entry) -> str:
    """`3` and the like; a dash for baselines."""
    return "–" if entry.is_baseline else str(len(entry.runs))


def difference_table(table: Table) -> tuple[list[str], list[tuple[str, list[Difference]]]]:
    """Headers, and the label and differences of each row."""
    shown = [
        (baseline, metric)
        for baseline, metric in _compared(table)
        if any(_difference_to(entry, baseline, metric)[0] for entry in table.experiments)
    ]
    headers = [
        f"{metric.removesuffix('/all').upper()} less {table.labels[baseline]}"
        for baseline, metric in shown
    ]
    rows = [
        (entry.label, [_write_difference(entry, *compared) for compared in shown])
        for entry in table.experiments
        if any(_difference_to(entry, *compared)[0] for compared in shown)
    ]
    return headers, rows


def _compared(table: Table) -> list[tuple[str, str]]:
    """Baselines and metrics that some run has a difference of, in the order of the columns."""
    keys = {key for entry in table.experiments for run in entry.runs for key in run.metrics}
    paths = [key.split("/") for key in keys if key.startswith("difference/")]
    found = {(path[1], "/".join(path[2:-1])) for path in paths if path[1] in table.labels}
    order = [column.key for column in table.all_columns]
    return sorted(found, key=lambda c: (order.index(c[1]) if c[1] in order else len(order), *c))


def _difference_to(entry: Entry, baseline: str, metric: str) -> list[Estimate | None]:
    """Value, low and high, each None where not every seed has it."""
    rows = [run.metrics for run in entry.runs]
    name = f"difference/{baseline}/{metric}"
    return [estimate(rows, name, bound) for bound in ("value", "low", "high")]


def _baseline_mean(entry: Entry, baseline: str, metric: str) -> float | None:
    found = estimate([run.metrics for run in entry.runs], f"baseline/{baseline}", metric)
    return None if found is None else found.mean


def _write_difference(entry: Entry, baseline: str, metric: str) -> Difference:
    value, low, high = _difference_to(entry, baseline, metric)
    if value is None or low is None or high is None:
        return "–", False
    reference = _baseline_mean(entry, baseline, metric)
    share = f" ({value.mean / reference:+.1%})" if reference else ""
    text = f"{value.mean:+.4f}{share} [{low.mean:+.4f}, {high.mean:+.4f}]"
    return text, low.mean > 0.0 or high.mean < 0.0


# -- Markdown --------------------------------------------------------------------------------------


def to_markdown(comparison: Comparison, pictures: Sequence[Sequence[Picture]]) -> str:
    """The whole comparison.

    Args:
        comparison: tables and problems.
        pictures: of each table, in the same folder.
    """
    parts = ["# Comparison", HOW_TO_READ]
    for number, table in enumerate(comparison.tables, start=1):
        parts += [f"## Table {number}: {_plain(table.title)}", *map(_plain, table.notes)]
        parts.append(_main_table(table))
        if bounds := _bounds_table(table):
            parts += ["95 % intervals:", bounds]
        headers, rows = difference_table(table)
        if rows:
            cells = [[label, *(_bold(*cell) for cell in row)] for label, row in rows]
            parts += [DIFFERENCES, _grid(["experiment", *headers], cells)]
        for name, title, caption in pictures[number - 1]:
            parts += [f"![{_plain(title)}]({name})", _plain(caption)]
    if comparison.problems:
        parts += [
            "## Not compared: missing, failed and unequal runs",
            _grid(["run", "reason"], [list(row) for row in comparison.problems], num_texts=2),
        ]
    parts += [
        "## Published",
        CAPTION,
        _grid(HEADERS, [list(row) for row in PUBLISHED], num_texts=2),
    ]
    return "\n\n".join(parts) + "\n"


def _main_table(table: Table) -> str:
    columns = table.columns
    headers = ["experiment", "n", *(_header(column) for column in columns)]
    rows = []
    for entry in table.entries:
        cells = [entry.label, write_seeds(entry)]
        for column in columns:
            text = write_value(column, entry.values.get(column.key))
            cells.append(_bold(text, table.is_best(entry, column)))
        rows.append(cells)
    return _grid(headers, rows)


def _bounds_table(table: Table) -> str:
    """The intervals, of the columns that have any."""
    columns = [
        column
        for column in table.columns
        if any(write_bounds(column, entry.values.get(column.key)) for entry in table.entries)
    ]
    rows = [
        [entry.label, *(write_bounds(column, entry.values.get(column.key)) for column in columns)]
        for entry in table.entries
    ]
    return _grid(["experiment", *(_header(column) for column in columns)], rows) if columns else ""


def _header(column: Column) -> str:
    if not column.key.startswith("auc/"):
        return column.title
    return f"{column.group.replace(',', '').removesuffix(' negatives')} {column.title}"


def _grid(headers: Sequence[str], rows: Sequence[Sequence[str]], num_texts: int = 1) -> str:
    """A table whose first columns are text and whose others are numbers."""
    rule = ["---" if k < num_texts else "---:" for k in range(len(headers))]
    lines = [headers, rule, *rows]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _bold(text: str, is_bold: bool) -> str:
    return f"**{text}**" if is_bold else text


def _plain(text: str) -> str:
    """Text on one line, with the marks of tables and HTML escaped."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


# -- CSV -------------------------------------------------------------------------------------------


def to_csv(comparison: Comparison) -> str:
    """One line for each row of each table, all columns, in full precision."""
    head = ["split_hash", "vocabulary_hash", "kind", "label", "seeds", "n"]
    parts = ("mean", "deviation", "low", "high")
    for column in comparison.columns:
        head += [f"{column.key}/{part}" for part in parts]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for table in comparison.tables:
        for entry in table.entries:
            kind = "baseline" if entry.is_baseline else "experiment"
            seeds = " ".join(str(seed) for seed in entry.seeds)
            row: list[object] = [*table.data, kind, entry.label, seeds, len(entry.runs) or ""]
            for column in comparison.columns:
                row += _numbers(entry.values.get(column.key))
            writer.writerow(row)
    return text.getvalue()


def _numbers(value: Estimate | None) -> list[float | str]:
    if value is None:
        return [""] * 4
    low, high = value.bounds or ("", "")
    return [value.mean, "" if value.deviation is None else value.deviation, low, high]
