"""The table at the end of a sweep: its jobs, best first, with what was swept."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from recsys_lab.compute.short_numbers import short_numbers
from recsys_lab.results.curve import best_value
from recsys_lab.results.run_folder import CONFIG, NOT_TESTED, Run

_PRUNED = ", pruned after"  # in what a trial logs
_MOST = 20  # rows; the page has all
_BESIDE = ("test/ndcg@10/all", "test/hr@10/all")  # measures beside the one that sorts
_PART = re.compile(r"/(all|seen|one_cold|both_cold)$")  # slice of the test pairs


@dataclass(frozen=True)
class Job:
    """A job of a sweep.

    Attributes:
        run: what its folder holds.
        swept: the words by which it differs from the others.
        monitored: the best value of the monitored metric; None if there is none.
    """

    run: Run
    swept: str
    monitored: float | None

    @property
    def number(self) -> str:
        """Its number, or the name of its folder."""
        head = self.run.folder.name.partition("_")[0]
        return head if head.isdecimal() else self.run.folder.name


def jobs_of(runs: Sequence[Run], monitor: str, constants: Sequence[str] = ()) -> list[Job]:
    """The jobs of the runs of a sweep, in the order of their folders.

    Args:
        runs: of the sweep.
        monitor: the monitored metric.
        constants: keys that tell nothing of a run that stands alone.
    """
    words = [_words(run.folder) for run in runs]
    common = set(words[0]).intersection(*words) if len(words) > 1 else set()
    if len(words) == 1:
        common = {word for word in words[0] if word.partition("=")[0].lstrip("+~") in constants}
    swept = [short_numbers(" ".join(x for x in own if x not in common)) for own in words]
    return [
        Job(run, shown, best_value(run.folder, monitor))
        for run, shown in zip(runs, swept, strict=True)
    ]


def leaderboard(jobs: Sequence[Job], monitor: str) -> Table:
    """The jobs that have a result, best first: by the test, or by the monitored metric.

    The test decides if all of them are tested: by its metric of the name of the monitored one.
    """
    tests = [_tested(job.run.metrics, monitor) for job in jobs if not job.run.problem]
    measured = [job for job in jobs if not job.run.problem or job.monitored is not None]
    names = [name for name in dict.fromkeys([tests[0], *_BESIDE]) if name] if tests else []
    by_test = bool(names) and all(names[0] in job.run.metrics for job in measured)

    def value(job: Job) -> float:
        found = job.run.metrics.get(names[0]) if by_test else job.monitored
        return float("-inf") if found is None else float(found)

    ranked = sorted(measured, key=value, reverse=True)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("job", justify="right", no_wrap=True)
    table.add_column("swept", overflow="fold")
    for name in [monitor, *names]:
        table.add_column(_PART.sub("", name), justify="right", no_wrap=True)
    for place, job in enumerate(ranked[:_MOST], start=1):
        values = [job.monitored, *(job.run.metrics.get(name) for name in names)]
        absent = "pruned" if _PRUNED in job.run.problem else "–"
        numbers = [absent if x is None else f"{x:.4f}" for x in values]
        table.add_row(str(place), Text(job.number), Text(job.swept), *numbers)
    if len(ranked) > _MOST:
        table.caption = f"and {len(ranked) - _MOST:,} more"
        table.caption_justify = "left"
    return table


def unfinished(jobs: Sequence[Job]) -> list[tuple[str, str]]:
    """The jobs that failed or were stopped, and why, in the order of their folders."""
    return [
        (" ".join(filter(None, [job.number, job.swept])), job.run.problem)
        for job in jobs
        if job.run.problem and not job.run.problem.startswith(NOT_TESTED)
    ]


def _tested(metrics: Mapping[str, object], monitor: str) -> str:
    """The metric of the test that the monitored one stands for, or an empty text."""
    name = monitor.replace("val/", "test/", 1)
    return next((key for key in (f"{name}/all", name) if metrics.get(key) is not None), "")


def _words(folder: Path) -> list[str]:
    """The words of the command line that made a run, those of the sweep among them."""
    with suppress(Exception):  # of YAML and OmegaConf; they are a help only
        words = OmegaConf.load(folder / CONFIG.with_name("overrides.yaml"))
        if OmegaConf.is_list(words):
            return [str(word) for word in words]
    return []
