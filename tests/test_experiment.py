"""The whole job, by the command that a user types."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recsys_lab.checkpoints import load_checkpoint

ROOT = Path(__file__).parent.parent
SMALL = [
    "catalog.num_items=600",
    "model.embedding_dim=16",
    "trainer.max_epochs=3",
    "trainer.enable_progress_bar=false",
    "data.walks_per_batch=120",
    "curve.every_n_batches=10",
    "curve.max_pairs=200",
    "num_threads=1",
]
# Figures that depend on the clock and the machine, not on the computation.
MEASURED = ("fit/", "versions/", "git_commit")


def command(*overrides: str) -> list[str]:
    small = SMALL[1:] if "catalog=amazon" in overrides else SMALL
    return [sys.executable, str(ROOT / "train.py"), *small, *overrides]


def train(folder: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess:
    where = [f"hydra.run.dir={folder}", f"prepared_dir={folder.parent / 'prepared'}"]
    return subprocess.run(
        command(*where, *overrides),
        capture_output=True,
        text=True,
        env=os.environ | environment,
        cwd=folder.parent,
        timeout=300,
    )


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def results(folder: Path) -> dict:
    return {k: v for k, v in metrics(folder).items() if not k.startswith(MEASURED)}


def rows(folder: Path) -> list[dict]:
    with (folder / "curve.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    done = train(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_run_folder_is_complete(finished: Path) -> None:
    for name in (
        ".hydra/config.yaml",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "curve.csv",
        "figures/learning_curve.png",
        "figures/precision_recall.png",
        "train.log",
        "metrics.json",
    ):
        assert (finished / name).stat().st_size > 0, name
    assert not list(finished.rglob("*.part"))


def test_the_last_checkpoint_is_another_name_of_the_best_where_they_are_equal(
    finished: Path,
) -> None:
    best, last = (finished / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    peak = max(rows(finished), key=lambda row: float(row["val/ndcg@10"] or -1))
    assert best.samefile(last) == (peak["step"] == rows(finished)[-1]["step"])
    assert load_checkpoint(last)["global_step"] == int(rows(finished)[-1]["step"])
    assert load_checkpoint(best)["global_step"] == int(peak["step"])


def test_metrics_are_flat_and_named_as_promised(finished: Path) -> None:
    found = metrics(finished)
    assert all(v is None or isinstance(v, int | float | str) for v in found.values())
    names = [
        f"auc/{p}/{s}"
        for p in ("uniform", "degree_matched")
        for s in ("all", "seen", "one_cold", "both_cold")
    ]
    names += [f"{m}/{s}" for m in ("hr@10", "hr@50", "ndcg@10", "mrr") for s in ("all", "seen")]
    baselines = (
        "popularity", "common_neighbours", "adamic_adar", "walk_proximity", "content"
    )  # fmt: skip
    for prefix in ("test", *(f"baseline/{name}" for name in baselines)):
        assert {f"{prefix}/{name}" for name in names} <= set(found)
    for key in (
        "count/test/all",
        "count/test/seen",
        "fit/seconds",
        "fit/items_per_second",
        "fit/peak_rss_mb",
        "data/num_items",
        "data/num_pairs",
        "seed",
        "hash/split",
        "hash/vocabulary",
        "git_commit",
        "versions/torch",
    ):
        assert key in found
    assert found["count/test/all"] == round(0.1 * found["data/num_pairs"])
    assert found["test/auc/uniform/seen"] > 0.75
    assert found["test/auc/uniform/seen"] > found["baseline/popularity/auc/uniform/seen"]


def test_the_curve_is_the_same_in_the_file_and_on_the_dashboard(finished: Path) -> None:
    curve = rows(finished)
    steps = [int(row["step"]) for row in curve]
    assert steps == sorted(set(steps))
    assert {int(row["epoch"]) for row in curve} == {0, 1, 2}
    board = EventAccumulator(str(finished))
    board.Reload()
    for tag in (
        "train/loss",
        "train/lr",
        "train/items_per_second",
        "val/auc/uniform/all",
        "val/auc/uniform/seen",
        "val/auc/degree_matched/all",
        "val/auc/degree_matched/seen",
    ):
        events = board.Scalars(tag)
        assert [event.step for event in events] == steps
        for event, row in zip(events, curve, strict=True):
            assert event.value == pytest.approx(float(row[tag]), rel=1e-5)
    assert {"figures/learning_curve", "figures/precision_recall"} <= set(board.Tags()["images"])
    assert any("precision_recall" in tag for tag in board.Tags()["tensors"])


def test_the_learning_rate_follows_its_formula(finished: Path) -> None:
    curve = rows(finished)
    last = int(curve[-1]["step"])
    for row in curve:
        expected = 0.1 * (1 - (int(row["step"]) - 1) / last)  # the rate of the step just taken
        assert float(row["train/lr"]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("overrides", "environment"),
    [(["data.num_workers=0"], {}), (["data.num_workers=3"], {"PYTHONHASHSEED": "7"})],
)
def test_the_same_seed_gives_the_same_figures(
    finished: Path, overrides: list, environment: dict
) -> None:
    folder = finished.parent / "-".join(["again", *environment])
    done = train(folder, *overrides, **environment)
    assert done.returncode == 0, done.stderr
    assert "re-used" in done.stdout
    assert results(folder) == results(finished)


def test_another_seed_gives_others_on_the_same_split(finished: Path) -> None:
    folder = finished.parent / "other"
    assert train(folder, "seed=1").returncode == 0
    assert metrics(folder)["hash/split"] == metrics(finished)["hash/split"]
    assert metrics(folder)["test/ndcg@10/all"] != metrics(finished)["test/ndcg@10/all"]


def test_a_checkpoint_is_evaluated_alone(finished: Path) -> None:
    folder = finished.parent / "evaluated"
    best = finished / "checkpoints" / "best.ckpt"
    done = train(folder, "train=false", f"ckpt_path={best}")
    assert done.returncode == 0, done.stderr
    ours, theirs = results(folder), results(finished)
    assert ours == {k: v for k, v in theirs.items() if k in ours}
    assert not (folder / "curve.csv").exists()


def test_the_best_checkpoint_is_tested_even_if_a_later_folder_saw_only_worse(
    finished: Path,
) -> None:
    first, second = (finished.parent / name for name in ("short", "spoilt"))
    rising = ["schedule=constant", "trainer.max_epochs=2"]
    assert train(first, *rising).returncode == 0
    spoil = ["schedule=constant", "trainer.max_epochs=4", "optimizer.lr=20"]
    done = train(second, *spoil, f"ckpt_path={first / 'checkpoints' / 'last.ckpt'}")
    assert done.returncode == 0, done.stdout + done.stderr
    measured = [float(row["val/ndcg@10"]) for row in rows(second) if row["val/ndcg@10"]]
    assert measured[1] > max(measured[2:])  # the new rate did its harm, so it was not ignored
    ours = {name: value for name, value in results(second).items() if name.startswith("test/")}
    assert ours == {n: v for n, v in results(first).items() if n.startswith("test/")}


def test_a_checkpoint_of_another_model_is_refused(finished: Path) -> None:
    best = finished / "checkpoints" / "best.ckpt"
    for changed in ("model.embedding_dim=8", "model=mf"):
        done = train(finished.parent / "model", "train=false", f"ckpt_path={best}", changed)
        assert done.returncode == 1
        assert "belongs to another model" in done.stdout
        assert "Traceback" not in done.stdout + done.stderr


def test_a_checkpoint_of_another_split_is_refused(finished: Path) -> None:
    best = finished / "checkpoints" / "best.ckpt"
    done = train(finished.parent / "refused", "train=false", f"ckpt_path={best}", "split.seed=5")
    assert done.returncode == 1
    assert "belongs to other data" in done.stdout


LONGER = ["trainer.max_epochs=8", "catalog.num_items=900"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume") / "whole"
    assert train(folder, *LONGER).returncode == 0
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_goes_on_as_if_nothing_had_been(whole: Path, number: int) -> None:
    stopped = whole.parent / f"stopped_{number}"
    arguments = [f"hydra.run.dir={stopped}", f"prepared_dir={whole.parent / 'prepared'}", *LONGER]
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=whole.parent
    )
    last = stopped / "checkpoints" / "last.ckpt"
    while not last.exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.1)
    process.send_signal(number)
    assert process.wait(60) == (-number if number == signal.SIGKILL else 128 + number)
    assert 0 < load_checkpoint(last)["global_step"] < int(rows(whole)[-1]["step"])
    if number == signal.SIGTERM:  # go on in another folder
        stopped = whole.parent / "elsewhere"
    done = train(stopped, *LONGER, f"ckpt_path={last}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert results(stopped) == results(whole)
    clocked = ("seconds", "train/items_per_second")
    unclocked = [name for name in rows(whole)[0] if name not in clocked]
    for ours, theirs in zip(rows(stopped), rows(whole), strict=True):
        assert [ours[name] for name in unclocked] == [theirs[name] for name in unclocked]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["catalog=amazon", "catalog.path=nowhere.json.gz"], "cannot read nowhere.json.gz"),
        (["data.window=0"], "window must be >= 1, got 0"),
        (["trainer.accelerator=tpu"], "trainer.accelerator=tpu"),
        (["monitor=val/foo"], "monitor must be one of val/auc/uniform/all"),
        (["train=false"], "name it with ckpt_path="),
        (["ckpt_path=nowhere.ckpt"], "there is no file nowhere.ckpt"),
    ],
)
def test_mistakes_get_one_sentence(tmp_path: Path, overrides: list, message: str) -> None:
    done = train(tmp_path / "run", *overrides)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_catalogue_without_side_information_has_no_content_baseline(tmp_path: Path) -> None:
    pairs = [f"i{k}\ti{(k + step) % 300}\n" for k in range(300) for step in (1, 2, 3, 7)]
    (tmp_path / "pairs.tsv").write_text("".join(pairs))
    folder = tmp_path / "run"
    where = [
        "hydra.run.dir=run",
        "prepared_dir=prepared",
        "catalog=edges",
        "catalog.path=pairs.tsv",
    ]
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *SMALL[1:], *where],
        capture_output=True, text=True, cwd=tmp_path, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    names = {key.split("/")[1] for key in metrics(folder) if key.startswith("baseline/")}
    assert names == {"popularity", "common_neighbours", "adamic_adar", "walk_proximity"}


def test_an_empty_catalogue_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("")
    done = train(tmp_path / "run", "catalog=amazon", "catalog.path=empty.json")
    assert done.returncode == 1
    assert "empty.json" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
