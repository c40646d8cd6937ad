"""Vectors of a file are tested as the model was that they come from."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recsys_lab
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.models.task import TrainingError
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.export import Format, export
from tests.run_cases import BRIEF

DATA = (
    "catalog.num_items=300",
    "split.negatives=[uniform]",
    "evaluation.replicates=0",
    "num_threads=1",
)
MODELS = {
    "center_context": ("model=skipgram",),
    "cosine": ("model=skipgram", "model.score=cosine", "model.popularity_weight=0"),
    "mf_bias": ("model=mf_bias",),
    "cold": ("model=skipgram_side_info", "split=items"),
}
Finish = Callable[[str], tuple[recsys_lab.Fitted, dict]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("external")


def fit(folder: Path, name: str, *words: str) -> recsys_lab.Fitted:
    experiment = recsys_lab.configure(*DATA, *words, f"prepared_dir={folder}/prepared")
    prepared = recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)
    return recsys_lab.fit(prepared, experiment, folder / name)


@pytest.fixture(scope="module")
def finish(folder: Path) -> Finish:
    """A trained model by name, and its metrics; each is trained once."""
    made: dict[str, tuple[recsys_lab.Fitted, dict]] = {}

    def get(name: str) -> tuple[recsys_lab.Fitted, dict]:
        if name not in made:
            fitted = fit(folder, name, *BRIEF, *MODELS[name])
            made[name] = fitted, fitted.test()
        return made[name]

    return get


def external(folder: Path, path: Path, *words: str) -> recsys_lab.Fitted:
    return fit(folder, "external", "model=external", f"vectors={path}", *words)


def measured(metrics: dict) -> dict:
    return {k: v for k, v in metrics.items() if not k.startswith(("fit/", "best/"))}


@pytest.mark.parametrize(
    ("model", "form"),
    [
        ("center_context", "parquet"),
        pytest.param("center_context", "safetensors", marks=pytest.mark.soak),
        ("cosine", "word2vec"),
        pytest.param("mf_bias", "npy", marks=pytest.mark.soak),
        ("cold", "safetensors"),
    ],
)
def test_the_way_out_and_in_keeps_every_metric(
    model: str, form: Format, folder: Path, finish: Finish, tmp_path: Path
) -> None:
    fitted, expected = finish(model)
    found = Embeddings.load(fitted.folder)
    path = found.path if form == "parquet" else export(found, form, tmp_path / "x").files[0]
    again = external(folder, path, *(w for w in MODELS[model] if w.startswith("split")))
    metrics = again.test()
    assert metrics == pytest.approx(measured(expected), abs=1e-6)
    assert again.best is None
    assert list(again.curve) == []
    stored = Embeddings.load(again.folder)
    np.testing.assert_array_equal(stored.scored, found.scored)
    np.testing.assert_allclose(stored.keys, found.keys, rtol=1e-6, atol=1e-6)
    assert stored.info["score"] == found.info["score"]


def by_hand(folder: Path, ids: list[str], vectors: np.ndarray, **tables: np.ndarray) -> Path:
    columns = {"item": ids} | ({} if tables else {"vector": vectors}) | tables
    pl.DataFrame(columns).write_parquet(folder / "x.parquet")
    return folder / "x.parquet"


def test_scores_by_hand(folder: Path, finish: Finish, tmp_path: Path) -> None:
    every = finish("cosine")[0].prepared.catalog.raw_ids.to_list()
    vectors = np.random.default_rng(0).normal(size=(4, 3))
    vectors[3] = 0
    a, b, _, zero = ids = [every[9], every[2], "not in the catalogue", every[5]]
    path = by_hand(tmp_path, ids, vectors)
    cosine = external(folder, path)
    lengths = np.linalg.norm(vectors, axis=1)
    expected = vectors[0] @ vectors[1] / lengths[0] / lengths[1]
    assert cosine.score([a], [b])[0] == pytest.approx(expected, abs=1e-6)
    assert np.isnan(cosine.score([a, a], [zero, every[0]])).all()
    dot = external(folder, path, "model.score=dot", "model.popularity_weight=0.5")
    degrees = [(cosine.prepared.split.train.ids == item).sum() for item in (9, 2, 5)]
    popular = 0.5 * np.log1p(degrees)
    expected = vectors[0] @ vectors[1] + popular[0] + popular[1]
    assert dot.score([a], [b])[0] == pytest.approx(expected, rel=1e-5)
    assert dot.score([a], [zero])[0] == pytest.approx(popular[0] + popular[2], rel=1e-5)
    both = by_hand(tmp_path, ids, vectors, query=vectors, key=vectors[::-1].copy())
    mean = external(folder, both).score([a], [b])[0]
    expected = (vectors[0] @ vectors[2] + vectors[1] @ vectors[3]) / 2
    assert mean == pytest.approx(expected, abs=1e-6)


def test_coverage_and_why_an_item_has_no_score(
    folder: Path, finish: Finish, tmp_path: Path
) -> None:
    fitted = finish("cosine")[0]
    ids = fitted.prepared.catalog.raw_ids.to_list()
    half = set(range(0, len(ids), 2))
    path = by_hand(tmp_path, [ids[k] for k in half], fitted.vectors()[sorted(half)])
    done = external(folder, path)
    ends = done.data.split.test.pairs.ids
    expected = np.isin(ends, list(half)).all(1).mean()
    assert done.test()["test/coverage/all"] == pytest.approx(expected)
    assert 0 < expected < 1
    with pytest.raises(ValueError, match=r"has no score: .*x\.parquet has no vector for it"):
        Embeddings.load(done.folder).score(ids[0], ids[1])


def test_mistakes_get_one_sentence(folder: Path, finish: Finish, tmp_path: Path) -> None:
    first = finish("cosine")[0].prepared.catalog.raw_ids[0]
    path = by_hand(tmp_path, ["x", "y"], np.ones((2, 2)))
    message = rf"none of the 2 ids of .* the file has 'x', the catalogue '{first}'"
    with pytest.raises(ConfigurationError, match=message):
        external(folder, path)
    both = by_hand(tmp_path, [first, "y"], np.ones((2, 2)), query=np.eye(2), key=np.eye(2))
    with pytest.raises(ConfigurationError, match=r"model\.score=cosine needs plain vectors"):
        external(folder, both, "model.score=cosine")
    for words, message in (
        (("model=external",), "model=external needs a file of vectors: name it with vectors="),
        (("model=external", "vectors=no.txt"), r"vectors: there is no file no\.txt"),
        (("vectors=x.txt",), r"vectors=x\.txt is for model=external"),
        (("model=external", "vectors=3"), "vectors must be text or null, got 3"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            recsys_lab.configure(*words)


def test_a_checkpoint_is_of_no_use(folder: Path, finish: Finish) -> None:
    fitted = finish("cosine")[0]
    path = Embeddings.load(fitted.folder).path
    done = external(folder, path)
    with pytest.raises(TrainingError, match="a model without parameters has none"):
        recsys_lab.fit(done.prepared, done.experiment, folder / "again", resume=fitted.folder)
    loaded = recsys_lab.load(done.prepared, done.experiment, folder / "loaded", None)
    np.testing.assert_array_equal(loaded.vectors(), done.vectors())
    with pytest.raises(TrainingError, match="no best checkpoint"):
        recsys_lab.load(fitted.prepared, fitted.experiment, folder / "loaded", None)
    assert not json.loads((done.folder / "embeddings/embeddings.json").read_text())["parent"]
