"""What ended a training, and which checkpoint is tested."""

from types import SimpleNamespace
from typing import Any

import pytest

from recsys_lab.report.summary import summary_text
from recsys_lab.results.best_metrics import best_metrics, describe_best
from recsys_lab.run.step_limit import StepLimit
from recsys_lab.run.trial import Trial
from tests.run_folder_cases import metrics


class Study:
    """A trial of a study that stops at once."""

    def report(self, value: float, epoch: int) -> None:
        self.reported = value, epoch

    def should_prune(self) -> bool:
        return True

    def set_user_attr(self, name: str, value: int) -> None:
        self.attribute = name, value


def test_a_pruned_trial_is_said_to_be_pruned(caplog: pytest.LogCaptureFixture) -> None:
    """And what a callback without a reason ends is not said to be ended by max_time."""
    trial = Trial(Study(), "val/mrr")  # type: ignore[arg-type]
    trainer: Any = SimpleNamespace(
        callbacks=[trial], should_stop=False, global_step=3, num_training_batches=3,
        current_epoch=0, max_epochs=2, callback_metrics={"val/mrr": 0.5},
    )  # fmt: skip
    task: Any = SimpleNamespace(plan=SimpleNamespace(steps=lambda batches: 6), rate=0.1)
    trial.on_train_epoch_end(trainer, task)
    with caplog.at_level("INFO"):
        StepLimit().on_train_end(trainer, task)
        trial.reason = ""
        StepLimit().on_train_end(trainer, task)
    pruned, other = (record.message for record in caplog.records)
    assert pruned.startswith("pruning (val/mrr below the median of the trials before) ended")
    assert other.startswith("a callback ended training at step 3 of 6")


def test_the_tested_checkpoint_is_named() -> None:
    state = {"monitor": "val/mrr", "best_model_score": 0.25}
    stored = {"global_step": 1500, "epoch": 1, "callbacks": {"x": state, "y": {"rows": []}}}
    found = best_metrics(stored)
    assert found == {"best/step": 1500, "best/epoch": 2, "best/val/mrr": 0.25}
    assert describe_best(found) == "step 1,500, epoch 2, val/mrr 0.2500"
    assert "tested checkpoint: step 1,500, epoch 2" in summary_text(metrics() | found)
    assert "tested checkpoint" not in summary_text(metrics())
