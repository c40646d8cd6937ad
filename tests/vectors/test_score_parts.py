"""Parts of a score against the vectors that they were made of."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.score_parts import item_labels
from recsys_lab.vectors.store import write_embeddings
from tests.vectors.stored import IDS, side_info_content, small_content, store


def test_parts_are_those_of_the_other_item(tmp_path: Path) -> None:
    content, own_center, own_context = side_info_content()
    write_embeddings(tmp_path / "embeddings", content)
    embeddings = Embeddings.load(tmp_path)
    centers, contexts, bias = content.tables[:3]
    assert content.side_info is not None
    values = content.side_info.values.select("label", "center", "context").rows()
    center_of = {label: np.array(center) for label, center, _ in values}
    context_of = {label: np.array(context) for label, _, context in values}
    for row, item in enumerate(IDS):
        others = [other for other in IDS if other != item]
        found = embeddings.explain(item, others)
        assert found.columns == ["item", "score", "id", "brand", "category", "popularity"]
        parts = found.select("id", "brand", "category", "popularity").to_numpy()
        scores = [embeddings.score(item, other) for other in others]
        np.testing.assert_allclose(found["score"], scores, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(parts.sum(1), scores, rtol=1e-5, atol=1e-5)
        for place, other in enumerate(others):
            n = IDS.index(other)
            own = (own_center[n] @ contexts[row] + own_context[n] @ centers[row]) / 2
            assert parts[place, 0] == pytest.approx(own, abs=1e-5)
            assert parts[place, 3] == pytest.approx(bias[row] + bias[n])
        if "a b" in others:  # Acme; Shoes and Blue
            place, weights = others.index("a b"), content.side_info.center_weights[1]
            brand = center_of["Acme"] @ contexts[row] + context_of["Acme"] @ centers[row]
            assert parts[place, 1] == pytest.approx(weights[1] * brand / 2, abs=1e-5)
            mean_center = (center_of["Shoes"] + center_of["Blue"]) / 2
            mean_context = (context_of["Shoes"] + context_of["Blue"]) / 2
            category = mean_center @ contexts[row] + mean_context @ centers[row]
            assert parts[place, 2] == pytest.approx(weights[2] * category / 2, abs=1e-5)
    cold = embeddings.explain("c", ["é😀"])
    assert cold["id"][0] == pytest.approx(0, abs=1e-6)
    assert cold["brand"][0] == 0  # it has none
    assert cold["category"][0] != 0


def test_models_of_ids_have_vectors_and_popularity(tmp_path: Path) -> None:
    embeddings = Embeddings.load(store(tmp_path))
    found = embeddings.explain("0007", ["a b", "c"])
    bias = small_content().tables.bias
    np.testing.assert_allclose(found["popularity"], bias[0] + bias[1:3])
    np.testing.assert_allclose(found["vectors"] + found["popularity"], found["score"], rtol=1e-6)
    assert found["score"][1] == pytest.approx(embeddings.score("0007", "c"), abs=1e-5)
    with pytest.raises(VectorsError, match="'é😀' has no score"):
        embeddings.explain("0007", ["é😀"])


def test_one_product_has_no_parts(tmp_path: Path) -> None:
    content = small_content()
    tables = content.tables._replace(bias=np.zeros(5, np.float32))
    write_embeddings(tmp_path / "embeddings", content._replace(tables=tables))
    with pytest.raises(VectorsError, match="no parts to show, neither side information nor"):
        Embeddings.load(tmp_path).explain("0007", ["c"])


@pytest.mark.parametrize(
    "name", ["brand", "category", "category_0", "category_1", "category_9", "price"]
)
def test_labels_are_those_of_the_catalogue(planted: PreparedData, name: str) -> None:
    catalog, rows = planted.catalog, np.arange(0, 800, 7)
    found = item_labels(catalog.items[rows], name, catalog.price_edges())
    if name == "category_9":
        assert found.is_empty()
        return
    field = catalog.field(name)
    expected = [
        (place, field.labels[code])
        for place, row in enumerate(rows.tolist())
        for code in field.codes[field.offsets[row] : field.offsets[row + 1]]
    ]
    assert len(expected) > 20
    assert found.rows() == expected


def test_a_level_that_these_items_lack_has_no_labels() -> None:
    items = small_content().items
    assert item_labels(items[[0, 2]], "category_1", np.empty(0)).is_empty()
    assert item_labels(items[[1]], "category_1", np.empty(0)).rows() == [(0, "Blue")]
    assert item_labels(items, "price", np.empty(0)).is_empty()
    prices = item_labels(items, "price", np.array([5.0, 10.0, 20.0]))
    assert prices.rows() == [
        (0, "10 to 20"), (1, "10 to 20"), (3, "5 to 10"), (4, "5 to 10")
    ]  # fmt: skip
    assert isinstance(prices, pl.DataFrame)
