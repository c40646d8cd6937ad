"""The labels of held-out items in a comparison: a table for each field that runs rank them of."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from recsys_lab.report.columns import Column
from recsys_lab.report.comparison import Entry, Estimate, Kind, Table, baselines_of, entry_of
from recsys_lab.report.label_tables import METRICS, MODEL, ROWS, count_text, label_fields
from recsys_lab.report.notes import baseline_notes
from recsys_lab.results.metric_names import LABELS
from recsys_lab.results.run_folder import Run

_QUALITY = "mrr"  # by which experiments are sorted, and compared with the baselines


def labels_of(table: Table) -> list[Table]:
    """A table of the experiments that rank labels (`run.label_test`), for each field."""
    fields = [field for entry in table.experiments for field in _fields(entry)]
    return [_of_field(table, field) for field in dict.fromkeys(fields)]


def with_labels(table: Table) -> list[Entry]:
    """The rows of a table: of experiments with their labels, and the baselines of labels."""
    values: dict[tuple[Kind, str], dict[str, Estimate]] = {}
    for entry in (entry for one in labels_of(table) for entry in one.entries):
        values.setdefault((entry.kind, entry.label), {}).update(entry.values)
    rows = [
        replace(entry, values={**entry.values, **values.pop((entry.kind, entry.label), {})})
        for entry in table.entries
    ]
    return [*rows, *(Entry(label, (), found, kind) for (kind, label), found in values.items())]


def _fields(entry: Entry) -> list[str]:
    """The fields whose labels all runs of an experiment rank."""
    found = [label_fields(run.metrics) for run in entry.runs]
    return [field for field in found[0] if all(field in fields for fields in found)]


def _of_field(table: Table, field: str) -> Table:
    prefix = f"{LABELS}/{field}"
    columns = tuple(Column(f"{prefix}/{x}", LABELS, title) for title, x in METRICS.items())
    experiments = [
        entry_of(entry.label, [_as_test(run, prefix) for run in entry.runs], "test", columns)
        for entry in table.experiments
        if field in _fields(entry)
    ]
    experiments.sort(key=lambda entry: -entry.values[f"{prefix}/{_QUALITY}"].mean)
    runs = [run for entry in experiments for run in entry.runs]
    baselines, labels = baselines_of(runs, columns)
    title = count_text(runs[0].metrics, field)
    return Table(
        data=table.data,
        title=title[0].upper() + title[1:],
        experiments=tuple(experiments),
        item_vectors={},
        baselines=tuple(baselines),
        notes=tuple(baseline_notes(runs)),
        shares={},
        all_columns=columns,
        labels=labels,
    )


def _as_test(run: Run, prefix: str) -> Run:
    """The run with the metrics of the labels of a field alone, named as those of a test."""
    given, found = run.metrics, dict[str, Any]()
    for row, label in ROWS.items():
        scorer = "test" if row == MODEL else f"baseline/{row}"
        for metric in METRICS.values():
            if (own := f"{prefix}/{row}/{metric}") in given:
                name = f"{scorer}/{prefix}/{metric}"
                found |= {f"label/{row}": label, name: given[own]}
                found |= _bounds(given, own, f"interval/{name}")
        if (own := f"{prefix}/difference/{row}/{_QUALITY}") in given:
            name = f"difference/{row}/{prefix}/{_QUALITY}"
            found |= {f"{name}/value": given[own], **_bounds(given, own, name)}
    counts = {key: value for key, value in given.items() if key.startswith(f"{prefix}/count/")}
    return replace(run, metrics=found | counts)


def _bounds(metrics: Mapping[str, Any], own: str, name: str) -> dict[str, Any]:
    return {f"{name}/{end}": metrics.get(f"{own}/{end}") for end in ("low", "high")}
