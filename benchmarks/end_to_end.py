"""The real command, `python train.py`, from the raw metadata file to test metrics.

One epoch of ten walks of ten items each. The phases are told by the lines of its log. A second
process runs the same fit under Lightning's profiler, for the share of time that is not training:
waiting for batches, the curve, checkpoints, loggers, and Lightning's own loop.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import recsys_lab
from benchmarks.child import timed
from benchmarks.harness import ROOT, BenchmarkError, Comparison, Contender, Run
from benchmarks.inputs import SIZES, WALK_LENGTH, WALKS_PER_ITEM, Inputs
from benchmarks.train import SHARED

COMMAND = (
    "trainer.max_epochs=1",
    f"data.source.walks_per_item={WALKS_PER_ITEM}",
    f"data.source.walk_length={WALK_LENGTH}",
    "trainer.enable_progress_bar=false",
)
# what a line of the log contains, and the phase that it ends
MARKS = (("/catalogs/", "read"), ("/splits/", "split"), ("testing on", "fit"))
STEP = "run_training_batch"
FIGURES = "[Callback]LearningCurve.on_train_end"
LOAD = "[_TrainingEpochLoop].train_dataloader_next"


def measure(size: str, folder: str, overrides: list[str]) -> Run:
    """Run the command with fresh prepared data; a program that watches it and takes no time."""
    inputs = Inputs(size, folder)
    run_folder = Path(folder).resolve() / "end_to_end"
    shutil.rmtree(run_folder, ignore_errors=True)
    command = [sys.executable, "train.py", "catalog=amazon", f"catalog.path={inputs.raw.resolve()}"]
    command += [f"prepared_dir={run_folder}/prepared", f"hydra.run.dir={run_folder}/run"]
    began = last = time.perf_counter()
    phases, last_line = dict.fromkeys((phase for _, phase in MARKS), 0.0), ""
    process = subprocess.Popen(
        [*command, *COMMAND, *overrides],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None  # narrows the type
    for line in process.stdout:
        last_line = line.strip() or last_line
        for mark, phase in MARKS:
            if mark in line and not phases[phase]:
                now = time.perf_counter()
                phases[phase], last = now - last, now
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchmarkError(last_line)
    phases["test"] = time.perf_counter() - last
    metrics = json.loads((run_folder / "run" / "metrics.json").read_text())
    return {
        "work": metrics["data/num_items"],
        "pairs": metrics["data/num_pairs"],
        "auc": metrics["test/auc/uniform/seen"],
        "fit_seconds": metrics["fit/seconds"],
        "seconds": time.perf_counter() - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 2**10,
        **{f"{phase}_seconds": seconds for phase, seconds in phases.items()},
    }


def fit(size: str, folder: str, overrides: list[str]) -> Run:
    """The fit of a run, with its callbacks and loggers, under Lightning's profiler."""
    overrides = [*SHARED, *COMMAND, "+trainer.profiler=simple", *overrides]
    experiment = recsys_lab.configure(*overrides)
    prepared = Inputs(size, folder).prepared
    run_folder = Path(folder) / "profiled_fit"
    shutil.rmtree(run_folder, ignore_errors=True)
    run_folder.mkdir(parents=True)
    fitted, measured = timed(recsys_lab.fit, prepared, experiment, run_folder)
    durations = fitted.task.trainer.profiler.recorded_durations
    spent = {name: sum(times) for name, times in durations.items()}
    figures = spent.pop(FIGURES, 0.0)
    own = {"training steps": spent.get(STEP, 0.0), "waiting for batches": spent.get(LOAD, 0.0)}
    for label, part in (("learning curve", "LearningCurve"), ("checkpoints", "BestCheckpoint")):
        own[label] = sum(s for n, s in spent.items() if n.startswith("[Callback]") and part in n)
    own["the rest (loop, loggers)"] = fitted.measured["fit/seconds"] - sum(own.values())
    own["figures at the end"] = figures  # when the clock of the fit has stopped
    total = sum(own.values())
    return {"work": len(prepared.catalog), **measured, "seconds": total, "shares": own}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Anything of the configuration."""
    parser.add_argument("--overrides", nargs="*", default=[], help="as for train.py")


def compare(inputs: Inputs, options: argparse.Namespace) -> list[Comparison]:
    """The run, and the profile of its fit."""
    assert inputs.prepared is not None  # it and the raw file are made beforehand
    overrides = [*options.overrides, f"num_threads={options.threads}"]
    columns = {f"{phase}, s": f"{phase}_seconds" for phase in ("read", "split", "fit", "test")}
    columns |= {"pairs": "pairs", "AUC": "auc"}
    found = []
    for name, function, shown in (("train.py", "measure", columns), ("fit, profiled", "fit", {})):
        contender = Contender.project(
            name, f"end_to_end.{function}", options.threads, overrides=overrides, **inputs.arguments
        )
        comparison = Comparison(name, "items", columns=shown)
        found.append(comparison.measure(options.choose([contender]), options.repeats))
    return found


def notes(comparison: Comparison) -> list[str]:
    """Shares of the fit."""
    lines = []
    for run in comparison.runs.get("fit, profiled", []):
        for name, seconds in run["shares"].items():
            lines.append(f"{name}: {seconds:.1f} s, {seconds / run['seconds']:.1%}")
    return lines


def exponents(folder: Path, size: str, comparisons: list[Comparison]) -> list[str]:
    """How cost grows from the next smaller size that was measured, in the folders beside this."""
    smaller = list(SIZES)[: list(SIZES).index(size)]
    files = [folder.parent / name / "end_to_end.json" for name in smaller]
    files = [file for file in files if file.exists()]
    runs = comparisons[0].runs.get("train.py")
    if not files or not runs:
        return []
    before = json.loads(files[-1].read_text())["comparisons"][0]["runs"]["train.py"][0]
    grown = math.log(runs[0]["work"] / before["work"])
    return [
        f"{key} ~ items ** {math.log(runs[0][key] / before[key]) / grown:.2f} "
        f"from {before['work']:,} to {runs[0]['work']:,} items"
        for key in ("seconds", "cpu_seconds", "peak_mb")
    ]
