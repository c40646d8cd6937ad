"""A mixture of runs and baselines is tested like a model."""

from pathlib import Path

import numpy as np
import pytest

import recsys_lab
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from tests.run_cases import BRIEF

DATA = (
    "catalog.num_items=300",
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
    (folder / "mixed" / ".hydra").mkdir()
    with pytest.raises(VectorsError, match="is a mixture, which has no vectors"):
        Embeddings.load(folder / "mixed")


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
