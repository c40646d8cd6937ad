"""The vectors of items that do not exist are those that the encoder gives to cold items."""

import logging
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from recsys_lab.catalog.prepared import PreparedData, prepare
from recsys_lab.catalog.split import SplitOptions
from recsys_lab.catalog.title_terms import bucket_label
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.models.builders import skipgram_side_info, starspace
from recsys_lab.readers.records import ITEM_SCHEMA
from recsys_lab.readers.synthetic import SyntheticSource
from recsys_lab.run.run_data import known_items
from recsys_lab.run.run_embeddings import embeddings_content
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.encode import encode_items
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.search import top_k
from recsys_lab.vectors.store import TEXT_COLUMNS, as_column, write_embeddings
from tests.conftest import RELATION_WEIGHTS
from tests.vectors.side_info import store_side_info
from tests.vectors.stored import store

FIELDS = ["price", "category", "title", "brand", "category_1"]


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """A planted catalogue whose test items occur in no training pair."""
    source = SyntheticSource(400, 0, RELATION_WEIGHTS, "keep")
    options = SplitOptions("items", 0.1, 0.1, ("uniform",), seed=0)
    return prepare(source, options, tmp_path_factory.mktemp("hidden"))


def a_model(
    data: PreparedData, score: str, pooling: str, context_side_info: bool, content_weight: float
):
    """A model whose parts all differ, as after training."""
    torch.manual_seed(1)
    if pooling == "sum":
        net = starspace(
            known_items(data), embedding_dim=6, fields=FIELDS, size_exponent=0.7, score=score,
            loss="margin", margin=0.1, temperature=1.0, query="item", decay=0.7, own_vectors=True,
            popularity_weight=0.5, kernel="autograd",
        )  # fmt: skip
        torch.nn.init.normal_(net.encoder.table)
        return net
    net = skipgram_side_info(
        known_items(data), embedding_dim=6, l2=0.0, score=score, popularity_weight=0.5,
        fields=FIELDS, pooling=pooling, context_side_info=context_side_info,
        content_weight=content_weight, kernel="autograd",
    )  # fmt: skip
    seen = torch.from_numpy(data.split.seen)
    for encoder in (net.centers, net.contexts):
        torch.nn.init.normal_(encoder.table)
        if encoder.attention is not None:
            torch.nn.init.normal_(encoder.attention)
            encoder.attention.data[~seen] = 0  # never learned
    return net


@pytest.mark.parametrize(
    ("score", "context_side_info", "pooling", "content_weight"),
    [
        ("center_context", True, "mean", 0.0),
        ("center_context", True, "mean", 0.5),
        ("center_context", True, "attention", 0.0),
        ("center_context", False, "mean", 0.5),
        ("cosine", True, "attention", 2.0),
        ("dot", False, "mean", 0.0),
        ("cosine", True, "sum", 0.0),
        ("dot", True, "sum", 0.0),
    ],
)
def test_a_cold_item_is_encoded_as_the_model_does(
    hidden: PreparedData, tmp_path: Path, score: str, context_side_info: bool, pooling: str,
    content_weight: float,
) -> None:  # fmt: skip
    net = a_model(hidden, score, pooling, context_side_info, content_weight)
    seen = hidden.split.seen
    scorer = VectorScorer(*net.score_vectors(), scorable=net.can_score(torch.from_numpy(seen)))
    write_embeddings(tmp_path, embeddings_content(hidden, scorer, net, {}, {}))
    found = Embeddings.load(tmp_path)
    encoder = net.encoder if pooling == "sum" else net.centers
    has_vector = encoder.can_encode(torch.from_numpy(seen)).numpy() & ~seen
    cold = np.flatnonzero(has_vector)
    assert len(cold) > 10
    rows = hidden.catalog.items[cold].select(TEXT_COLUMNS)
    encoded = encode_items(found, rows)
    np.testing.assert_allclose(encoded.tables.queries, scorer.queries[cold], atol=1e-6)
    np.testing.assert_allclose(encoded.tables.keys, scorer.keys[cold], atol=1e-6)
    np.testing.assert_allclose(encoded.tables.bias, scorer.bias[cold], atol=1e-6)
    np.testing.assert_array_equal(encoded.scored, found.scored[cold])
    for side in range(2):
        np.testing.assert_allclose(encoded.weights[side], found.part_weights[side][cold], atol=1e-6)
    for row, values in zip(cold[:3], rows.to_dicts(), strict=False):
        given = {n: values[n] for n in ("brand", "categories", "price", "title") if values[n]}
        one = found.encode(**given)
        np.testing.assert_allclose(one.vector, scorer.queries[row], atol=1e-6)
        assert one.scored == found.scored[row]
        if one.scored:
            np.testing.assert_allclose(one.query, found.queries[row], atol=1e-6)
            np.testing.assert_allclose(one.key, found.keys[row], atol=1e-6)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Embeddings:
    return Embeddings.load(store_side_info(tmp_path_factory.mktemp("shop")))


