"""`callbacks=early_stopping`: when training ends, what is said, and going on."""

import logging
from pathlib import Path

import pytest

import recsys_lab
from recsys_lab.run.fitted import Fitted
from tests.run_cases import BRIEF

NEVER_BETTER = "callbacks.early_stopping.min_delta=1"  # than the first epoch
SMALL = (
    *BRIEF, "catalog.num_items=400", "trainer.max_epochs=9", "curve.max_pairs=100",
    "logger=null", "callbacks=early_stopping", "callbacks.early_stopping.patience=2",
)  # fmt: skip


def fitted(folder: Path, *words: str, resume: bool = False) -> Fitted:
    experiment = recsys_lab.configure(*SMALL, f"prepared_dir={folder.parent}/prepared", *words)
    prepared = recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)
    return recsys_lab.fit(prepared, experiment, folder, resume=folder if resume else None)


def epochs(run: Fitted) -> int:
    return len({row["epoch"] for row in run.curve})


def test_training_ends_and_goes_on_with_more_patience(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = fitted(tmp_path / "run", NEVER_BETTER)
    assert epochs(first) == 3  # the first is better than nothing
    values = [row["val/ndcg@10"] for row in first.curve if row.get("val/ndcg@10") is not None]
    assert first.best == pytest.approx(max(float(value) for value in values))
    ended = "early stopping (2 epochs without a better val/ndcg@10) ended training at step "
    [line] = [one for one in caplog.messages if one.startswith(ended)]
    step, rate = first.curve[-1]["step"], first.curve[-1]["train/lr"]
    assert f"step {step} of {3 * int(step or 0)}, with a learning rate of {rate:.3g}" in line

    caplog.clear()
    again = fitted(tmp_path / "run", NEVER_BETTER, resume=True)
    assert epochs(again) == 3
    assert any(one.startswith("nothing is left to train: early sto") for one in caplog.messages)

    more = fitted(tmp_path / "run", NEVER_BETTER, "callbacks.early_stopping.patience=4",
                  resume=True)  # fmt: skip
    assert epochs(more) == 5


def test_a_metric_that_improves_goes_on(tmp_path: Path) -> None:
    words = ("monitor=val/mrr", "callbacks.early_stopping.min_delta=0", "trainer.max_epochs=3")
    assert epochs(fitted(tmp_path / "run", *words, "callbacks.early_stopping.patience=3")) == 3
