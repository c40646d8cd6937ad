"""Which checkpoint a run goes on from, and what becomes of the best one."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import recsys_lab
from recsys_lab.models.task import TrainingError
from recsys_lab.results import run_lock
from recsys_lab.run.checkpoints import AtomicCheckpointIO, load_checkpoint, newest_checkpoint
from tests.run_cases import BRIEF

PARTS = ("recsys_lab", "state_dict", "optimizer_states", "loops", "callbacks")


def write(folder: Path, name: str, step: int) -> Path:
    path = folder / "checkpoints" / f"{name}.ckpt"
    content: dict[str, Any] = {name: {} for name in PARTS}
    content |= {"epoch": 0, "global_step": step, "weights": torch.ones(5000)}
    AtomicCheckpointIO().save_checkpoint(content, path)
    return path


def test_the_newest_sound_one_is_chosen_by_its_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert newest_checkpoint(tmp_path) is None
    newest = write(tmp_path, "mine", 30)
    last = write(tmp_path, "last", 20)
    best = write(tmp_path, "best", 10)  # written last
    assert newest_checkpoint(tmp_path) == newest
    assert caplog.messages == [f"going on from {newest}, step 30"]
    caplog.clear()
    newest.write_bytes(newest.read_bytes().replace(b"\0\0\x80?", b"\0\0\0\0", 9))
    (tmp_path / "checkpoints" / "empty.ckpt").touch()
    stored = load_checkpoint(last)
    del stored["loops"]
    AtomicCheckpointIO().save_checkpoint(stored, last)
    assert newest_checkpoint(tmp_path) == best
    skipped, chosen = caplog.messages
    assert chosen == f"going on from {best}, step 10"
    for reason in (
        "mine.ckpt (the checksum of",
        "empty.ckpt (File is not",
        "last.ckpt (it lacks lo",
    ):
        assert reason in skipped
    best.write_bytes(b"")
    assert newest_checkpoint(tmp_path) is None


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp("newest")
    words = ("catalog.num_items=300", "schedule=constant", f"prepared_dir={folder}", *BRIEF)
    experiment = recsys_lab.configure(*words)
    return experiment, recsys_lab.prepare(experiment.source, experiment.split, folder)


@pytest.fixture(scope="module")
def spoilt(parts: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose last epoch was worse than the one before; killed before its test."""
    experiment, prepared = parts
    folder = tmp_path_factory.mktemp("spoilt") / "run"
    recsys_lab.fit(prepared, longer(experiment, 1), folder)
    harmful = recsys_lab.configure(
        "catalog.num_items=300", "optimizer.lr=30", *BRIEF, "schedule=constant"
    )
    recsys_lab.fit(prepared, longer(harmful, 2), folder, resume=folder)
    steps = {n: load_checkpoint(folder / "checkpoints" / f"{n}.ckpt")["epoch"] for n in NAMES}
    assert steps == {"best": 0, "last": 1}
    return folder


NAMES = ("best", "last")


def longer(experiment: recsys_lab.Experiment, epochs: int) -> recsys_lab.Experiment:
    def trainer(**objects: Any) -> Any:
        return experiment.trainer(**objects | {"max_epochs": epochs})

    return replace(experiment, trainer=trainer)


def files(folder: Path) -> set[str]:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith("events.")}


def test_a_run_killed_in_its_test_is_completed_in_a_new_folder(
    parts: tuple[Any, Any], spoilt: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Moved, too: the best checkpoint is the one beside the last."""
    caplog.set_level(logging.INFO)
    experiment, prepared = parts
    moved, new = tmp_path / "moved", tmp_path / "new"
    shutil.copytree(spoilt, moved)
    best = load_checkpoint(spoilt / "checkpoints" / "best.ckpt")["state_dict"]
    (spoilt / "checkpoints" / "best.ckpt").rename(spoilt / "checkpoints" / "hidden")
    try:
        last = moved / "checkpoints" / "last.ckpt"
        fitted = recsys_lab.fit(prepared, experiment, new, resume=last, with_changes=True)
        fitted.test()
    finally:
        (spoilt / "checkpoints" / "hidden").rename(spoilt / "checkpoints" / "best.ckpt")
    assert "nothing is left to train" in caplog.text
    for name, weights in fitted.task.state_dict().items():
        assert torch.equal(weights, best[name])
    assert fitted.best == pytest.approx(max(row["val/ndcg@10"] or 0 for row in fitted.curve))
    assert files(new) >= {
        "curve.csv",
        "figures/learning_curve.png",
        "figures/precision_recall_validation.png",
        "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
        "metrics.json",
        "embeddings/items.parquet",
    }
    assert (new / "curve.csv").read_text() == (spoilt / "curve.csv").read_text()


def test_a_lost_best_checkpoint_is_said(
    parts: tuple[Any, Any], spoilt: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    experiment, prepared = parts
    folder = tmp_path / "run"
    shutil.copytree(spoilt, folder)
    best, last = (folder / "checkpoints" / f"{name}.ckpt" for name in NAMES)
    best.write_bytes(b"broken")
    (spoilt / "checkpoints" / "best.ckpt").rename(spoilt / "checkpoints" / "hidden")
    try:
        fitted = recsys_lab.fit(prepared, experiment, folder, resume=folder, with_changes=True)
    finally:
        (spoilt / "checkpoints" / "hidden").rename(spoilt / "checkpoints" / "best.ckpt")
    assert "the best checkpoint of the resumed run (val/ndcg@10 0." in caplog.text
    assert fitted.best is None
    for name, weights in load_checkpoint(last)["state_dict"].items():
        assert torch.equal(fitted.task.state_dict()[name], weights)
    assert best.samefile(last)


def test_a_fit_needs_the_folder_for_itself(
    parts: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, prepared = parts
    monkeypatch.setattr(run_lock, "_lock", lambda descriptor: False)
    with pytest.raises(ValueError, match=r"another process \(.*\) works in"):
        recsys_lab.fit(prepared, experiment, tmp_path)


def test_a_folder_without_a_sound_checkpoint_is_named(
    parts: tuple[Any, Any], tmp_path: Path
) -> None:
    experiment, prepared = parts
    with pytest.raises(TrainingError, match=f"{tmp_path} holds no sound checkpoint"):
        recsys_lab.fit(prepared, experiment, tmp_path, resume=tmp_path)
