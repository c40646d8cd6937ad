"""Progress on a terminal and elsewhere."""

import io
import logging
import re
import sys
from types import SimpleNamespace

import pytest

from recsys_lab.run import progress as module
from recsys_lab.run.progress import Progress
from recsys_lab.run.progress_bar import TrainingBar
from tests.run_cases import train


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets, for lines and bar."""
    now = SimpleNamespace(seconds=0.0, compiled=0.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: now.seconds)
    monkeypatch.setattr(type(module.CLOCK), "seconds", property(lambda _: now.compiled))
    return now


def test_without_a_terminal_there_is_a_line_every_half_minute(clock, caplog, capsys):
    caplog.set_level(logging.INFO)
    progress = Progress("training", 100, done=20)
    for clock.seconds in range(0, 70, 10):
        progress.update(20 + int(clock.seconds) // 2, "epoch 1/2", loss="1.500")
    progress.close()
    assert [record.message for record in caplog.records] == [
        "epoch 1/2: 35 %, 02:10 left, loss=1.500",
        "epoch 1/2: 50 %, 01:40 left, loss=1.500",
    ]
    assert capsys.readouterr().err == ""


def test_the_time_left_leaves_compiling_out(clock):
    progress = Progress("testing", 10)
    clock.seconds, clock.compiled = 50.0, 40.0
    progress.update(5)
    assert progress.line() == "testing: 50 %, 00:10 left"
    assert Progress("training", None).line() == "training: 0 steps"


def test_nothing_is_shown_where_none_is_wished(clock, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    progress = Progress("testing", 10, is_shown=False)
    clock.seconds = 100.0
    progress.update(5)
    progress.close()
    assert (screen.getvalue(), caplog.records) == ("", [])


def shown(monkeypatch, quiet):
    """What a bar writes on a terminal that is closed after the last of three steps."""
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    monkeypatch.setattr(module, "_QUIET", quiet)
    progress = Progress("testing", 3)
    for _ in range(3):
        progress.advance(1)
        progress.name("testing: popularity")
        progress._bar.refresh()
    progress.close()
    return screen.getvalue()


def test_a_bar_names_its_work_and_leaves_nothing(monkeypatch):
    text = shown(monkeypatch, quiet=0.0)
    assert re.search(r"testing: popularity 100% \|[█#]+\| 00:00 < 00:00", text)
    assert text.endswith("\r")
    assert not text.split("\r")[-2].strip()  # it is wiped


@pytest.mark.parametrize(
    ("columns", "end"),
    [
        (60, ", val/ndcg@10=0.2055"),
        (80, ", val/ndcg@10=0.2055, loss=1.318"),
        (160, ", val/ndcg@10=0.2055, loss=1.318, items/s=522,101"),
    ],
)
def test_a_narrow_terminal_shows_whole_texts_and_a_bar(monkeypatch, columns, end):
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    monkeypatch.setattr(module, "_QUIET", 0.0)
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda _: (columns, 40))
    progress = Progress("training", 100)
    texts = {"val/ndcg@10": "0.2055", "loss": "1.318", "items/s": "522,101"}
    progress.update(31, "epoch 10/30", **texts)
    progress._bar.refresh()
    shown = screen.getvalue().split("\r")[-1]
    progress.close()
    assert re.fullmatch(r"epoch 10/30  31% \|[^|]{5,}\| 00:00 < 00:0\d" + re.escape(end), shown)


def test_training_has_one_bar_with_the_monitored_metric(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    monkeypatch.setattr(module, "_QUIET", 0.0)
    first = {"train/loss": 2.5, "train/items_per_second": 99.0, "val/mrr": None}
    curve = SimpleNamespace(
        rows=[first | {"val/mrr": 0.25}, first | {"train/loss": 1.5}], items_per_second=1234.0
    )
    bar = TrainingBar(curve, "val/mrr")
    trainer = SimpleNamespace(
        is_global_zero=True, should_stop=False, num_training_batches=2, global_step=0,
        max_epochs=2, current_epoch=0,
    )  # fmt: skip
    task = SimpleNamespace(plan=SimpleNamespace(steps=lambda batches: 2 * batches))
    bar.on_train_start(trainer, task)
    for trainer.global_step, trainer.current_epoch in ((1, 0), (2, 0), (3, 1), (4, 1)):
        bar.on_train_batch_end(trainer, task, None, None, 0)
        bar._progress._bar.refresh()
    bar.on_train_end(trainer, task)
    bar.on_fit_end(trainer, task)
    bar.teardown(trainer, task, "fit")
    text = screen.getvalue()
    assert "epoch 2/2  75% |" in text
    assert "val/mrr=0.2500, loss=1.500, items/s=1,234" in text
    assert "\n" not in text
    [line] = [record.message for record in caplog.records]
    assert line == "trained 4 steps: val/mrr=0.2500, loss=1.500, items/s=1,234"


def test_the_log_of_a_run_has_no_bar(tmp_path):
    words = ["trainer.enable_progress_bar=true", "trainer=smoke", "evaluation.replicates=0"]
    done = train(tmp_path / "a", *words, "catalog.num_items=300")
    assert done.returncode == 0, done.stderr
    assert "%" not in done.stderr
    assert "\r" not in done.stdout + done.stderr
    assert re.search(r"trained \d+ steps: val/ndcg@10=0\.\d{4}, loss=[\d.]+, items/s=", done.stdout)
