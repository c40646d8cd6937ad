"""Many runs -> experiments over seeds, in one table for each split, and what cannot be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys_lab.report.columns import QUALITY, Column, columns_of
from recsys_lab.report.names import baseline_labels, experiment_labels, settings
from recsys_lab.report.notes import coverage_notes, data_notes, data_title
from recsys_lab.results.metric_names import SLICES
from recsys_lab.results.run_folder import Run

Rows = Sequence[Mapping[str, Any]]  # metrics of runs
Data = tuple[str, str]  # hashes of split and vocabulary
Problems = list[tuple[str, str]]  # run folder or experiment, and the reason
_MIN_SHARE = 0.01  # of the test pairs in a slice that gets a column
COVERAGE = "coverage/all"  # kept beside the columns: share of the test pairs that are scored


@dataclass(frozen=True)
class Estimate:
    """A measure over seeds.

    Attributes:
        mean: over the seeds.
        deviation: standard deviation over the seeds (n - 1); None for a single one.
        bounds: of the 95 % interval over items, each averaged over the seeds; None without one.
    """

    mean: float
    deviation: float | None
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Entry:
    """A row: an experiment with its runs, one for each seed, or a baseline without any."""

    label: str
    runs: tuple[Run, ...]
    values: Mapping[str, Estimate]  # by the column's key, and COVERAGE

    @property
    def is_baseline(self) -> bool:
        """Whether the row is a baseline's: it has no runs."""
        return not self.runs

    @property
    def is_trained(self) -> bool:
        """Whether its runs trained: baselines have none, and vectors of a file are only tested."""
        return any(not run.vectors for run in self.runs)

    @property
    def seeds(self) -> list[Any]:
        """Seeds of its runs."""
        return [run.seed for run in self.runs]

    def write(self, column: Column) -> tuple[str, str, str]:
        """Mean, deviation and bounds: "0.9751", "± 0.0003", "[0.9701, 0.9802]".

        A missing mean is a dash, a missing deviation or interval is empty.
        """
        if (value := self.values.get(column.key)) is None:
            return "–", "", ""
        number = f",.{column.decimals}f"
        deviation = "" if value.deviation is None else f"± {value.deviation:{number}}"
        bounds = [f"{bound:{number}}" for bound in value.bounds or ()]
        return f"{value.mean:{number}}", deviation, f"[{', '.join(bounds)}]" if bounds else ""


