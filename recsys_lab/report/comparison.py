"""Many runs -> experiments over seeds, in one table for each split, and what cannot be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np

from recsys_lab.report.columns import QUALITY, Column, columns_of
from recsys_lab.report.names import baseline_labels, experiment_labels, settings
from recsys_lab.report.notes import coverage_notes, data_notes, data_titles, published_notes
from recsys_lab.report.published_logs import published_for
from recsys_lab.report.searches import Search, find_searches, is_trial_of
from recsys_lab.results.metric_names import ITEM_VECTORS, SLICES
from recsys_lab.results.run_folder import Run

Rows = Sequence[Mapping[str, Any]]  # metrics of runs
Data = tuple[str, str]  # hashes of split and vocabulary
Kind = Literal["experiment", "item vectors", "baseline", "published"]
_MIN_SHARE = 0.01  # of the test pairs in a slice that gets a column
COVERAGE = "coverage/all"  # kept beside the columns: share of the test pairs that are scored


class Problem(NamedTuple):
    """A run that is in no table, or an experiment that lacks a run.

    Attributes:
        name: the run folder, or the label of the experiment.
        reason: in half a sentence.
        run: None for an experiment.
    """

    name: str
    reason: str
    run: Run | None = None


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
    """A row: an experiment, its plain item vectors by their cosine, a baseline, a published result.

    Attributes:
        label: of the experiment, the baseline or the method.
        runs: of the experiment, one for each seed; others have none.
        values: by the column's key, and COVERAGE.
        kind: which of the four.
    """

    label: str
    runs: tuple[Run, ...]
    values: Mapping[str, Estimate]
    kind: Kind = "experiment"

    @property
    def title(self) -> str:
        """Its name where the row of the experiment stands above it."""
        if self.kind == "published":
            return f"{self.label} (published)"
        return "item vectors, cosine" if self.kind == "item vectors" else self.label

    @property
    def is_trained(self) -> bool:
        """Whether its runs trained: baselines have none, files and mixtures are only tested."""
        return any(run.is_trained for run in self.runs)

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
    """The comparable runs: those of one split and vocabulary.

    Attributes:
        data: hashes of split and vocabulary.
        title: of its data.
        experiments: the best first.
        item_vectors: rows of the experiments that have one, by label.
        baselines: tested beside the experiments.
        notes: sentences above it.
        shares: of the test pairs, by slice.
        all_columns: of the comparison.
        labels: of the baselines, by name.
        published: results of others on the same data, by the same protocol.
    """

    data: Data
    title: str
    experiments: tuple[Entry, ...]
    item_vectors: Mapping[str, Entry]
    baselines: tuple[Entry, ...]
    notes: tuple[str, ...]
    shares: Mapping[str, float]
    all_columns: tuple[Column, ...]
    labels: Mapping[str, str]
    published: tuple[Entry, ...] = ()

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All rows: experiments, each above its item vectors, then baselines and published."""
        vectors = self.item_vectors
        rows = ([e, vectors[e.label]] if e.label in vectors else [e] for e in self.experiments)
        return (*chain.from_iterable(rows), *self.baselines, *self.published)

    @cached_property
    def columns(self) -> list[Column]:
        """The columns with a value in some row, each another, of more than a few test pairs."""
        repeated = {repeat for repeat, _ in self.repeats}
        return [column for column in self._filled if column not in repeated]

    @cached_property
    def repeats(self) -> list[tuple[Column, Column]]:
        """Columns of a slice that are the same, in every row, as another one of their measure."""
        first: dict[tuple[str, ...], Column] = {}
        found = []
        for column in self._filled:
            cells = (
                column.measure,
                *chain.from_iterable(e.write(column)[:2] for e in self.entries),
            )
            if (other := first.setdefault(cells, column)) is not column:
                found.append((column, other))
        return found

    @property
    def all_notes(self) -> list[str]:
        """The notes, and which columns are left out since they repeat others."""
        same = [f"{x.full_title} is {y.full_title} in every row" for x, y in self.repeats]
        return [*self.notes, *([f"Columns left out: {'; '.join(same)}."] if same else [])]

    @cached_property
    def _filled(self) -> list[Column]:
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
        value = entry.values.get(column.key)
        return value is not None and value.mean == self._best.get(column.key)

    @cached_property
    def _best(self) -> dict[str, float]:
        """The best mean of each column in which rows differ."""
        best = {}
        for column in self._filled:
            means = [e.values[column.key].mean for e in self.entries if column.key in e.values]
            if min(means) != max(means):
                best[column.key] = min(means) if column.is_cost else max(means)
        return best


@dataclass(frozen=True)
class Comparison:
    """The tables, what is left out of them, all runs, and the searches among them."""

    tables: list[Table]
    problems: list[Problem]
    columns: tuple[Column, ...]
    runs: Sequence[Run]
    searches: Sequence[Search]

    @property
    def num_compared(self) -> int:
        """Number of runs in the tables."""
        return sum(len(entry.runs) for table in self.tables for entry in table.experiments)