def test_values_of_fields_are_averaged_by_hand(shop: Embeddings) -> None:
    """A&B is [1, 0], the categories X and Y are [0, 1] and [0, 3], the prices [5, 5] and [7, 7]."""
    np.testing.assert_allclose(shop.encode(brand="A&B").vector, [1, 0])
    np.testing.assert_allclose(shop.encode(categories=["X", "Y"]).vector, [0, 2])
    np.testing.assert_allclose(shop.encode(brand="A&B", categories=[["X"], ["Y"]]).vector, [0.5, 1])
    np.testing.assert_allclose(shop.encode(price="$5.00 - $9.99").vector, [5, 5])
    np.testing.assert_allclose(shop.encode(price=99, brand="A&B").vector, [4, 3.5])


def test_a_query_finds_items(shop: Embeddings) -> None:
    one = shop.encode(brand="A&B")
    rows, scores = top_k(one.query[None], shop.keys, k=2)
    expected = shop.keys @ one.query
    np.testing.assert_array_equal(rows[0], np.argsort(-expected)[:2])
    np.testing.assert_allclose(scores[0], np.sort(expected)[::-1][:2], rtol=1e-6)


def test_values_are_cleaned_as_on_reading(shop: Embeddings) -> None:
    for brand in ("A&amp;B", " A&amp;amp;B "):
        np.testing.assert_allclose(shop.encode(brand=brand).vector, [1, 0])
    for no_maker in ("Unknown", "", "n/a"):
        with pytest.raises(VectorsError, match="none is left after cleaning"):
            shop.encode(brand=no_maker)
    with pytest.raises(VectorsError, match="none is left"):
        shop.encode(price="call us")


def test_unknown_values_are_left_out_and_named(
    shop: Embeddings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        one = shop.encode(brand="C", categories=["X", "Q"])
    np.testing.assert_allclose(one.vector, [0, 1])
    assert one.unknown == {"brand": ["C"], "category": ["Q"]}
    assert "brand: training never met 'C', left out" in caplog.text
    with pytest.raises(VectorsError, match=r"training met none of these values .*brand 'C'"):
        shop.encode(brand="C")


def test_a_title_is_encoded_by_the_words_that_training_met(
    shop: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = pl.DataFrame(
        {"field": "title", "label": ["red", "shoe", bucket_label("red shoe")]}
    ).with_columns(
        as_column("center", np.array([[1, 0], [0, 1], [5, 5]])),
        as_column("context", np.zeros((3, 2))),
    )
    found = Embeddings.load(shop.folder)
    monkeypatch.setitem(found.__dict__, "values", values)
    found.info["fields"] = ["title"]
    one = found.encode(title="A RED shoe")
    np.testing.assert_allclose(one.vector, [2, 2])
    assert one.unknown == {"title": ["a"]}
    np.testing.assert_allclose(found.encode(title="shoe, red").vector, [0.5, 0.5])
    found.info["size_exponent"] = 0.5
    np.testing.assert_allclose(found.encode(title="red shoe").vector, np.array([6, 6]) / 3**0.5)


def test_what_cannot_be_encoded_is_a_sentence(shop: Embeddings, tmp_path: Path) -> None:
    with pytest.raises(VectorsError, match=r"not trained on title, its fields are brand, category"):
        shop.encode(title="Red shoe", brand="A&B")
    with pytest.raises(VectorsError, match=r"without any value .* brand, categories and price"):
        shop.encode()
    with pytest.raises(VectorsError, match="categories must be a list"):
        shop.encode(categories="X")
    with pytest.raises(VectorsError, match=r"has no side information.*model=skipgram_side_info"):
        Embeddings.load(store(tmp_path)).encode(brand="Acme")


def test_no_price_is_known(tmp_path: Path) -> None:
    found = Embeddings.load(store_side_info(tmp_path, price_edges=[]))
    schema = {name: ITEM_SCHEMA[name] for name in TEXT_COLUMNS}
    row = pl.DataFrame({"item": ["n"], "categories": [[["X"]]], "price": [6.0]})
    row = row.with_columns(title=None, brand=None).select(
        pl.col(n).cast(t) for n, t in schema.items()
    )
    np.testing.assert_allclose(encode_items(found, row).tables.queries, [[0, 1]])