@dataclass(frozen=True)
class Table:
    """The comparable runs: those of one split and vocabulary."""

    data: Data
    title: str
    experiments: tuple[Entry, ...]
    baselines: tuple[Entry, ...]
    notes: tuple[str, ...]
    shares: Mapping[str, float]  # of the test pairs, by slice
    all_columns: tuple[Column, ...]
    labels: Mapping[str, str]  # of the baselines, by name

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All rows, the experiments first."""
        return self.experiments + self.baselines

    @property
    def columns(self) -> list[Column]:
        """The columns that have a value in some row, and more than a handful of test pairs."""
        small = [name for name, share in self.shares.items() if share < _MIN_SHARE]
        return [
            column
            for column in self.all_columns
            if column.slice not in small
            and any(column.key in entry.values for entry in self.entries)
        ]

    @property
    def columns_with_bounds(self) -> list[Column]:
        """The columns that have an interval in some row."""
        return [c for c in self.columns if any(entry.write(c)[2] for entry in self.entries)]

    def is_best(self, entry: Entry, column: Column) -> bool:
        """Whether no other row has a better mean, and some row has a worse one."""
        means = [e.values[column.key].mean for e in self.entries if column.key in e.values]
        if column.key not in entry.values or min(means) == max(means):
            return False
        best = min(means) if column.is_cost else max(means)
        return entry.values[column.key].mean == best


@dataclass(frozen=True)
class Comparison:
    """The tables, and what is left out of them."""

    tables: list[Table]
    problems: Problems
    columns: tuple[Column, ...]


def compare(runs: Sequence[Run]) -> Comparison:
    """Group the runs by their data, then by their settings; only seeds are averaged."""
    problems = [(str(run.folder), run.left_out) for run in runs if run.left_out]
    by_data: dict[Data, list[Run]] = {}
    for run in runs:
        if not run.left_out:
            by_data.setdefault(run.data, []).append(run)
    groups = sorted(by_data.values(), key=len, reverse=True)  # stable: else in order of folders
    columns = columns_of(sorted({key for run in runs for key in run.metrics}))
    tables = [_table(group, columns) for group in groups]
    problems += [problem for _, found in tables for problem in found]
    for number, group in enumerate(groups[1:], start=2):
        reason = f"{_unequal(group[0].data, groups[0][0].data)}: see table {number}"
        problems += [(str(run.folder), reason) for run in group]
    return Comparison([table for table, _ in tables], problems, columns)


def estimate(metrics: Rows, scorer: str, key: str) -> Estimate | None:
    """A measure of a scorer ("test", "baseline/<name>") over runs; None unless all have it."""
    values = _values(metrics, key if key.startswith("fit/") else f"{scorer}/{key}")
    if values is None:
        return None
    low, high = (_values(metrics, f"interval/{scorer}/{key}/{end}") for end in ("low", "high"))
    return Estimate(
        mean=float(values.mean()),
        deviation=float(values.std(ddof=1)) if len(values) > 1 else None,
        bounds=None if low is None or high is None else (float(low.mean()), float(high.mean())),
    )


def _values(metrics: Rows, name: str) -> np.ndarray | None:
    """(runs,) values of a metric; None unless all runs have it."""
    values = [row.get(name) for row in metrics]
    return None if not values or None in values else np.array(values, float)


def _table(runs: Sequence[Run], columns: tuple[Column, ...]) -> tuple[Table, Problems]:
    """The table of the runs of one split, and the problems with runs that it lacks."""
    kept, problems = _one_run_per_seed(runs)
    labelled = zip(experiment_labels([group[0] for group in kept]), kept, strict=True)
    experiments = [
        _entry(label, [run.metrics for run in group], "test", columns, tuple(group))
        for label, group in labelled
    ]
    experiments.sort(key=lambda e: -e.values[QUALITY.key].mean if QUALITY.key in e.values else 0.0)
    seeds = {str(run.seed) for run in runs}
    for entry in filter(lambda e: e.is_trained, experiments):  # else no seed changes anything
        if missing := sorted(seeds - {str(seed) for seed in entry.seeds}):
            problems.append((entry.label, f"missing: no finished run of seed {', '.join(missing)}"))
    of_scorer = tuple(column for column in columns if not column.of_run)
    labels: dict[str, str] = {}
    baselines = []
    for run in runs:
        for name, label in baseline_labels(run.metrics).items():
            if name not in labels:
                labels[name] = label
                baselines.append(_entry(label, [run.metrics], f"baseline/{name}", of_scorer))
    entries = [*experiments, *baselines]
    coverage = {e.label: e.values[COVERAGE].mean for e in entries if COVERAGE in e.values}
    table = Table(
        data=runs[0].data,
        title=data_title(runs[0]),
        experiments=tuple(experiments),
        baselines=tuple(baselines),
        notes=(*data_notes(runs), *coverage_notes(coverage)),
        shares=_shares(runs[0].metrics),
        all_columns=columns,
        labels=labels,
    )
    return table, problems


def _shares(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Share of each slice in the test pairs, where the counts are known."""
    total = metrics.get("count/test/all")
    counts = {part: metrics.get(f"count/test/{part}") for part in SLICES}
    return {part: n / total for part, n in counts.items() if total and n is not None}


def _one_run_per_seed(runs: Sequence[Run]) -> tuple[list[list[Run]], Problems]:
    """Runs grouped by settings; of two with one seed the later folder counts."""
    groups: list[tuple[dict[str, Any], dict[Any, Run]]] = []
    problems = []
    for run in runs:
        own = settings(run)
        group = next((group for flat, group in groups if flat == own), None)
        if group is None:
            groups.append((own, group := {}))
        if (earlier := group.get(run.seed)) is not None:
            reason = f"repeated: {run.folder.name} has the same settings and seed, and is used"
            problems.append((str(earlier.folder), reason))
        group[run.seed] = run
    ordered = [sorted(group.values(), key=lambda run: str(run.seed)) for _, group in groups]
    return ordered, problems


def _entry(
    label: str, metrics: Rows, scorer: str, columns: Sequence[Column], runs: tuple[Run, ...] = ()
) -> Entry:
    found = {key: estimate(metrics, scorer, key) for key in [*(c.key for c in columns), COVERAGE]}
    return Entry(label, runs, {key: value for key, value in found.items() if value is not None})


def _unequal(data: Data, other: Data) -> str:
    """How the data of a run differs from that of the first table."""
    differences = [
        f"{name} {value[:12]}, not {first[:12]}"
        for name, value, first in zip(("split", "vocabulary"), data, other, strict=True)
        if value != first
    ]
    return f"unequal: {'; '.join(differences)}"
