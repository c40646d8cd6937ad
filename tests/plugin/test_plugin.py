"""The package of a user's own beside this file, by the commands that a user types."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.forked import run_forked
from tests.run_cases import BRIEF, ROOT, metrics, rows

HERE = Path(__file__).parent


def run(folder: Path, *arguments: str, path: Path = HERE) -> subprocess.CompletedProcess:
    return run_forked(arguments, folder, 300, path)


def words(*arguments: str) -> list[str]:
    return [str(ROOT / "train.py"), "--config-dir", str(HERE / "my_conf"), *arguments, *BRIEF]


def train(folder: Path, *arguments: str, path: Path = HERE) -> subprocess.CompletedProcess:
    return run(folder, *words(*arguments), path=path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plugin")


@pytest.fixture(scope="module")
def swept(folder: Path) -> Path:
    """A sweep over the model of the package and one of the project."""
    done = train(
        folder, "-m", "experiment=skipgram_tied,skipgram", "plugins=[my_package]",
        "catalog.num_items=400", "hydra.sweep.dir=sweep", "hydra.callbacks.sweep_end.page=false",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "sweep"


def test_the_model_trains_and_has_its_curve(swept: Path) -> None:
    (tied,) = (path for path in swept.iterdir() if "skipgram_tied" in path.name)
    found = metrics(tied)
    assert found["test/auc/uniform/all"] > found["baseline/popularity/auc/uniform/all"]
    assert len(rows(tied)) > 2


def test_the_baseline_stands_in_the_metrics_and_in_the_table(swept: Path) -> None:
    for path in (path for path in swept.iterdir() if path.is_dir()):
        assert 0 < metrics(path)["baseline/similar_degree/auc/uniform/all"] < 1
        assert metrics(path)["baseline/similar_degree/hr@10/all"] >= 0


def test_the_metric_is_computed_for_all_scorers(swept: Path) -> None:
    for path in (path for path in swept.iterdir() if path.is_dir()):
        for scorer in ("test", "baseline/similar_degree", "baseline/adamic_adar"):
            found = metrics(path)
            cut, whole = (found[f"{scorer}/{name}/all"] for name in ("cut_mrr@10", "mrr"))
            assert found[f"{scorer}/hr@10/all"] / 10 <= cut <= whole


def test_the_model_has_its_row_in_the_comparison(swept: Path) -> None:
    done = run(swept.parent, "-m", "recsys_lab.report", str(swept))
    assert done.returncode == 0, done.stdout + done.stderr
    (table,) = swept.rglob("*.md")
    assert "| skipgram_tied | 1 |" in table.read_text()
    assert "| similar degree |" in table.read_text()


def test_the_reader_feeds_a_run(folder: Path) -> None:
    baskets = [f"i{k} i{(k + 1) % 300} i{(k + 7) % 300}\n" for k in range(300)]
    (folder / "baskets.txt").write_text("".join(baskets))
    catalog = ["catalog=baskets", "catalog.path=baskets.txt", "plugins=[my_package]"]
    done = train(folder, *catalog, "hydra.run.dir=baskets")
    assert done.returncode == 0, done.stdout + done.stderr
    assert metrics(folder / "baskets")["data/num_pairs"] == 900
    done = train(folder, *catalog, "catalog.min_items=1")
    assert done.returncode == 1
    assert "catalog.min_items must be >= 2, got 1" in done.stderr


def test_the_encoder_takes_part_in_a_run(folder: Path) -> None:
    fixed = np.random.default_rng(0).normal(size=(300, 12))
    np.save(folder / "fixed.npy", fixed)
    catalog = ["catalog=baskets", "catalog.path=baskets.txt", "plugins=[my_package]"]
    model = ["model=skipgram_fixed", "model.path=fixed.npy"]
    done = train(folder, *catalog, *model, "hydra.run.dir=fixed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert metrics(folder / "fixed")["test/coverage/all"] == 1
    np.save(folder / "few.npy", fixed[:7])
    done = train(folder, *catalog, model[0], "model.path=few.npy")
    assert done.returncode == 1
    assert "model.path must hold 300 vectors, one for each item, got 7" in done.stdout


@pytest.mark.parametrize("sweep", [[], ["-m", "seed=0,1"]])
def test_a_typo_in_an_experiment_of_ones_own_is_answered(folder: Path, sweep: list) -> None:
    done = train(folder, *sweep, "experiment=skipgram_tide")
    assert done.returncode == 1
    assert "experiment has no choice 'skipgram_tide'" in done.stderr
    assert "did you mean skipgram_tied?" in done.stderr


@pytest.mark.parametrize("sweep", [[], ["-m"]])
def test_a_package_is_refused_without_its_line(folder: Path, sweep: list) -> None:
    done = train(folder, *sweep, "experiment=skipgram_tied", "plugins=[]")
    assert done.returncode == 1
    assert "add the line plugins: [my_package]" in done.stdout + done.stderr


def test_a_package_that_cannot_be_imported_is_named(folder: Path) -> None:
    done = train(folder, "experiment=skipgram_tied", path=folder)
    assert done.returncode == 1
    assert "plugins: cannot import 'my_package'" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
