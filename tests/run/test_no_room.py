"""Runs that cannot write: what is lost, what is saved, and what is said."""

import errno
import re
import shutil
from pathlib import Path

import pytest

import recsys_lab
from recsys_lab.results.curve import CurveFile, Row, read_curve
from recsys_lab.results.write_errors import WriteError
from recsys_lab.run.checkpoints import load_checkpoint
from tests.run_cases import BRIEF, metrics, train

FEW = (*BRIEF, "catalog.num_items=300", "trainer.max_epochs=1", "curve.max_pairs=100")


def sentences(out: str, level: str) -> list[str]:
    return [line.split(level, 1)[1].strip() for line in out.splitlines() if f" {level}" in line]


def test_a_run_without_pictures_events_and_log_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "train.log").mkdir(parents=True)
    for name in ("figures", "projector"):
        (run / name).write_text("mine")
    done = train(run, *FEW)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    [said] = done.stderr.splitlines()[1:]  # the first line names the folder
    assert re.fullmatch(r"cannot write .*/train\.log: a folder has this name; .*", said)
    lost = [text for text in sentences(done.stdout, "WARNING") if " is left out: " in text]
    assert [text.partition(" is left out")[0] for text in lost] == [
        "the figure of the learning curve",
        "the figure of precision and recall on validation pairs",
        "the curve of precision and recall",
        "TensorBoard's projector",
    ]
    assert "this model" in done.stdout
    assert metrics(run)["count/test/all"] > 0
    assert (run / "embeddings" / "embeddings.json").is_file()
    assert (run / "figures").read_text() == "mine"


def test_the_table_is_printed_where_results_cannot_be_written(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "embeddings").write_text("")
    done = train(run, *FEW)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "this model" in done.stdout
    (said,) = sentences(done.stdout, "ERROR")
    assert said.startswith(f"cannot write {run}/embeddings: it is a file, not a folder; move that")
    assert said.endswith(f"then python -m recsys_lab embed {run} completes the run")
    assert metrics(run)["count/test/all"] > 0
    assert load_checkpoint(run / "checkpoints" / "best.ckpt")


def test_what_stands_in_the_way_of_a_run_is_named_at_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "curve.csv").mkdir(parents=True)
    done = train(run, *FEW)
    assert (done.returncode, done.stderr) == (1, f"run folder: {run}\n")
    (said,) = sentences(done.stdout, "ERROR")
    assert said.startswith(f"cannot write {run}/curve.csv: a folder has this name; move that")
    assert "or choose another place with hydra.run.dir=" in said
    file = run / "file"
    file.write_text("")
    for barrier, folder in ((file, file / "deep" / "run"), (run / ".hydra", run)):
        shutil.rmtree(run / ".hydra", ignore_errors=True)
        barrier.write_text("")
        done = train(tmp_path / "x", *FEW, f"hydra.run.dir={folder}")
        said = done.stdout + done.stderr
        assert done.returncode == 1
        assert re.search(rf"cannot write .*{barrier}.*; move that file away, or ", said)
        assert "Traceback" not in said


def test_a_curve_that_cannot_be_written_stops_a_run_after_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = recsys_lab.configure(*FEW, "trainer.max_epochs=2", "curve.every_n_batches=1")
    prepared = recsys_lab.prepare(experiment.source, experiment.split, tmp_path / "prepared")
    whole = recsys_lab.fit(prepared, experiment, tmp_path / "whole")
    append = CurveFile.append

    def fail(self: CurveFile, row: Row) -> None:
        append(self, row)
        if row["step"] == 2:
            raise WriteError(errno.ENOSPC, "No space left on device", "curve.csv")

    with monkeypatch.context() as patched:
        patched.setattr(CurveFile, "append", fail)
        with pytest.raises(WriteError, match=r"curve\.csv: its disk is full"):
            recsys_lab.fit(prepared, experiment, tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert load_checkpoint(last)["global_step"] == 2
    shutil.rmtree(tmp_path / "run" / "figures", ignore_errors=True)
    resumed = recsys_lab.fit(prepared, experiment, tmp_path / "run", resume=last)
    assert resumed.best == whole.best
    assert [row["step"] for row in resumed.curve] == [row["step"] for row in whole.curve]
    assert len(read_curve(tmp_path / "run")) == len(whole.curve)
