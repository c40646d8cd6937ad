"""`test=false`, and jobs whose working folder Hydra changes."""

from pathlib import Path

import pytest

from recsys_lab.report.comparison import compare
from recsys_lab.results.run_folder import read_run
from tests.run_cases import bare, metrics, results, rows, train


@pytest.fixture(scope="module")
def untested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "run"
    words = ("test=false", "trainer.max_epochs=1", "hydra.job.chdir=true", "prepared_dir=prepared")
    done = train(folder, *words, "projector=0")
    assert done.returncode == 0, done.stderr
    assert f"not tested (test=false): python train.py evaluate={folder} does so" in done.stdout
    assert "NDCG" not in done.stdout
    return folder


def test_relative_paths_start_at_the_first_folder(untested: Path) -> None:
    assert (untested.parent / "prepared" / "splits").is_dir()
    assert not (untested / "prepared").exists()


def test_a_run_without_a_test_has_its_best_metric_and_is_tested_later(untested: Path) -> None:
    found = metrics(untested)
    values = [float(row["val/ndcg@10"]) for row in rows(untested) if row["val/ndcg@10"]]
    assert found["best/val/ndcg@10"] == pytest.approx(max(values))
    assert not any(name.startswith(("test/", "baseline/")) for name in found)
    assert (untested / "embeddings" / "items.parquet").is_file()

    run = read_run(untested)
    assert not run.problem
    comparison = compare([run])
    assert not comparison.tables
    [problem] = comparison.problems
    assert (problem.name, problem.reason.partition(":")[0]) == (str(untested), "not tested")

    later = untested.with_name("later")
    done = bare(untested.parent, f"evaluate={untested}", f"hydra.run.dir={later}")
    assert done.returncode == 0, done.stderr
    assert results(later)["test/ndcg@10/all"] > 0
    assert compare([read_run(later)]).tables
