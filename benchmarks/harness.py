"""Contenders in processes of their own, in alternating order, and the table of their ratios."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Run = dict[str, Any]  # what a process measured of itself, and what its parent saw of it
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Contender:
    """One row: a function of this package, or a program, that prints a JSON object at its end.

    A run reports at least `work` (in the unit of the comparison) and `seconds`; where it reports
    no `cpu_seconds` and `peak_mb`, those of its process count.
    """

    name: str
    command: tuple[str, ...]
    is_peer: bool = False

    @classmethod
    def project(cls, name: str, function: str, threads: int | None = None, **arguments: Any) -> Any:
        """A function such as "walks.measure", called with JSON arguments in a fresh process."""
        spec = {"function": function, "threads": threads, "arguments": arguments}
        return cls(name, (sys.executable, "-m", "benchmarks.child", json.dumps(spec)))

    @classmethod
    def peer(cls, name: str, function: str, **arguments: Any) -> Any:
        """A peer that runs in the same environment."""
        return cls(name, cls.project(name, function, **arguments).command, is_peer=True)


@dataclass
class Comparison:
    """Contenders on the same work.

    Attributes:
        title: what is compared.
        unit: of the work, in the plural.
        reference: name of the contender that ratios refer to; the first peer if left out.
        columns: further values of a run to show, by heading.
        runs: by contender, in the order of the repeats.
        absent: by contender, why it did not run.
    """

    title: str
    unit: str
    reference: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def measure(self, contenders: Sequence[Contender], repeats: int) -> "Comparison":
        """Run every contender once in each repeat; who fails once is out."""
        for number in range(repeats):
            for contender in contenders:
                if contender.name in self.absent:
                    continue
                print(f"{number + 1}/{repeats} {contender.name}", file=sys.stderr, flush=True)
                try:
                    self.runs.setdefault(contender.name, []).append(run_alone(contender.command))
                except BenchmarkError as error:
                    self.runs.pop(contender.name, None)
                    self.absent[contender.name] = str(error)
        peers = [c.name for c in contenders if c.is_peer and c.name in self.runs]
        if self.reference not in self.runs:
            self.reference = next(iter([*peers, *self.runs]), None)
        return self

    def table(self) -> list[list[str]]:
        """Headings, then a row for each contender."""
        speed = f"1,000 {self.unit}/s (min - max)"
        rows = [["", speed, "by the clock", "by CPU", "peak MB", *self.columns]]
        for name, runs in self.runs.items():
            speeds = [run["work"] / run["seconds"] / 1000 for run in runs]
            cells = [name, spread(speeds, "{:,.1f}"), self._ratio(runs, "seconds")]
            cells += [self._ratio(runs, "cpu_seconds")]
            cells += [f"{statistics.median(run['peak_mb'] for run in runs):,.0f}"]
            for key in self.columns.values():
                values = [run[key] for run in runs if run.get(key) is not None]
                cells.append(f"{statistics.median(values):,.4g}" if values else "")
            rows.append(cells)
        blank = [""] * (len(rows[0]) - 2)
        return rows + [[name, f"absent: {why}", *blank] for name, why in self.absent.items()]

    def _ratio(self, runs: list[Run], key: str) -> str:
        """How many times as fast as the reference, repeat by repeat."""
        pairs = zip(runs, self.runs[self.reference or ""], strict=True)
        return spread([(b[key] / b["work"]) / (a[key] / a["work"]) for a, b in pairs], "{:.2f}")


class BenchmarkError(RuntimeError):
    """A contender did not run to its end; the message is its last line."""


def spread(values: Sequence[float], form: str) -> str:
    """Median, and the smallest and largest value where there are several."""
    text = form.format(statistics.median(values))
    if len(values) > 1:
        text += f" ({form.format(min(values))} - {form.format(max(values))})"
    return text


def run_alone(command: Sequence[str]) -> Run:
    """Run a command; returns what its last line says and what the process took.

    Raises:
        BenchmarkError: it failed, or its last line is no JSON object.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        try:
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)
        except OSError as error:
            raise BenchmarkError(f"{command[0]}: {error.strerror}") from error
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)  # it is waited for already
        seconds = time.perf_counter() - began
        lines = [_lines(file) for file in (out, err)]
    if process.returncode != 0:
        raise BenchmarkError((lines[1] or lines[0] or [f"exit code {process.returncode}"])[-1])
    try:
        found = json.loads(lines[0][-1])
    except (ValueError, IndexError) as error:
        raise BenchmarkError("printed no result") from error
    cpu = usage.ru_utime + usage.ru_stime
    whole = {"cpu_seconds": cpu, "peak_mb": usage.ru_maxrss / 2**10}
    process_row = {"process_seconds": seconds, "process_cpu_seconds": cpu}
    return {"seconds": seconds, **whole, **process_row, **found}


def _lines(file: Any) -> list[str]:
    file.seek(0)
    return [line.strip() for line in file if line.strip()]


def show(title: str, rows: list[list[str]]) -> None:
    """Print a table for eyes, and its rows as Markdown for RESULTS.md."""
    table = Table(title=title)
    for number, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if number else "left")
    for row in rows[1:]:
        table.add_row(*row)
    Console(width=max(Console().width, 120)).print(table)
    lines = [rows[0], ["---"] + ["---:"] * (len(rows[0]) - 1), *rows[1:]]
    print("\n".join("| " + " | ".join(cells) + " |" for cells in lines), end="\n\n")


def stage_table(runs: Sequence[Run]) -> list[list[str]]:
    """Rows of a run's `stages`: seconds, CPU seconds and peak memory, medians over runs."""
    rows = [["stage", "seconds", "CPU seconds", "peak MB"]]
    for name in runs[0]["stages"]:
        parts = [run["stages"][name] for run in runs]
        rows.append([name, spread([part["seconds"] for part in parts], "{:,.2f}")])
        for key, form in (("cpu_seconds", "{:,.2f}"), ("peak_mb", "{:,.0f}")):
            rows[-1].append(form.format(statistics.median(part[key] for part in parts)))
    total = sum(statistics.median(run["stages"][n]["seconds"] for run in runs)
                for n in runs[0]["stages"])  # fmt: skip
    peak = max(part["peak_mb"] for run in runs for part in run["stages"].values())
    return [*rows, ["together", f"{total:,.2f}", "", f"{peak:,.0f}"]]
