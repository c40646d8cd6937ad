"""Out of a run by `export`, into a run by `import`, and side by side in the comparison."""

import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys_lab.commands.app import app
from recsys_lab.report.__main__ import main as report
from recsys_lab.run.embed import embed
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from tests.forked import run_forked
from tests.run_cases import SMALL, metrics

DATA = [word for word in SMALL if word.startswith(("catalog", "num_threads"))]


def call(*words: str, cwd: Path) -> subprocess.CompletedProcess:
    return run_forked(["-m", "recsys_lab", *words], cwd, timeout=300)


def test_an_export_is_imported_and_compared(
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "a, b's ${x}.safetensors"
    done = CliRunner().invoke(app, ["export", str(finished), "--format", "safetensors",
                                    "--out", str(out)])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out}\n"
    found = Embeddings.load(finished)
    kept = int(found.scored.sum())
    assert f"{kept:,} items; {len(found) - kept:,} without a score are left out" in done.stderr
    made = call("import", out.name, *DATA, f"prepared_dir={finished.parent / 'prepared'}",
                "hydra.run.dir=runs/vectors", cwd=tmp_path)  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    assert f"vectors of {kept} of {len(found)} items of the catalogue" in made.stdout
    folder = tmp_path / "runs" / "vectors"
    trained = ("fit/", "best/", "versions/", "git_commit")
    expected = {k: v for k, v in metrics(finished).items() if not k.startswith(trained)}
    got = {k: v for k, v in metrics(folder).items() if not k.startswith(trained)}
    assert got == expected
    assert not (folder / "curve.csv").exists()
    assert not (folder / "checkpoints").exists()
    assert (folder / "train.log").read_text()

    shutil.rmtree(folder / "embeddings")
    monkeypatch.chdir(tmp_path)
    assert (Embeddings.load(embed(folder)).keys == found.keys).all()

    shutil.copytree(finished, tmp_path / "runs" / "trained")
    assert report([str(tmp_path / "runs")]) == 0
    printed = capsys.readouterr().out
    assert "2 of 2 runs in 1 table" in printed
    assert "not compared" not in printed
    page = (tmp_path / "runs" / "comparison" / "comparison.md").read_text()
    row = next(line for line in page.splitlines() if "external: a, b's ${x}.safetensors" in line)
    assert "–" in row  # seconds of training


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "{folder}", "--format", "npy", "--out", "x"], "is not the folder of a run"),
        (["export", "{finished}", "--format", "csv", "--out", "x"], "format must be one of"),
    ],
)
def test_mistakes_are_one_sentence(
    words: list[str], message: str, finished: Path, tmp_path: Path
) -> None:
    filled = [word.format(folder=tmp_path, finished=finished) for word in words]
    with pytest.raises(VectorsError, match=message):
        CliRunner().invoke(app, filled, catch_exceptions=False)


def test_a_note_goes_to_stderr(finished: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", str(finished), "--format", "word2vec",
                                    "--out", str(tmp_path / "x.txt")])  # fmt: skip
    assert done.stdout == f"{tmp_path / 'x.txt'}\n"
    assert "note: the score of this run also takes popularity" in done.stderr
