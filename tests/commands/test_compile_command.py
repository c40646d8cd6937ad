"""`recsys-lab compile`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run_cases import ROOT


def run(folder: Path, *words: str, cache: Path) -> subprocess.CompletedProcess:
    environment = {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-m", "recsys_lab", *words]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True
    )


@pytest.mark.soak
def test_a_run_after_it_compiles_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "compile", cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert f"the kernels are in {tmp_path}/cache/kernels-" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    words = ("catalog.num_items=400", "trainer.max_epochs=1", "logger=null")
    words += ("evaluation.max_ease_items=0",)  # as of 10,000 items
    first = run(tmp_path, "train", *words, cache=tmp_path / "cache")
    assert first.returncode == 0, first.stderr
    assert "training by compiled kernels" in first.stderr + first.stdout
    assert "compiling" not in first.stderr + first.stdout


@pytest.mark.soak
def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path, "compile", cache=tmp_path / "file")
    assert (done.returncode, done.stdout) == (1, "")
    assert "NUMBA_CACHE_DIR" in done.stderr
    assert len(done.stderr.splitlines()) == 1
