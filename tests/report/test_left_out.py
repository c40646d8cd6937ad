"""Runs that are in no table, and the reasons that the comparison gives."""

import re
import shlex
from pathlib import Path

from recsys_lab.report.__main__ import main
from recsys_lab.report.comparison import compare
from recsys_lab.results.run_folder import find_run_folders, read_run
from recsys_lab.results.run_lock import alone_in
from tests.run_folder_cases import metrics, write_run


def test_failed_unfinished_and_damaged_runs_are_listed_with_their_reason(tmp_path):
    write_run(tmp_path / "good", 0, metrics(0))
    log = "10:00:00 INFO    begins\n10:00:01 ERROR   lr must be > 0, got -1\n"
    write_run(tmp_path / "failed", 1, log=log)
    write_run(tmp_path / "killed", 2, log="10:00:00 INFO    begins\n")
    (write_run(tmp_path / "torn", 3) / "metrics.json").write_text('{"seed": 3, "te')
    (write_run(tmp_path / "alien", 4) / "metrics.json").write_text('{"seed": 4}')
    (write_run(tmp_path / "garbled", 5, metrics(5)) / ".hydra" / "config.yaml").write_text("a: [")
    comparison = compare([read_run(folder) for folder in find_run_folders([tmp_path])])
    reasons = {Path(p.name).name: p.reason for p in comparison.problems}
    assert reasons["failed"] == "failed: lr must be > 0, got -1"
    assert reasons["killed"].startswith("unfinished")
    assert reasons["torn"].startswith("metrics.json is damaged")
    assert "the hashes are missing" in reasons["alien"]
    assert "garbled" in reasons
    (table,) = comparison.tables
    assert [entry.seeds for entry in table.experiments] == [[0]]


def test_an_interrupted_run_is_listed_with_the_command_that_goes_on(tmp_path):
    write_run(tmp_path / "done", 0, metrics(0))
    stopped = write_run(tmp_path / "stopped", 1, log="10:00:01 ERROR   interrupted by SIGINT\n")
    (stopped / "checkpoints").mkdir()
    (stopped / "checkpoints" / "last.ckpt").touch()
    assert main([str(tmp_path)]) == 0
    page = (tmp_path / "comparison" / "comparison.html").read_text(encoding="utf-8")
    seen = re.sub(r"<[^>]*>", "", page)
    assert f"interrupted: python train.py resume={stopped} goes on" in seen


def test_a_run_that_goes_on_is_no_failure(tmp_path):
    folder = write_run(tmp_path / "a", 0, log="10:00:00 INFO    begins\n")
    with alone_in(folder):
        assert read_run(folder).problem == "still running"
    assert read_run(folder).problem.startswith("unfinished")


def test_a_run_without_a_test_is_listed_with_a_command_that_shells_read(tmp_path):
    folder = write_run(tmp_path / "a b", 0, metrics(0))
    config = folder / ".hydra" / "config.yaml"
    config.write_text(config.read_text() + "test: false\n")
    (problem,) = compare([read_run(folder) for folder in find_run_folders([tmp_path])]).problems
    words = shlex.split(problem.reason)
    assert f"evaluate={folder}" in words
