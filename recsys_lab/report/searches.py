"""Searches among the runs of a report: their trials, best first, and what told them apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys_lab.report.leaderboard import Job, jobs_of
from recsys_lab.results.run_folder import NOT_TESTED, Run
from recsys_lab.results.search_results import read_search


@dataclass(frozen=True)
class Trial:
    """A row: number, what was drawn, the monitored metric, and how the trial ended."""

    run: Run
    number: str
    drawn: str
    value: str
    note: str


@dataclass(frozen=True)
class Search:
    """A search.

    Attributes:
        folder: of its trials.
        monitor: the metric that it maximises.
        trials: the best first.
        importance: share of each option in what tells the good trials from the others; empty for
            few trials.
    """

    folder: Path
    monitor: str
    trials: tuple[Trial, ...]
    importance: Mapping[str, float]


def find_searches(runs: Sequence[Run]) -> list[Search]:
    """The searches whose trials are among the runs."""
    by_folder: dict[Path, list[Run]] = {}
    for run in runs:
        by_folder.setdefault(run.folder.parent, []).append(run)
    found = ((folder, own, read_search(folder)) for folder, own in by_folder.items())
    return [
        Search(folder, results.monitor, _trials(own, results.monitor), results.importance)
        for folder, own, results in found
        if results is not None
    ]


def is_trial_of(run: Run, searches: Sequence[Search]) -> bool:
    """Whether a run without a test is listed with a search."""
    return run.problem.startswith(NOT_TESTED) and any(
        run.folder.parent == search.folder for search in searches
    )


def _trials(runs: Sequence[Run], monitor: str) -> tuple[Trial, ...]:
    def value(job: Job) -> float:
        return float("-inf") if job.monitored is None else job.monitored

    return tuple(
        Trial(
            job.run,
            job.number,
            job.swept,
            "–" if job.monitored is None else f"{job.monitored:.4f}",
            _note(job.run),
        )
        for job in sorted(jobs_of(runs, monitor), key=value, reverse=True)
    )


def _note(run: Run) -> str:
    if not run.problem:
        return "tested"
    if run.problem.startswith(NOT_TESTED):
        _, pruned, epochs = run.problem.partition("pruned after ")
        return f"{pruned}{epochs}"
    return run.problem
