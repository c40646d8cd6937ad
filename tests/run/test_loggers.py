"""The choices of `logger=`, each with the names of `curve.csv`."""

import csv
import socket
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from pytorch_lightning.loggers import CSVLogger, Logger

import recsys_lab
from recsys_lab.run import logger_runs, use_loggers
from recsys_lab.run.fitted import Fitted
from tests.run_cases import BRIEF, rows

SMALL = (
    *BRIEF, "catalog.num_items=400", "trainer.max_epochs=1", "curve.every_n_batches=10",
    "curve.max_pairs=100", "embeddings=false", "projector=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def prepared_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


def fitted(
    folder: Path,
    prepared_dir: Path,
    *words: str,
    build: Callable[..., Logger] | None = None,
    resume: Path | None = None,
) -> Fitted:
    experiment = recsys_lab.configure(*SMALL, f"prepared_dir={prepared_dir}", *words)
    prepared = recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)
    if build is not None:
        experiment = replace(experiment, loggers=[lambda folder: build(folder, name="", version=0)])
    return recsys_lab.fit(prepared, experiment, folder, resume=resume, with_changes=True)


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


def test_a_login_is_asked_for_before_data_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="needs the extra wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(wandb, "login", lambda **_: False)
    sections = recsys_lab.configure(*SMALL, "logger=wandb").configuration["logger"]
    with pytest.raises(ValueError, match=r"needs a login.*WANDB_API_KEY.*WANDB_MODE=offline"):
        use_loggers.check_usable(sections)
    monkeypatch.setenv("WANDB_MODE", "offline")
    use_loggers.check_usable(sections)
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    use_loggers.check_usable(sections)


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ("logger=mlflow", f"logger.mlflow.tracking_uri=http://me:secret@{place}/a")
        sections = recsys_lab.configure(*SMALL, *words).configuration["logger"]
        with pytest.raises(ValueError, match=rf"cannot reach http://{place}/a \(.*refused\)"):
            use_loggers.check_usable(sections)
        taken.listen()
        use_loggers.check_usable(sections)


class Flaky(CSVLogger):
    """A logger whose server goes away after the second point."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        super().log_metrics(metrics, step)
        if len(self.experiment.metrics) > 1:
            raise RuntimeError("no answer\nfor long") from ConnectionResetError(104, "was reset")


def test_a_run_goes_on_without_a_logger_that_fails(
    tmp_path: Path, prepared_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = fitted(tmp_path / "whole", prepared_dir, "logger=csv")
    flaky = fitted(tmp_path / "flaky", prepared_dir, "logger=csv", build=Flaky)
    flaky.save(flaky.measured)
    assert flaky.loggers[0].save_dir == str(tmp_path / "flaky")  # what Lightning's logger has
    assert flaky.best == whole.best
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warnings == ["Flaky shows no more of this run, which goes on: was reset"]
    assert [r["train/loss"] for r in rows(tmp_path / "flaky")] == [
        r["train/loss"] for r in rows(tmp_path / "whole")
    ]


def test_a_logger_that_cannot_start_is_named(tmp_path: Path, prepared_dir: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    with pytest.raises(ValueError, match=r"^logger= cannot be used \(.*nothing://x.*\)"):
        fitted(tmp_path, prepared_dir, "logger=mlflow", "logger.mlflow.tracking_uri=nothing://x")


@pytest.mark.soak
def test_mlflow_keeps_a_run_in_a_file_and_goes_on_with_it(
    tmp_path: Path, prepared_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(package, reason="needs the extra mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "mine"
    fitted(mine, prepared_dir, "logger=mlflow")
    words = ("logger=mlflow", "trainer.max_epochs=2")
    metrics = fitted(mine, prepared_dir, *words, resume=mine).test()
    with sqlite3.connect(tmp_path / "outputs" / "mlflow.db") as database:
        found = dict(database.execute("select key, value from metrics order by step"))
        steps = database.execute("select step from metrics where key = 'train/loss' order by step")
        logged = [step for (step,) in steps]
        names = [name for (name,) in database.execute("select name from runs")]
        options = dict(database.execute("select key, value from params"))
    assert names == ["mine"]
    assert logged == [int(row["step"]) for row in rows(mine)]
    assert found["test/ndcg_at_10/all"] == metrics["test/ndcg@10/all"]
    assert found["train/loss"] == pytest.approx(float(rows(mine)[-1]["train/loss"]))
    assert options["model/embedding_dim"] == "8"
    assert options["trainer/max_epochs"] == "1"  # MLflow changes none


@pytest.mark.soak
def test_wandb_writes_runs_offline_and_goes_on_with_one(
    tmp_path: Path, prepared_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb", reason="needs the extra wandb")
    words = ("logger=wandb", "logger.wandb.offline=true")
    summaries: list[dict[str, float]] = []
    finish = logger_runs.Wandb.end

    def end(logger: logger_runs.Wandb, status: str) -> None:
        summaries.extend([dict(wandb.run.summary)] if wandb.run else [])
        finish(logger, status)

    monkeypatch.setattr(logger_runs.Wandb, "end", end)
    first = fitted(tmp_path / "a", prepared_dir, *words)
    run, metrics = wandb.run, first.test()
    assert summaries[0]["test/ndcg@10/all"] == metrics["test/ndcg@10/all"]
    assert run.config["model"]["embedding_dim"] == 8
    assert wandb.run is None, "the next job of a sweep has a run of its own"
    fitted(tmp_path / "b", prepared_dir, *words).test()
    more = fitted(
        tmp_path / "a", prepared_dir, *words, "trainer.max_epochs=2", resume=tmp_path / "a"
    )
    assert wandb.run.id == run.id
    more.save(more.measured)
    ids = [path.stem.rpartition("-")[2] for path in tmp_path.glob("?/wandb/offline-run-*/*.wandb")]
    assert (len(ids), len(set(ids))) == (3, 2)
