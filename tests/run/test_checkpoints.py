import os
import pickle
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

import recsys_lab
from recsys_lab.models.task import TrainingError
from recsys_lab.results.write_errors import WriteError
from recsys_lab.run.best_checkpoint import BestCheckpoint
from recsys_lab.run.checkpoints import (
    AtomicCheckpointIO,
    check_batches,
    check_resumable,
    load_checkpoint,
)
from recsys_lab.run.learning_curve import LearningCurve


class Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.ckpt"
    AtomicCheckpointIO().save_checkpoint({"weights": torch.arange(3.0), "step": 4}, path)
    loaded = load_checkpoint(path)
    assert loaded["step"] == 4
    assert torch.equal(loaded["weights"], torch.arange(3.0))
    assert [p.name for p in path.parent.iterdir()] == ["a.ckpt"]


def test_large_tensors_are_written_whole(tmp_path: Path) -> None:
    """Several pieces of one tensor, and pieces of several tensors."""
    path, table = tmp_path / "a.ckpt", torch.arange(10_000_000.0)  # 40 MB
    AtomicCheckpointIO().save_checkpoint({"table": table, "sums": [table[:9], table + 1]}, path)
    loaded = load_checkpoint(path)
    assert torch.equal(loaded["table"], table)
    assert torch.equal(loaded["sums"][0], table[:9])
    assert torch.equal(loaded["sums"][1], table + 1)


