"""The whole job, by the command that a user types."""

import shutil
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recsys_lab.results.run_folder import read_run
from recsys_lab.results.run_lock import alone_in
from recsys_lab.run.checkpoints import load_checkpoint
from tests.run_cases import SMALL, bare, metrics, results, rows, train


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
    assert found["chance/hr@10/all"] == pytest.approx(10 / found["data/num_items"], rel=0.2)
    assert found["validation/no_better_than"] is None
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
    assert {"val_figures/1_learning_curve", "val_figures/3_precision_recall"} <= set(
        board.Tags()["images"]
    )
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
    done = bare(tmp_path, *SMALL[1:], *where)
    assert done.returncode == 0, done.stdout + done.stderr
    names = {key.split("/")[1] for key in metrics(folder) if key.startswith("baseline/")}
    assert {"popularity", "adamic_adar", "walk_proximity", "rp3_beta", "ease"} <= names
    assert "content" not in names


def test_an_empty_catalogue_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("")
    done = train(tmp_path / "run", "catalog=amazon", "catalog.path=empty.json")
    assert done.returncode == 1
    assert "empty.json" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_failed_run_leaves_the_one_that_was_in_its_folder_as_it_was(
    finished: Path, tmp_path: Path
) -> None:
    """Other options beside its metrics would be a wrong number in every comparison."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    del before[folder / "train.log"]
    done = train(folder, "seed=7", "split.val_fraction=1e-9")
    assert done.returncode == 1
    assert "the val part of the split is empty" in done.stdout
    assert all(path.read_bytes() == content for path, content in before.items())
    with alone_in(folder):
        done = train(folder, "seed=7")
    assert done.returncode == 1
    assert "another process" in done.stderr
    del before[folder / ".lock"]
    assert all(path.read_bytes() == content for path, content in before.items())
    done = train(folder, "seed=7", "embeddings=false", "evaluation.replicates=0")
    assert done.returncode == 0, done.stderr
    assert f"the results of the run that was in {folder} are replaced" in done.stdout
    assert read_run(folder).config["seed"] == 7
    assert not (folder / "embeddings").exists()
    assert not [path for path in before if "tfevents" in path.name and path.exists()]
