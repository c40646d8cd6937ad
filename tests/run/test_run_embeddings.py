"""The embeddings that a run leaves have its scores, whatever the model."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import recsys_lab
from recsys_lab.vectors.embeddings import Embeddings
from tests.forked import run_forked
from tests.run_cases import BRIEF, ROOT, metrics, train

WITHOUT_WALKS = {"data=pairs", "experiment=spectral"}
CASES = {
    "skip-gram": ["model=skipgram"],
    "cosine": ["model=skipgram", "model.score=cosine", "model.popularity_weight=0"],
    "dot": ["model=skipgram", "model.score=dot"],
    "means of cold items": ["model=skipgram", "model.cold_field=brand"],
    "mf": ["model=mf", "data=pairs", "data.batch_size=512"],
    "mf with biases": ["model=mf_bias", "data=pairs", "data.batch_size=512"],
    "gensim": ["experiment=gensim_word2vec"],
    "spectral": ["experiment=spectral"],
    "side information": ["model=skipgram_side_info"],
    "attention": ["model=skipgram_side_info", "model.pooling=attention"],
    "cosine of side information": [
        "model=skipgram_side_info",
        "model.score=cosine",
        "model.popularity_weight=0",
    ],
    "bags of side information": ["experiment=cold_start"],
    "side information with content": ["model=skipgram_side_info", "model.content_weight=0.5"],
    "cosine with content": [
        "model=skipgram_side_info",
        "model.score=cosine",
        "model.content_weight=2",
    ],
    "contexts of ids": ["model=skipgram_side_info", "model.context_side_info=false"],
}
SMALL = ("catalog.num_items=400", "split=items")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embeddings")


@pytest.fixture(scope="module", params=CASES)
def fitted(request: pytest.FixtureRequest, folder: Path) -> recsys_lab.Fitted:
    words = [*CASES[request.param], *SMALL]
    short = [w for w in BRIEF if "walks_per_batch" not in w or not WITHOUT_WALKS & set(words)]
    experiment = recsys_lab.configure(*words, *short, f"prepared_dir={folder}/prepared")
    prepared = recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)
    done = recsys_lab.fit(prepared, experiment, folder / request.param)
    done.save_embeddings({"test/ndcg@10/all": 0.5, "other": 1})
    return done


def test_products_are_the_scores(fitted: recsys_lab.Fitted) -> None:
    found = Embeddings.load(fitted.folder)
    scorer, rng = fitted.scorer, np.random.default_rng(0)
    heads, tails = rng.integers(len(found), size=(2, 2000))
    expected = scorer.score_pairs(heads, tails)
    scored = ~np.isnan(expected)
    np.testing.assert_array_equal(found.scored[heads] & found.scored[tails], scored)
    products = np.einsum("pd,pd->p", found.queries[heads], found.keys[tails])
    assert scored.mean() > 0.5
    assert np.ptp(expected[scored]) > 0
    np.testing.assert_allclose(products[scored], expected[scored], rtol=1e-5, atol=1e-5)


def test_items_are_those_of_the_catalogue(fitted: recsys_lab.Fitted) -> None:
    found, prepared = Embeddings.load(fitted.folder), fitted.prepared
    columns = ["item", "title", "brand", "categories", "price"]
    assert found.items.select(columns).equals(prepared.catalog.items.select(columns))
    train = prepared.split.train
    counts = np.bincount(train.ids.ravel(), minlength=len(found))
    np.testing.assert_array_equal(found.items["num_pairs"], counts)
    np.testing.assert_array_equal(found.items["seen"], prepared.split.seen)
    assert not found.items["seen"].all()
    np.testing.assert_array_equal(found.pairs["head"], train.heads)
    np.testing.assert_array_equal(found.pairs["tail"], train.tails)
    assert (found.pairs["relations"] > 0).all()
    assert found.info["relations"][0] == "also_bought"
    assert found.info["metrics"] == {"test/ndcg@10/all": 0.5}


def test_item_vectors_are_those_of_the_model(fitted: recsys_lab.Fitted) -> None:
    found = Embeddings.load(fitted.folder)
    np.testing.assert_array_equal(found.vectors[found.scored], fitted.vectors()[found.scored])
    assert not found.vectors[~found.scored].any()


def test_parts_of_side_information_add_up_to_the_vector(fitted: recsys_lab.Fitted) -> None:
    """Own vector aside, which is what is left: a cold item has none."""
    found = Embeddings.load(fitted.folder)
    if "fields" not in found.info:
        assert not (fitted.folder / "embeddings" / "values.parquet").exists()
        return
    weights = pl.read_parquet(found.path, columns=["center_weights"])["center_weights"].to_numpy()
    dim = found.info["dimension"] - found.info["content_dimension"]
    vectors = np.zeros((len(found), dim), np.float32)
    for number, name in enumerate(found.info["fields"], start=1):
        field = fitted.prepared.catalog.field(name)
        of_label = {
            label: np.array(center)
            for f, label, center in found.values.select("field", "label", "center").iter_rows()
            if f == name
        }
        for item in range(len(found)):
            labels = [field.labels[c] for c in field.codes[slice(*field.offsets[item : item + 2])]]
            known = [of_label[label] for label in labels if label in of_label]
            if known:
                vectors[item] += weights[item, number] * np.mean(known, axis=0)
    cold = found.scored & ~found.items["seen"].to_numpy()
    if fitted.experiment.configuration["model"].get("context_side_info", True):
        assert cold.sum() > 10  # else no cold item has a context, so none is scored
    np.testing.assert_allclose(vectors[cold], found.vectors[cold, :dim], rtol=1e-4, atol=1e-6)


def test_parts_of_scores_are_those_of_the_model(fitted: recsys_lab.Fitted) -> None:
    found, net = Embeddings.load(fitted.folder), fitted.task.net
    if "fields" not in found.info:
        return
    item, *others = found.ids.filter(pl.Series(found.scored)).sample(40, seed=0)
    parts = found.explain(item, others)
    names = parts.columns[2:]
    assert names[:4] == ["id", "brand", "category", "price"]
    rows = found.index(others)
    scores = fitted.scorer.score_pairs(np.repeat(found.index([item]), len(rows)), rows)
    np.testing.assert_allclose(parts.select(names).to_numpy().sum(1), scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(parts["score"], scores, rtol=1e-4, atol=1e-5)
    both = (net.encoder, net.encoder) if "encoder" in dir(net) else (net.centers, net.contexts)
    with torch.no_grad():
        every = torch.arange(len(found))
        own = [
            (encoder.part_weights(every)[:, :1] * encoder.table[: len(found)]).numpy()
            for encoder in both
        ]
        vectors = [encoder.item_vectors().numpy() for encoder in both]
    row = found.index([item])[0]
    if net.score == "cosine":
        lengths = np.linalg.norm(vectors[0], axis=1)
        expected = own[0][rows] @ vectors[0][row] / lengths[rows] / lengths[row]
    else:
        expected = (own[0][rows] @ vectors[1][row] + own[1][rows] @ vectors[0][row]) / 2
    np.testing.assert_allclose(parts["id"], expected, rtol=1e-3, atol=1e-5)


def test_a_run_of_the_command_line_leaves_them(finished: Path, tmp_path: Path) -> None:
    found = Embeddings.load(finished)
    measured = metrics(finished)
    assert found.info["metrics"]["test/ndcg@10/all"] == measured["test/ndcg@10/all"]
    assert found.info["facts"]["hash/split"] == measured["hash/split"]
    assert not list(finished.glob(".*.part"))
    done = train(tmp_path / "without", "embeddings=false")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "without" / "embeddings").exists()


def test_an_older_run_gets_them_by_the_command_it_names(finished: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    shutil.copytree(finished, older)
    expected = Embeddings.load(finished)
    shutil.rmtree(older / "embeddings")
    with pytest.raises(ValueError, match="python -m recsys_lab embed") as refused:
        Embeddings.load(older)
    words = str(refused.value).split("python ")[1].split()
    config = older / ".hydra" / "config.yaml"
    config.write_text(config.read_text().replace("embeddings: true\n", ""))  # not known there
    done = run_forked(words, ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(older / "embeddings")
    found = Embeddings.load(older)
    np.testing.assert_array_equal(found.keys, expected.keys)
    assert json.loads((older / "embeddings/embeddings.json").read_text()) == dict(expected.info)