def test_a_payload_is_refused_and_does_not_run(tmp_path: Path) -> None:
    path, harm = tmp_path / "bad.ckpt", tmp_path / "harm"
    torch.save({"state_dict": Payload(harm)}, path)
    torch.save({"callbacks": {"deep": [Payload(harm)]}}, tmp_path / "other.ckpt")
    with pytest.raises(TrainingError, match="not a whole and safe checkpoint") as caught:
        load_checkpoint(path)
    assert str(caught.value).endswith("(it holds more than tensors and plain values): train again")
    path.write_bytes(pickle.dumps(Payload(harm)))
    with pytest.raises(TrainingError, match="is damaged"):
        AtomicCheckpointIO().load_checkpoint(path, weights_only=False)
    assert not harm.exists()


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_a_broken_file_is_named(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "cut.ckpt"
    torch.save({"weights": torch.zeros(1000)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else int(keep)])
    with pytest.raises(TrainingError, match=r"cut\.ckpt"):
        load_checkpoint(path)
    with pytest.raises(TrainingError, match="there is no file"):
        load_checkpoint(tmp_path / "none.ckpt")


def test_no_flipped_bit_and_no_zeroed_page_is_loaded(tmp_path: Path) -> None:
    path, weights = tmp_path / "a.ckpt", torch.arange(5000.0)
    AtomicCheckpointIO().save_checkpoint({"weights": weights}, path)
    content, rng = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(200):
        place, damaged = rng.randrange(len(content)), bytearray(content)
        if rng.random() < 0.5:
            damaged[place] ^= 1 << rng.randrange(8)
        else:
            damaged[place : place + 4096] = bytes(len(damaged[place : place + 4096]))
        path.write_bytes(damaged)
        try:
            assert torch.equal(load_checkpoint(path)["weights"], weights)  # padding was hit
        except TrainingError:
            refused += 1
    assert refused > 150


def test_a_damaged_checkpoint_names_a_sound_one(tmp_path: Path) -> None:
    for name in ("best", "last"):
        AtomicCheckpointIO().save_checkpoint(
            {"weights": torch.ones(999)}, tmp_path / f"{name}.ckpt"
        )
    last = tmp_path / "last.ckpt"
    last.write_bytes(last.read_bytes().replace(b"\0\0\x80?", b"\0\0\0\0", 9))
    with pytest.raises(TrainingError, match=r"last\.ckpt is damaged .*: take .*best\.ckpt"):
        load_checkpoint(last)
    (tmp_path / "best.ckpt").unlink()
    with pytest.raises(TrainingError, match=r"last\.ckpt is damaged .*: train again"):
        load_checkpoint(last)


def test_what_a_run_goes_on_from_is_whole_and_of_the_same_experiment() -> None:
    config = {"seed": 0, "data": {"window": 1, "num_workers": 1}, "optimizer": {"lr": 0.1}}
    whole = {name: {} for name in ("state_dict", "optimizer_states", "loops", "callbacks", "epoch")}
    whole |= {"global_step": 1, "recsys_lab": {"config": config}}
    check_resumable(whole, "a.ckpt", config)
    check_resumable(whole, "a.ckpt", {})  # parts by hand have no configuration
    free = {"seed": 0, "data": {"window": 1, "num_workers": 2}, "optimizer": {"lr": 0.2}}
    check_resumable(whole, "a.ckpt", free | {"curve": {"max_pairs": 1}})
    for name in whole:
        partial = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(TrainingError, match=rf"a\.ckpt lacks {name}, so training cannot go on"):
            check_resumable(partial, "a.ckpt", config)
    for changed, key in (
        (config | {"monitor": "val/mrr"}, "monitor=None, this run has monitor=val/mrr"),
        (config | {"seed": 1}, "seed=0, this run has seed=1"),
        (config | {"data": {"window": 2}}, "data.window=1, this run has data.window=2"),
        (config | {"optimizer": {"lr": 0.1, "eps": 1}}, "optimizer.eps=None"),
    ):
        with pytest.raises(TrainingError, match=f"{key}.*resume_with_changes=true"):
            check_resumable(whole, "a.ckpt", changed)


def test_batches_of_another_size_are_refused() -> None:
    stored = {"recsys_lab": {"num_batches": 256}}
    check_batches(stored, 256)
    check_batches({"recsys_lab": {}}, 128)  # of an earlier version
    with pytest.raises(TrainingError, match=r"has 256 batches, one of this run 128, .*=true$"):
        check_batches(stored, 128)


def test_a_failed_write_leaves_what_stood_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(WriteError, match=r"cannot write .*a\.ckpt: its disk is full; free"):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    assert load_checkpoint(path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]


class Measured(LightningModule):
    """Trains nothing, and logs the next of some values at the end of each epoch."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.values = values

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        return (self.weight * batch).sum()

    def on_train_epoch_end(self) -> None:
        self.log("val/x", self.values[self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder: Path, values: list[float], epochs: int) -> None:
    """Train to so many epochs, going on from the last checkpoint if there is one."""
    resumed = last if (last := folder / "last.ckpt").exists() else None
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[BestCheckpoint(folder, "val/x", resumed=resumed)],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data = DataLoader(torch.ones(4), batch_size=2)
    trainer.fit(Measured(values), data, ckpt_path=resumed)


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*", "ignore:Checkpoint directory.*")
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("values", [[1, 2, 3], [1, 3, 2], [3, 2, 1], [1, 3, 2, 2.5, 4, 0]])
def test_the_last_checkpoint_is_that_of_every_epoch(
    tmp_path: Path, values: list, at_once: bool
) -> None:
    """Also of an epoch that is no better than those before; the best one stays beside it."""
    for epochs in [len(values)] if at_once else range(1, len(values) + 1):
        fit(tmp_path, values, epochs)
        best = values.index(max(values[:epochs])) + 1
        steps = [load_checkpoint(tmp_path / f"{n}.ckpt")["global_step"] for n in ("best", "last")]
        assert steps == [2 * best, 2 * epochs]
        assert (tmp_path / "best.ckpt").samefile(tmp_path / "last.ckpt") == (best == epochs)


class Halving(Callback):
    """Changes the weights when the last checkpoint is written, as averages of weights do."""

    @torch.no_grad()
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for parameter in pl_module.parameters():
            parameter /= 2


@pytest.mark.parametrize(
    ("values", "callbacks"), [([0.1, 0.2], []), ([0.2, 0.1], []), ([0.1, 0.2], [Halving])]
)
def test_a_fit_ends_with_the_weights_of_its_best_checkpoint(
    tmp_path: Path, values: list, callbacks: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether these are those of the last step, which are not read again, or earlier ones."""
    at_end = iter(values)
    monkeypatch.setattr(LearningCurve, "_rank", lambda *_: {"val/ndcg@10": next(at_end)})
    words = "model.embedding_dim=8", "trainer.max_epochs=2", "trainer.enable_progress_bar=false"
    experiment = recsys_lab.configure("catalog.num_items=300", f"prepared_dir={tmp_path}", *words)
    experiment = replace(experiment, callbacks=[lambda monitor, k=k: k() for k in callbacks])
    fitted = recsys_lab.fit(experiment.prepare(), experiment, tmp_path / "run")
    stored = load_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert fitted.measured["best/epoch"] == 1 + values.index(max(values))
    own = fitted.task.state_dict()
    assert own.keys() == stored["state_dict"].keys()
    assert all(torch.equal(own[name], stored["state_dict"][name]) for name in own)
