"""The choices of `logger=`, each with the names of `curve.csv`."""

import csv
import json
import sqlite3
from pathlib import Path

import pytest

import recsys_lab
from recsys_lab.run import use_loggers
from recsys_lab.run.fitting import Fitted
from tests.run_cases import BRIEF, rows

SMALL = (
    *BRIEF, "catalog.num_items=400", "trainer.max_epochs=1", "curve.every_n_batches=10",
    "curve.max_pairs=100", "embeddings=false", "projector=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def prepared_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


def fitted(folder: Path, prepared_dir: Path, *words: str) -> Fitted:
    experiment = recsys_lab.configure(*SMALL, f"prepared_dir={prepared_dir}", *words)
    prepared = recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)
    return recsys_lab.fit(prepared, experiment, folder)


def test_csv_has_the_names_of_the_curve_and_of_the_test(tmp_path: Path, prepared_dir: Path) -> None:
    metrics = fitted(tmp_path, prepared_dir, "logger=csv").test()
    with (tmp_path / "csv" / "metrics.csv").open(newline="") as file:
        logged = list(csv.DictReader(file))
    curve = rows(tmp_path)
    named = {name for name in curve[0] if "/" in name}
    tested = {name for name, value in metrics.items() if name.startswith("test/") and value}
    assert set(logged[0]) == named | tested | {"step"}
    assert [row["train/loss"] for row in logged if row["train/loss"]] == [
        row["train/loss"] for row in curve
    ]
    assert float(logged[-1]["test/ndcg@10/all"]) == metrics["test/ndcg@10/all"]
    assert not list(tmp_path.glob("events.*")), "only the chosen loggers write"


def test_no_logger_leaves_the_curve_alone(tmp_path: Path, prepared_dir: Path) -> None:
    fitted(tmp_path, prepared_dir, "logger=null")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "checkpoints",
                                                                "curve.csv", "figures"]  # fmt: skip


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use_loggers, "find_spec", lambda name: None if name == "wandb" else name)
    sections = recsys_lab.configure(*SMALL, "logger=many").configuration["logger"]
    assert list(sections) == ["tensorboard", "csv", "mlflow", "wandb"]
    with pytest.raises(ValueError, match=r"pip install 'recsys-lab\[wandb\]'"):
        use_loggers.check_usable(sections)


def test_a_logger_that_cannot_start_is_named(tmp_path: Path, prepared_dir: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    with pytest.raises(ValueError, match=r"^logger= cannot be used \(.*nothing://x.*\)"):
        fitted(tmp_path, prepared_dir, "logger=mlflow", "logger.mlflow.tracking_uri=nothing://x")


@pytest.mark.soak
def test_mlflow_keeps_a_run_in_a_file(
    tmp_path: Path, prepared_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(package, reason="needs the extra mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    metrics = fitted(tmp_path / "mine", prepared_dir, "logger=mlflow").test()
    with sqlite3.connect(tmp_path / "outputs" / "mlflow.db") as database:
        found = dict(database.execute("select key, value from metrics order by step"))
        names = [name for (name,) in database.execute("select name from runs")]
        options = dict(database.execute("select key, value from params"))
    assert names == ["mine"]
    assert found["test/ndcg_at_10/all"] == metrics["test/ndcg@10/all"]
    assert found["train/loss"] == pytest.approx(float(rows(tmp_path / "mine")[-1]["train/loss"]))
    assert options["model/embedding_dim"] == "8"


@pytest.mark.soak
def test_wandb_writes_a_run_offline(tmp_path: Path, prepared_dir: Path) -> None:
    wandb = pytest.importorskip("wandb", reason="needs the extra wandb")
    words = ("logger=wandb", "logger.wandb.offline=true")
    metrics = fitted(tmp_path, prepared_dir, *words).test()
    summary = dict(wandb.run.summary)
    assert summary["test/ndcg@10/all"] == metrics["test/ndcg@10/all"]
    assert wandb.run.config["model"]["embedding_dim"] == 8
    wandb.finish()
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    json.dumps(summary["train/loss"])
