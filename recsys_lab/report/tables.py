"""The differences to the baselines in a comparison, and the comparison as CSV."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from recsys_lab.report.compared_labels import labels_of, with_labels
from recsys_lab.report.comparison import Comparison, Entry, Table, estimate
from recsys_lab.report.names import named_settings

Difference = tuple[list[str], str]  # value and bounds; gain or loss if the interval excludes zero


def difference_table(table: Table) -> tuple[list[str], list[tuple[str, list[Difference]]]]:
    """Headers, and the label and differences of each row; of experiments that have any."""
    found = {
        compared: [_difference(entry, *compared) for entry in table.experiments]
        for compared in _compared(table)
    }
    shown = {compared: column for compared, column in found.items() if any(column)}
    headers = [
        f"{metric.removesuffix('/all').rpartition('/')[2].upper()} less {table.labels[baseline]}"
        for baseline, metric in shown
    ]
    rows = [
        (entry.label, [cell or (["–"], "") for cell in cells])
        for entry, *cells in zip(table.experiments, *shown.values(), strict=True)
        if any(cells)
    ]
    return headers, rows


def _compared(table: Table) -> list[tuple[str, str]]:
    """Baselines and metrics that some run has a difference of, in the order of the columns."""
    keys = {key for entry in table.experiments for run in entry.runs for key in run.metrics}
    paths = [key.split("/") for key in keys if key.startswith("difference/")]
    found = {(path[1], "/".join(path[2:-1])) for path in paths if path[1] in table.labels}
    order = [column.key for column in table.all_columns]
    return sorted(found, key=lambda c: (order.index(c[1]) if c[1] in order else len(order), *c))


def _difference(entry: Entry, baseline: str, metric: str) -> Difference | None:
    """None unless every seed has it."""
    rows = [run.metrics for run in entry.runs]
    name = f"difference/{baseline}/{metric}"
    value, low, high = (estimate(rows, name, bound) for bound in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return None
    reference = estimate(rows, f"baseline/{baseline}", metric)
    share = f" ({value.mean / reference.mean:+.1%})" if reference and reference.mean else ""
    texts = [f"{value.mean:+.4f}{share}", f"[{low.mean:+.4f}, {high.mean:+.4f}]"]
    return texts, "gain" if low.mean > 0.0 else "loss" if high.mean < 0.0 else ""


def to_csv(comparison: Comparison) -> str:
    """One line for each row of each table, all columns and labels, in full precision."""
    of_labels = [one for table in comparison.tables for one in labels_of(table)]
    more = dict.fromkeys(column for one in of_labels for column in one.all_columns)
    columns = [*comparison.columns, *more]
    head: list[object] = ["split_hash", "vocabulary_hash", "kind", "label", "seeds", "n"]
    for column in columns:
        head += [f"{column.key}/{part}" for part in ("mean", "deviation", "low", "high")]
    lines = [head]
    for table in comparison.tables:
        for entry in with_labels(table):
            seeds = " ".join(str(seed) for seed in entry.seeds)
            count = len(entry.runs) or None
            line: list[object] = [*table.data, entry.kind, entry.label, seeds, count]
            for column in columns:
                if (value := entry.values.get(column.key)) is None:
                    line += [None] * 4
                else:
                    line += [value.mean, value.deviation, *(value.bounds or (None, None))]
            lines.append(line)
    return _as_csv(lines)


def runs_to_csv(comparison: Comparison) -> str:
    """One line for each run: folder, problem, label, then settings and metrics by their names.

    Runs that are in no table, such as failed ones, have a problem, and settings as far as known.
    """
    problems = {id(p.run): p.reason for p in comparison.problems if p.run is not None}
    entries = [entry for table in comparison.tables for entry in table.experiments]
    labels = {id(run): entry.label for entry in entries for run in entry.runs}
    rows = [
        {
            "folder": str(run.folder),
            "problem": problems.get(id(run), ""),
            "label": labels.get(id(run), ""),
            "seed": run.seed,
            **named_settings(run),
            **run.metrics,
        }
        for run in comparison.runs
    ]
    names = dict.fromkeys(name for row in rows for name in row)  # in order of appearance
    settings = [name for name in names if "/" not in name]
    head = [*settings, *(name for name in names if "/" in name)]
    return _as_csv([head, *([_text(row.get(name)) for name in head] for row in rows)])


def _text(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict | bool) else value


def _as_csv(lines: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
