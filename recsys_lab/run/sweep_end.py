"""What a sweep shows at its end: its leaderboard, and the page that compares its runs."""

import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from recsys_lab.compute.counts import count_of
from recsys_lab.compute.signals import Receiver, exit_by, handle
from recsys_lab.run.sweep_jobs import OtherRun

if TYPE_CHECKING:
    from rich.console import Console

    from recsys_lab.results.run_folder import Run


class SweepEnd(Callback):
    """Prints the leaderboard of a sweep and writes its comparison page.

    Hydra calls `on_multirun_end` only if every job has succeeded, so the command calls `show` of
    the current sweep in any case, and so does a signal while no job runs in this process.

    Args:
        page: whether the page is written.
    """

    current: ClassVar["SweepEnd | None"] = None  # of the sweep that this process runs

    def __init__(self, page: bool = True) -> None:
        self._page = page
        self._folder = Path()
        self._monitor = ""
        self._constants: list[str] = []
        self._refused: list[str] = []
        self._begun = False

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the sweep."""
        self._folder, self._monitor = Path(config.hydra.sweep.dir), str(config.monitor)
        self._constants = list(config.hydra.job.config.override_dirname.exclude_keys)
        SweepEnd.current = self
        handle(Receiver(self._stop, exit_by))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Tell jobs that have begun from those that were refused; jobs of this process alone."""
        if isinstance(outcome := job_return._return_value, OtherRun):
            self._refused.append(str(outcome))
        else:
            self._begun = True

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Show a sweep whose jobs have all succeeded."""
        self.show()

    def _stop(self, number: int) -> None:
        """A signal came while jobs run in other processes, which then end by themselves."""
        with suppress(Exception):  # it may have come in the middle of a print
            self.show(is_stopped=True)
        exit_by(number)

    def show(self, *, is_stopped: bool = False) -> None:
        """Print and write what there is of the sweep, once; nothing if all jobs were refused.

        Args:
            is_stopped: whether a signal ends the sweep; then no page is written.
        """
        if SweepEnd.current is not self:
            return
        SweepEnd.current = None
        from rich.console import Console  # late, as Hydra imports this file for every run

        from recsys_lab.results.run_folder import find_run_folders, read_run

        out = Console(soft_wrap=True, highlight=False, markup=False)
        runs = [read_run(folder) for folder in find_run_folders([self._folder])]
        if runs and (self._begun or not self._refused):
            if is_stopped:
                runs = list(map(_stopping, runs))
            self._print(runs, out)
        for refused in self._refused[1:]:  # the command ends with the first one
            out.print(refused)
        if is_stopped:
            word = shlex.quote(f"hydra.sweep.dir={self._folder}")
            out.print(f"the same command goes on with {word}")
        elif self._page and self._begun_here(runs):
            self._write_page(runs)

    def _begun_here(self, runs: Sequence["Run"]) -> bool:
        return any(not run.problem for run in runs) and (self._begun or not self._refused)

    def _print(self, runs: Sequence["Run"], out: "Console") -> None:
        from rich.console import Console

        from recsys_lab.report.leaderboard import jobs_of, leaderboard, unfinished

        jobs = jobs_of(runs, self._monitor, self._constants)
        table = leaderboard(jobs, self._monitor)
        out.print(f"\n{self._folder}: {_counts(runs)}")
        if table.row_count:
            Console(highlight=False).print(table)
        for name, problem in unfinished(jobs):
            out.print(f"job {name}: {problem}")
        if shares := self._importance():
            told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
            out.print(f"importance for {self._monitor}: {told}")

    def _importance(self) -> dict[str, float]:
        """What told the trials of a search apart; it is kept for reports."""
        from recsys_lab.results.search_results import STUDY, SearchResults, write_search
        from recsys_lab.run.study import importance

        if not (self._folder / STUDY).is_file():
            return {}
        shares = importance(self._folder)
        with suppress(OSError):  # the console has it
            write_search(self._folder, SearchResults(self._monitor, shares))
        return shares

    def _write_page(self, runs: Sequence["Run"]) -> None:
        from recsys_lab.report.__main__ import write_comparison
        from recsys_lab.report.comparison import compare
        from recsys_lab.results.write_errors import explain

        folder = self._folder / "comparison"
        try:
            page = write_comparison(compare(runs), folder)
        except OSError as error:
            sys.stderr.write(f"no comparison page: {explain(error)}\n")
            return
        sys.stdout.write(f"compared in {page}\n")


def _stopping(run: "Run") -> "Run":
    """A run whose process has not ended yet has no reason in its log."""
    from recsys_lab.results.run_lock import is_in_use

    is_running = bool(run.problem) and is_in_use(run.folder)
    return replace(run, problem="interrupted: it is being stopped") if is_running else run


def _counts(runs: Sequence["Run"]) -> str:
    """How many runs there are of each kind."""
    from recsys_lab.results.run_folder import NOT_TESTED

    tested = sum(not run.problem for run in runs)
    trials = sum(run.problem.startswith(NOT_TESTED) for run in runs)
    others = len(runs) - tested - trials
    finished = f"{tested} of {count_of(len(runs), 'run')} finished"
    words = [f"{count_of(tested, 'run')} tested" if trials else finished]
    words += [f"{count_of(trials, 'trial')} not tested"] * bool(trials)
    words += [f"{others} failed or stopped"] * bool(others)
    return ", ".join(words)