def compare(runs: Sequence[Run]) -> Comparison:
    """Group the runs by their data, then by their settings; only seeds are averaged."""
    searches = find_searches(runs)
    problems = [
        Problem(str(run.folder), run.left_out, run)
        for run in runs
        if run.left_out and not is_trial_of(run, searches)
    ]
    by_data: dict[Data, list[Run]] = {}
    for run in runs:
        if not run.left_out:
            by_data.setdefault(run.data, []).append(run)
    groups = sorted(by_data.values(), key=len, reverse=True)  # stable: else in order of folders
    columns = columns_of(sorted({key for run in runs for key in run.metrics}))
    tables = []
    for group, title in zip(groups, data_titles([group[0] for group in groups]), strict=True):
        table, found = _table(group, columns, title)
        tables.append(table)
        problems += found
    return Comparison(tables, problems, columns, runs, searches)


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


def _table(
    runs: Sequence[Run], columns: tuple[Column, ...], title: str
) -> tuple[Table, list[Problem]]:
    """The table of the runs of one split, and the problems with runs that it lacks."""
    kept, problems = _one_run_per_seed(runs)
    labelled = zip(experiment_labels([group[0] for group in kept]), kept, strict=True)
    experiments = [entry_of(label, group, "test", columns) for label, group in labelled]
    experiments.sort(key=lambda e: -e.values[QUALITY.key].mean if QUALITY.key in e.values else 0.0)
    seeds = {str(run.seed) for run in runs}
    for entry in filter(lambda e: e.is_trained, experiments):  # else no seed changes anything
        if missing := sorted(seeds - {str(seed) for seed in entry.seeds}):
            reason = f"missing: no finished run of seed {', '.join(missing)}"
            problems.append(Problem(entry.label, reason))
    of_scorer = tuple(column for column in columns if not column.of_run)
    vectors = [entry_of(e.label, e.runs, ITEM_VECTORS, of_scorer) for e in experiments]
    baselines, labels = baselines_of(runs, of_scorer)
    rated = [*experiments, *baselines]
    coverage = {e.label: e.values[COVERAGE].mean for e in rated if COVERAGE in e.values}
    published = tuple(_published(runs[0]))
    table = Table(
        data=runs[0].data,
        title=title,
        experiments=tuple(experiments),
        item_vectors={entry.label: entry for entry in vectors if entry.values},
        baselines=tuple(baselines),
        notes=(*data_notes(runs), *coverage_notes(coverage), *published_notes(bool(published))),
        shares=_shares(runs[0].metrics),
        all_columns=columns,
        labels=labels,
        published=published,
    )
    return table, problems


def baselines_of(
    runs: Sequence[Run], columns: Sequence[Column]
) -> tuple[list[Entry], dict[str, str]]:
    """Every baseline of the first run that has it, and the labels by name."""
    labels: dict[str, str] = {}
    found = []
    for run in runs:
        for name, label in baseline_labels(run.metrics).items():
            if name not in labels:
                labels[name] = label
                found.append(entry_of(label, [run], f"baseline/{name}", columns))
    return found, labels


def _published(run: Run) -> list[Entry]:
    """The results of others that those of a run can be held against."""
    return [
        Entry(
            label, (), {f"{name}/all": Estimate(x, None) for name, x in values.items()}, "published"
        )
        for label, values in published_for(run.config, run.metrics).items()
    ]


def _shares(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Share of each slice in the test pairs, where the counts are known."""
    total = metrics.get("count/test/all")
    counts = {part: metrics.get(f"count/test/{part}") for part in SLICES}
    return {part: n / total for part, n in counts.items() if total and n is not None}


def _one_run_per_seed(runs: Sequence[Run]) -> tuple[list[list[Run]], list[Problem]]:
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
            problems.append(Problem(str(earlier.folder), reason, earlier))
        group[run.seed] = run
    ordered = [sorted(group.values(), key=lambda run: str(run.seed)) for _, group in groups]
    return ordered, problems


def entry_of(label: str, runs: Sequence[Run], scorer: str, columns: Sequence[Column]) -> Entry:
    """The row of a scorer: "test", "item_vectors" or "baseline/<name>"."""
    metrics = [run.metrics for run in runs]
    found = {key: estimate(metrics, scorer, key) for key in [*(c.key for c in columns), COVERAGE]}
    values = {key: value for key, value in found.items() if value is not None}
    if scorer.startswith("baseline/"):
        return Entry(label, (), values, "baseline")
    kind: Kind = "item vectors" if scorer == ITEM_VECTORS else "experiment"
    return Entry(label, tuple(runs), values, kind)
