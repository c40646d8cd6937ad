"""What a sweep shows at its end: its leaderboard, and the page that compares its runs."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

if TYPE_CHECKING:
    from recsys_lab.results.run_folder import Run


class SweepEnd(Callback):
    """Prints the leaderboard of a sweep and writes its comparison page.

    Hydra calls `on_multirun_end` only if every job has succeeded, so the command calls `show` of
    the current sweep in any case.

    Args:
        page: whether the page is written.
    """

    current: ClassVar["SweepEnd | None"] = None  # of the sweep that this process runs

    def __init__(self, page: bool = True) -> None:
        self._page = page
        self._folder = Path()
        self._monitor = ""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the sweep."""
        self._folder, self._monitor = Path(config.hydra.sweep.dir), str(config.monitor)
        SweepEnd.current = self

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Show a sweep whose jobs have all succeeded."""
        self.show()

    def show(self, *, page: bool = True) -> None:
        """Print and write what there is of the sweep, once.

        Args:
            page: whether the page is written, if it is at all.
        """
        if SweepEnd.current is not self:
            return
        SweepEnd.current = None
        from rich.console import Console  # late, as Hydra imports this file for every run

        from recsys_lab.report.leaderboard import jobs_of, leaderboard, unfinished
        from recsys_lab.results.run_folder import find_run_folders, read_run
        from recsys_lab.run.study import importance

        runs = [read_run(folder) for folder in find_run_folders([self._folder])]
        if not runs:
            return
        jobs = jobs_of(runs, self._monitor)
        out = Console(soft_wrap=True, highlight=False, markup=False)
        table = leaderboard(jobs, self._monitor)
        finished = sum(not run.problem for run in runs)
        out.print(f"\n{self._folder}: {_counts(runs)}")
        if table.row_count:
            Console(highlight=False).print(table)
        for name, problem in unfinished(jobs):
            out.print(f"job {name}: {problem}")
        if shares := importance(self._folder):
            told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
            out.print(f"importance for {self._monitor}: {told}")
        if page and self._page and finished:
            self._write_page(runs)

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


def _counts(runs: Sequence["Run"]) -> str:
    """How many runs there are of each kind."""
    from recsys_lab.results.run_folder import NOT_TESTED

    tested = sum(not run.problem for run in runs)
    trials = sum(run.problem.startswith(NOT_TESTED) for run in runs)
    others = len(runs) - tested - trials
    words = [f"{tested} of {len(runs)} runs finished" if not trials else f"{tested} run tested"]
    words += [f"{trials} trials that are not"] * bool(trials)
    words += [f"{others} failed or stopped"] * bool(others)
    return ", ".join(words)
