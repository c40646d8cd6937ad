import csv
import json
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import recsys_lab
from recsys_lab.evaluation.chance import compare_with_chance
from recsys_lab.evaluation.content import ContentSimilarity
from recsys_lab.evaluation.protocol import judge
from recsys_lab.report.__main__ import main
from recsys_lab.report.summary import print_summary
from recsys_lab.run.checkpoints import load_checkpoint
from tests.forked import run_forked
from tests.run_cases import EVENT_PRESETS, PRESET_FILES, ROOT

ALL_PRESETS = [path.stem for path in PRESET_FILES]
HIDDEN = ("cold_start", "labels")  # presets that hide items
PRESETS = sorted(set(ALL_PRESETS) - set(EVENT_PRESETS))


def train(folder: Path, prepared: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(ROOT / "train.py"),
        *overrides,
        "trainer=smoke",
        "trainer.max_epochs=2",  # also where a preset wants more
        "catalog.num_items=500",
        "curve.ranking_queries=50",
        "num_threads=1",
        f"prepared_dir={prepared}",
        *([f"hydra.sweep.dir={folder}"] if "-m" in overrides else []),
        "hydra.callbacks.sweep_end.page=false",
    ]
    return run_forked(command, ROOT, timeout=300)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Path:
    """One multirun over every preset."""
    folder = tmp_path_factory.mktemp("sweep")
    done = train(folder, prepared, "-m", f"experiment=glob(*,exclude=[{','.join(EVENT_PRESETS)}])")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def runs(sweep: Path) -> dict[str, Path]:
    found = {}
    for folder in sweep.iterdir():
        if folder.is_dir():
            lines = (folder / ".hydra" / "overrides.yaml").read_text().splitlines()
            name = next(line.split("=")[1] for line in lines if "experiment=" in line)
            found[name] = folder
    return found


def test_every_preset_is_a_run_of_the_sweep(runs: dict[str, Path]) -> None:
    """One test, since the sweep takes long and would run in every process of the tests."""
    assert sorted(runs) == PRESETS
    assert len(PRESETS) >= 11
    for name in PRESETS:
        if name != "mixture":  # tests.run.test_mixture_run
            check_run(name, runs)


def check_run(name: str, runs: dict[str, Path]) -> None:
    ours, theirs = (
        json.loads((runs[key] / "metrics.json").read_text()) for key in (name, "skipgram")
    )
    if name not in HIDDEN:  # whose slices, and so whose intervals, are others
        more = {key for key in theirs if "item_vectors" in key}  # no other score of starspace
        assert set(ours) == set(theirs) - (more if name == "starspace" else set()), name
    assert (ours["hash/split"] == theirs["hash/split"]) == (name not in HIDDEN), name
    assert 0 < ours["test/auc/uniform/all"] < 1, name
    assert name != "cold_start" or ours["test/coverage/one_cold"] > 0.4  # ids alone score none
    with (runs[name] / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows if row["val/ndcg@10"]] == ["0", "1"]
    steps = [int(row["step"]) for row in rows]
    assert steps == sorted(steps)
    assert steps[-1] <= 8  # batches, whatever the number of optimisers
    assert (runs[name] / "checkpoints" / "last.ckpt").exists()


