"""A mixture of runs and baselines is tested like a model."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recsys_lab
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.evaluation.pair_ease import SymmetricScores
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.run import mixed_lists
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.list_files import Lists
from tests.run_cases import BRIEF

N = 300
BASELINES = "model.baselines=[adamic_adar,walk_proximity]"
DATA = (
    f"catalog.num_items={N}",
    "split.negatives=[uniform]",
    "evaluation.replicates=0",
    "num_threads=1",
)


def fit(folder: Path, name: str, *words: str) -> recsys_lab.Fitted:
    experiment = recsys_lab.configure(*DATA, *words, f"prepared_dir={folder}/prepared")
    return recsys_lab.fit(experiment.prepare(), experiment, folder / name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a run below `runs`."""
    folder = tmp_path_factory.mktemp("mixture")
    fit(folder, "runs/one", "model=skipgram", *BRIEF).save_embeddings()
    return folder


def test_a_mixture_is_a_row_with_its_parts(folder: Path) -> None:
    fitted = fit(folder, "mixed", "experiment=mixture", f"model.runs=[{folder}/runs]")
    metrics = fitted.test()
    assert metrics["test/ndcg@10/all"] > 0
    assert {"run one", "ease"} <= set(fitted.mixture.parts)
    crossed = metrics["mixture/validation/with_products/ndcg@10"]
    for name in fitted.mixture.parts:
        assert 0 <= metrics[f"mixture/part/{name}/ndcg@10"] <= max(1.1 * crossed, 0.01)
        assert np.isfinite(metrics[f"mixture/weight/{name}"])
    assert "parameters/ease/penalty" in metrics
    ids = fitted.prepared.catalog.raw_ids.to_list()
    np.testing.assert_allclose(fitted.score(ids[:5], ids[5:10]), fitted.score(ids[5:10], ids[:5]))
    again = recsys_lab.load(fitted.prepared, fitted.experiment, folder / "again", None)
    assert np.array_equal(again.score(ids[:5], ids[5:10]), fitted.score(ids[:5], ids[5:10]))
    with pytest.raises(VectorsError, match="no vectors"):
        fitted.vectors()


def test_a_mixture_keeps_the_best_items_of_each_item(folder: Path) -> None:
    fitted = fit(folder, "listed", "model=mixture", BASELINES, "model.list_length=7")
    fitted.save_lists(fitted.measured)
    found, scores = Embeddings.load(folder / "listed"), fitted.scorer.score_rows(np.arange(N))
    np.fill_diagonal(scores, -np.inf)
    for row in (0, 5, N - 1):
        best = np.lexsort((np.arange(N), -scores[row]))[:7]
        table = found.similar(found.ids[row], 7)
        assert table["item"].to_list() == found.ids[best].to_list()
        np.testing.assert_allclose(table["score"], scores[row, best], rtol=1e-4)
    assert found.scored.all()
    assert found.info["score"] == "mixture"
    assert not (folder / "listed" / "lists.parquet").exists()
    both = fit(folder, "again", "model=mixture", "model.baselines=[ease]", f"model.runs=[{folder}]")
    assert list(both.mixture.parts) == ["run one", "ease"]  # the mixtures beside it are left out
    with pytest.raises(VectorsError, match="lists of similar items and no vectors"):
        fit(folder, "none", "experiment=mixture", f"model.runs=[{folder}/listed]")


def test_lists_that_were_stopped_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = fit(folder, "stopped", "model=mixture", BASELINES, "model.list_length=3")
    monkeypatch.setattr(mixed_lists, "_SCORES", 10 * N)
    asked: list[int] = []
    best_items = mixed_lists.best_items

    def until(stop: int | None) -> None:
        def spy(scorer: Scorer, rows: np.ndarray, *more: int) -> Lists:
            if stop is not None and rows[0] >= stop:
                raise KeyboardInterrupt
            asked.append(int(rows[0]))
            return best_items(scorer, rows, *more)

        monkeypatch.setattr(mixed_lists, "best_items", spy)
        fitted.save_embeddings()

    with pytest.raises(KeyboardInterrupt):
        until(160)
    assert not (folder / "stopped" / "embeddings").exists()
    until(None)
    assert asked == [0, 80, 160, 240]
    stopped = pl.read_parquet(folder / "stopped" / "embeddings" / "lists.parquet")
    until(None)  # anew, since nothing is left of the parts
    assert asked[4:] == [0, 80, 160, 240]
    assert stopped.equals(pl.read_parquet(folder / "stopped" / "embeddings" / "lists.parquet"))


def test_lists_of_a_large_catalogue_are_made_by_a_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fitted = fit(folder, "large", "model=mixture", BASELINES)
    monkeypatch.setattr("recsys_lab.run.fitted.MAX_ITEMS", N - 1)
    with caplog.at_level("INFO"):
        fitted.save_lists({})
    assert f"python -m recsys_lab embed {folder / 'large'}" in caplog.text
    assert not (folder / "large" / "embeddings").exists()


@pytest.mark.parametrize("size", [1, 3, 9])
def test_lists_do_not_depend_on_how_many_items_are_scored_at_a_time(size: int) -> None:
    scores, rows = np.random.default_rng(0).normal(size=(9, 9)), np.array([8, 0, 3, 5, 1])
    found = mixed_lists.best_items(SymmetricScores(scores), rows, 9, 4, size)
    np.fill_diagonal(scores, -np.inf)
    np.testing.assert_array_equal(found[0], np.argsort(-scores[rows], axis=1)[:, :4])


def test_items_without_a_score_are_in_no_list() -> None:
    nan = np.nan
    table = np.array([[9, 1, nan, 2], [1, 9, nan, 1], [nan] * 4, [2, 1, nan, 9]], np.float32)

    rows, scores = mixed_lists.best_items(SymmetricScores(table), np.arange(4), 4, 3, 3)
    assert rows.tolist() == [[3, 1, -1], [0, 3, -1], [-1, -1, -1], [0, 1, -1]]
    np.testing.assert_array_equal(scores[0], [2, 1, nan])


def test_runs_of_another_split_and_unknown_parts_are_refused(folder: Path) -> None:
    runs = f"model.runs=[{folder}/runs]"
    with pytest.raises(VectorsError, match="one has another split"):
        fit(folder, "other", "experiment=mixture", runs, "split.seed=1")
    with pytest.raises(ConfigurationError, match=r"model\.runs names nowhere"):
        fit(folder, "none", "experiment=mixture", "model.runs=[nowhere]")
    with pytest.raises(ConfigurationError, match=r"baselines names 'eas'.*did you mean ease"):
        fit(folder, "none", "experiment=mixture", "model.baselines=[eas,content]")
    with pytest.raises(ConfigurationError, match="fewer than two parts"):
        fit(folder, "none", "experiment=mixture", "model.baselines=[ease]")
