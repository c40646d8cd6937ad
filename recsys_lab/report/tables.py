"""The differences to the baselines in a comparison, and the comparison as CSV."""

import csv
import io

from recsys_lab.report.comparison import Comparison, Entry, Table, estimate

Difference = tuple[list[str], bool]  # value and bounds; whether the interval excludes zero


def difference_table(table: Table) -> tuple[list[str], list[tuple[str, list[Difference]]]]:
    """Headers, and the label and differences of each row; of experiments that have any."""
    found = {
        compared: [_difference(entry, *compared) for entry in table.experiments]
        for compared in _compared(table)
    }
    shown = {compared: column for compared, column in found.items() if any(column)}
    headers = [
        f"{metric.removesuffix('/all').upper()} less {table.labels[baseline]}"
        for baseline, metric in shown
    ]
    rows = [
        (entry.label, [cell or (["–"], False) for cell in cells])
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
    return texts, low.mean > 0.0 or high.mean < 0.0


def to_csv(comparison: Comparison) -> str:
    """One line for each row of each table, all columns, in full precision."""
    head = ["split_hash", "vocabulary_hash", "kind", "label", "seeds", "n"]
    for column in comparison.columns:
        head += [f"{column.key}/{part}" for part in ("mean", "deviation", "low", "high")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for table in comparison.tables:
        for entry in table.entries:
            kind = "baseline" if entry.is_baseline else "experiment"
            seeds = " ".join(str(seed) for seed in entry.seeds)
            row: list[object] = [*table.data, kind, entry.label, seeds, len(entry.runs) or None]
            for column in comparison.columns:
                if (value := entry.values.get(column.key)) is None:
                    row += [None] * 4
                else:
                    row += [value.mean, value.deviation, *(value.bounds or (None, None))]
            writer.writerow(row)
    return text.getvalue()