def event_log(path: Path) -> Path:
    """Sessions of hotels in four cities, most of which end in a click-out beside three others."""
    rng = np.random.default_rng(0)
    rows = []
    for session in range(120):
        city, time = int(rng.integers(4)), 1000 * session
        for step in range(int(rng.integers(2, 8))):
            hotel, shown = (10 * city + rng.integers(10, size=n) for n in (None, 3))
            rows.append((session, hotel, time + step, "interaction item image", city, ""))
        for hotel in 10 * city + rng.integers(10, size=2 * (session % 5 > 0)):
            cards = "|".join(map(str, {int(hotel), *shown.tolist()}))
            rows.append((session, hotel, time + 10, "clickout item", city, cards))
            time += 1
    names = ["session_id", "reference", "timestamp", "action_type", "city", "impressions"]
    frame = pl.DataFrame([(*row[:4], f"C{row[4]}", row[5]) for row in rows], names, orient="row")
    frame.with_columns(user_id=pl.col("session_id") // 2).write_parquet(path)
    return path


@pytest.mark.parametrize("name", EVENT_PRESETS)
def test_a_preset_of_events_gives_what_every_run_gives(name: str, tmp_path: Path) -> None:
    experiment = recsys_lab.configure(
        f"experiment={name}", f"catalog.path={event_log(tmp_path / 'log.parquet')}",
        f"prepared_dir={tmp_path}", "trainer=smoke", "curve.ranking_queries=50", "num_threads=1",
        "trainer.max_epochs=2",
    )  # fmt: skip
    prepared = recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)
    fitted = recsys_lab.fit(prepared, experiment, tmp_path / "run")
    metrics = fitted.measure()
    fitted.save(metrics)
    print_summary(metrics)
    for key in ("test/ndcg@10/all", "baseline/ease/ndcg@10/all"):
        assert 0 <= metrics[key] <= 1, key
    if name == "airbnb":
        for scorer in ("test", "baseline/item_knn", "baseline/popularity"):
            assert 1 <= metrics[f"{scorer}/click_rank/all"] <= 4
        assert metrics["interval/test/click_rank/all/low"] <= metrics["test/click_rank/all"]
        assert (tmp_path / "run" / "figures" / "click_ranks.png").exists()


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_a_preset_is_a_short_claim(name: str) -> None:
    lines = (ROOT / "conf" / "experiment" / f"{name}.yaml").read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert len(lines) <= 16
    assert any(f"experiment={name}" in line for line in lines[:6])


