"""Runs of the model of histories: from a log to metrics, a checkpoint gone on from, its vectors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import recsys_lab
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.run.checkpoints import load_checkpoint
from recsys_lab.run.event_run_data import run_data
from recsys_lab.run.final_test import FinalTest
from recsys_lab.run.parts import Experiment
from recsys_lab.vectors.adding import add_items
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError

NUM_ITEMS, NUM_USERS = 30, 120
OPTIONS = (
    "experiment=events_best", "model.embedding_dim=16", "data.batch_size=64", "optimizer.lr=0.02",
    "data.num_negatives=20", "trainer.max_epochs=4", "trainer.enable_progress_bar=false",
    "curve.every_n_batches=100", "evaluation.replicates=0", "logger=csv", "num_threads=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users who go round a ring in steps of one or two."""
    rng = np.random.default_rng(0)
    lines = []
    for user in range(NUM_USERS):
        places = rng.integers(NUM_ITEMS) + np.cumsum(rng.integers(1, 3, 9))
        lines.append(f"{user} {' '.join(map(str, 1 + places % NUM_ITEMS))}")
    found = tmp_path_factory.mktemp("log") / "ring.txt"
    found.write_text("\n".join(lines) + "\n")
    return found


@pytest.fixture(scope="module")
def experiment(path: Path) -> Experiment:
    words = (*OPTIONS, f"catalog.path={path}", f"prepared_dir={path.parent / 'prepared'}")
    return recsys_lab.configure(*words, "catalog.layout=sequences")


@pytest.fixture(scope="module")
def prepared(experiment: Experiment) -> PreparedData:
    return recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)


@pytest.fixture(scope="module")
def run(prepared: PreparedData, experiment: Experiment, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("run")
    fitted = recsys_lab.fit(prepared, experiment, folder)
    return fitted, fitted.test()


def test_it_learns_and_is_mixed_with_a_baseline(run) -> None:
    fitted, metrics = run
    losses = [row["train/loss"] for row in fitted.curve if row["train/loss"]]
    assert losses[-1] < 0.9 * losses[0]
    assert metrics["test/hr@10/all"] > 0.8 > metrics["chance/hr@10/all"] + 0.2
    assert metrics["test/auc/uniform/all"] > 0.8
    assert metrics["mixture/with"] == "slist"
    assert metrics["label/mixture"] == "model + SLIST"
    best = max(metrics["test/ndcg@10/all"], metrics["baseline/slist/ndcg@10/all"])
    assert metrics["baseline/mixture/ndcg@10/all"] > best - 0.1


def test_a_run_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(
    prepared: PreparedData, path: Path, tmp_path: Path
) -> None:
    def trained(folder: str, epochs: int, resume: Path | None = None) -> dict[str, torch.Tensor]:
        words = (f"catalog.path={path}", "schedule=constant", f"trainer.max_epochs={epochs}")
        parts = recsys_lab.configure(*OPTIONS, *words)
        found = recsys_lab.fit(prepared, parts, tmp_path / folder, resume=resume, with_changes=True)
        return load_checkpoint(found.folder / "checkpoints" / "last.ckpt")["state_dict"]

    trained("one", 1)
    resumed, at_once = trained("one", 2, tmp_path / "one"), trained("two", 2)
    for name, weights in at_once.items():
        assert torch.equal(weights, resumed[name]), name


def test_stored_vectors_give_the_directed_scores(run) -> None:
    fitted, _ = run
    stored = Embeddings.load(fitted.folder)
    assert stored.info["directed"]
    one, other = stored.ids[3], stored.ids[7]
    expected = fitted.score([one], [other])[0]
    assert stored.score(one, other) == pytest.approx(expected, rel=1e-4)
    assert stored.score(other, one) != pytest.approx(expected, rel=1e-4)
    tables = stored.score_tables
    np.testing.assert_array_equal(tables.queries, fitted.vectors())
    found = {row["item"] for row in stored.similar("5", k=4).iter_rows(named=True)}
    assert found & {"6", "7", "8", "9"}  # what comes next on the ring
    with pytest.raises(VectorsError, match="whose scores have a direction"):
        add_items(stored, None)  # type: ignore[arg-type]


def test_the_order_of_sets_says_nothing(path: Path, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO")
    words = [
        *OPTIONS, f"catalog.path={path}", f"catalog.test_path={path}", "split=given",
        f"prepared_dir={tmp_path}", "split.filter_history=false", "catalog.layout=baskets",
    ]  # fmt: skip
    sets = recsys_lab.configure(*words)
    prepared = recsys_lab.prepare(sets.source, sets.split, sets.prepared_dir)
    data = run_data(prepared.split, prepared.catalog, sets.history)
    assert "have no order" in caplog.text
    assert set(data.history_weights("val").data) == {1.0}
    assert not data.for_baselines().ordered


def test_a_refit_baseline_is_mixed_by_a_weight_of_training_alone(run, prepared) -> None:
    """The weight is that of the run without it, whose scorer of validation is the same."""
    fitted, metrics = run
    options = replace(fitted.experiment.baselines, refit=True)
    data = run_data(prepared.split, prepared.catalog, fitted.experiment.history, options)
    test = FinalTest((10,), 1e9, 0, ("slist",))
    found = test(fitted.node_scorer, data, fitted.folder, fitted.experiment.seed)
    assert found["mixture/weight"] == metrics["mixture/weight"]
    assert found["mixture/validation/ndcg@10"] == metrics["mixture/validation/ndcg@10"]
    for name in ("slist", "ease", "mixture"):
        assert found[f"baseline/{name}/ndcg@10/all"] != metrics[f"baseline/{name}/ndcg@10/all"]
    assert found["baseline/popularity/mrr/all"] == metrics["baseline/popularity/mrr/all"]