@pytest.mark.soak
def test_the_grid_of_the_article_runs(tmp_path: Path, prepared: Path) -> None:
    done = train(
        tmp_path, prepared, "-m", "model=mf,mf_bias,skipgram", "data=pairs,sequences", "seed=0,1"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(list(tmp_path.glob("*/metrics.json"))) == 12


def test_a_failing_job_is_reported_and_the_others_stand(tmp_path: Path, prepared: Path) -> None:
    """And a job of the sweep gives what it gives alone, after whatever jobs."""
    done = train(
        tmp_path / "sweep", prepared, "-m", "split.val_fraction=0.1,1e-9,0.2", "model=mf_bias"
    )
    assert done.returncode != 0
    assert "the val part of the split is empty" in done.stdout + done.stderr
    found = {path.parent.name.split("_")[0] for path in tmp_path.glob("sweep/*/metrics.json")}
    assert found == {"0", "2"}
    comparison = tmp_path / "comparison"
    assert main([str(tmp_path / "sweep"), "--out", str(comparison)]) == 0
    page = (comparison / "comparison.md").read_text()
    assert "failed: the val part of the split is empty" in page

    alone = tmp_path / "alone"
    done = train(
        tmp_path, prepared, "split.val_fraction=0.2", "model=mf_bias", f"hydra.run.dir={alone}"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (last,) = tmp_path.glob("sweep/2_*")
    ours, theirs = (json.loads((folder / "metrics.json").read_text()) for folder in (alone, last))
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        if not name.startswith("fit/"):
            assert value == theirs[name], name
    weights = [load_checkpoint(f / "checkpoints" / "last.ckpt") for f in (alone, last)]
    for name, tensor in weights[0]["state_dict"].items():
        assert torch.equal(tensor, weights[1]["state_dict"][name])


def test_two_optimisers_count_one_step_for_each_batch(tmp_path: Path, prepared: Path) -> None:
    done = train(
        tmp_path, prepared, "-m", "seed=0", "model=mf_bias", "data=pairs", "optimizer=sparse_adam",
        "data.batch_size=256", "curve.every_n_batches=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    with next(tmp_path.glob("*/curve.csv")).open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(1, 9))


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("optimizer._target_=torch.optim.Adam", "cannot update sparse tables"),
        ("+optimizer.weight_decay=0.1", "optimizer.weight_decay does not go with sparse tables"),
    ],
)
def test_an_impossible_optimiser_is_refused(
    tmp_path: Path, prepared: Path, override: str, complaint: str
) -> None:
    done = train(tmp_path, prepared, "-m", "seed=0", "optimizer=sgd", override)
    assert done.returncode != 0
    assert complaint in done.stdout + done.stderr


def no_better_than(folder: Path, *words: str) -> str | None:
    """The verdict of a test on the validation pairs; the final test leaves out its intervals."""
    experiment = recsys_lab.configure(
        *words, "trainer.enable_progress_bar=false", "evaluation.replicates=0", "num_threads=1"
    )
    prepared = recsys_lab.prepare(experiment.source, experiment.split, folder / "prepared")
    fitted = recsys_lab.fit(prepared, experiment, folder / "run")
    pairs = fitted.data.evaluation_pairs("val")
    return compare_with_chance(fitted.scorer, pairs, 1e8, seed=0)["no_better_than"]


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
@pytest.mark.parametrize(
    ("model", "rate", "verdict"),
    [
        ("gensim_word2vec", 1e3, "chance"),  # it diverges, and its losses are finite
        ("mf_pairs", 1e-9, "chance"),
        ("skipgram", 1e-9, "popularity"),  # which is part of its score
    ],
)
def test_a_model_that_learnt_nothing_is_known(
    tmp_path: Path, model: str, rate: float, verdict: str
) -> None:
    words = (f"experiment={model}", f"optimizer.lr={rate}", "catalog.num_items=600")
    small = ("trainer.max_epochs=3", "model.embedding_dim=16")
    assert no_better_than(tmp_path, *words, *small) == verdict


@pytest.mark.soak
@pytest.mark.parametrize("catalog", ["synthetic", "digital_music"])
def test_no_preset_is_taken_for_chance(
    tmp_path: Path, catalog: str, request: pytest.FixtureRequest
) -> None:
    where: tuple[str, ...] = ()
    if catalog == "digital_music":
        folder = request.getfixturevalue("data_folder") / "amazon_digital_music"
        path = folder / "meta_Digital_Music.first7419.json.gz"
        where = ("catalog=amazon", f"catalog.path={path}", "catalog.outside_items=drop")
    for name in PRESETS:
        assert no_better_than(tmp_path, f"experiment={name}", *where) is None, name


@pytest.mark.soak
def test_pairs_with_a_cold_end_rank_above_their_content(tmp_path: Path, data_folder: Path) -> None:
    """By a fifth on validation pairs, and not for one of the two directions at the other's cost."""
    path = data_folder / "amazon_digital_music" / "meta_Digital_Music.first7419.json.gz"
    experiment = recsys_lab.configure(
        "experiment=cold_start", "catalog=amazon", f"catalog.path={path}", "num_threads=1",
        "catalog.outside_items=drop", "trainer.enable_progress_bar=false",
    )  # fmt: skip
    prepared = recsys_lab.prepare(experiment.source, experiment.split, tmp_path / "prepared")
    fitted = recsys_lab.fit(prepared, experiment, tmp_path / "run")
    pairs = fitted.data.evaluation_pairs("val")
    content = ContentSimilarity(fitted.data.for_baselines().labels)
    model, other = (judge(scorer, pairs) for scorer in (fitted.scorer, content))
    for metric in ("auc/uniform", "auc/degree_matched", "hr@10", "ndcg@10"):
        least = 1.0 if metric.startswith("auc") else 1.2
        key = f"{metric}/one_cold"
        assert model.metrics()[key] > least * other.metrics()[key], key
    for from_cold in (True, False):
        rates = []
        for ranking in (model.ranking, other.ranking):
            one = pairs.seen[ranking.query] != pairs.seen[ranking.target]
            chosen = one & (pairs.seen[ranking.query] != from_cold)
            rates.append((ranking.rank[chosen] <= 10).mean())
        assert rates[0] > rates[1]
