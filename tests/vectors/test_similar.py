"""Similar items against brute force over the whole matrix of scores."""

import doctest
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_lab.readers.records import ITEM_SCHEMA
from recsys_lab.vectors import embeddings as room
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.score_form import ScoreTables
from recsys_lab.vectors.store import TEXT_COLUMNS, Content, write_embeddings
from tests.vectors.stored import store_nodes

NUM_ITEMS = 300
FORMS = {"center and context": (True, True), "biases": (False, True), "one product": (False, False)}


def many(both_ways: bool, biased: bool) -> Content:
    """Items with brands, two category paths, prices that may be absent, and random pairs."""
    rng = np.random.default_rng(3)
    columns = {
        "item": [f"i{n:03d}" for n in range(NUM_ITEMS)],
        "title": [f"thing {n}" for n in range(NUM_ITEMS)],
        "brand": [f"Brand {n % 7}" if n % 5 else None for n in range(NUM_ITEMS)],
        "categories": [
            [["All", f"Kind {n % 4}"], ["Other", f"Use {n % 3}"]] if n % 6 else None
            for n in range(NUM_ITEMS)
        ],
        "price": [None if n % 10 == 0 else n / 10 for n in range(NUM_ITEMS)],
    }
    items = pl.DataFrame(columns, schema={name: ITEM_SCHEMA[name] for name in TEXT_COLUMNS})
    pairs = np.unique(np.sort(rng.integers(NUM_ITEMS, size=(900, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    counts = np.bincount(pairs.ravel(), minlength=NUM_ITEMS)
    items = items.with_columns(
        num_pairs=pl.Series(counts.astype(np.int32)), seen=pl.Series(counts > 0)
    )
    table = pl.DataFrame(
        {
            "head": pairs[:, 0].astype(np.int32),
            "tail": pairs[:, 1].astype(np.int32),
            "weight": np.ones(len(pairs), np.float32),
            "relations": rng.integers(4, size=len(pairs)).astype(np.uint8),
        }
    )
    queries, contexts = rng.normal(size=(2, NUM_ITEMS, 6)).astype(np.float32)
    bias = rng.normal(size=NUM_ITEMS).astype(np.float32) * biased
    tables = ScoreTables(queries, contexts if both_ways else queries, bias, both_ways)
    info = {"score": "test", "relations": ["also_bought", "also_viewed"]}
    return Content(items, counts > 2, tables, table, info)


def score_matrix(content: Content) -> np.ndarray:
    """All scores in float64, NaN where an item is not scored."""
    queries, keys, bias = (x.astype(np.float64) for x in content.tables[:3])
    product = queries @ keys.T
    scores = (product + product.T) / 2 + bias[:, None] + bias
    scores[~content.scored], scores[:, ~content.scored] = np.nan, np.nan
    np.fill_diagonal(scores, np.nan)
    return scores


def expected(scores: np.ndarray, keep: np.ndarray, k: int) -> list[int]:
    places = [n for n in np.argsort(-scores) if keep[n] and not np.isnan(scores[n])]
    return places[:k]


@pytest.fixture(scope="module", params=FORMS)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Content, Embeddings]:
    content = many(*FORMS[request.param])
    folder = tmp_path_factory.mktemp("similar")
    write_embeddings(folder / "embeddings", content)
    return content, Embeddings.load(folder)


def wished(content: Content, row: int, **options: object) -> np.ndarray:
    """Mask of the items that the options allow, item by item."""
    pairs = {frozenset(pair) for pair in content.pairs.select("head", "tail").iter_rows()}
    keep = np.ones(NUM_ITEMS, bool)
    for n, item in enumerate(content.items.iter_rows(named=True)):
        labels = {label.lower() for path in item["categories"] or [] for label in path}
        keep[n] = (
            ("brand" not in options or (item["brand"] or "").lower() == options["brand"])
            and ("category" not in options or options["category"] in labels)
            and ("min_price" not in options or (item["price"] or -1) >= options["min_price"])
            and ("max_price" not in options or (item["price"] or 1e9) <= options["max_price"])
            and ("not_known" not in options or frozenset((row, n)) not in pairs)
        )
    return keep


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"brand": "brand 3"},
        {"category": "use 1"},
        {"category": "other", "brand": "brand 2", "min_price": 5.0, "max_price": 25.0},
        {"max_price": 12.0},
        {"not_known": True},
        {"not_known": True, "category": "kind 3"},
    ],
    ids=str,
)
def test_lists_are_those_of_brute_force(case: tuple[Content, Embeddings], options: dict) -> None:
    content, embeddings = case
    scores = score_matrix(content)
    for row in np.flatnonzero(content.scored)[::25].tolist():
        keep = wished(content, row, **options)
        found = embeddings.similar(f"i{row:03d}", 12, **options)
        best = expected(scores[row], keep, 12)
        assert found["item"].to_list() == [f"i{n:03d}" for n in best]
        np.testing.assert_allclose(found["score"], scores[row, best], rtol=1e-5, atol=1e-5)
        assert len(best) == min(12, np.count_nonzero(keep & ~np.isnan(scores[row])))


def test_what_is_told_of_an_item(case: tuple[Content, Embeddings]) -> None:
    content, embeddings = case
    found = embeddings.similar("i007", 299)
    assert found.columns == [*TEXT_COLUMNS, "score", "relation", "seen"]
    table = content.items.with_columns(content.items["seen"].alias("seen"))
    joined = found.join(table, on="item", maintain_order="left")
    for name in (*TEXT_COLUMNS[1:], "seen"):
        assert found[name].to_list() == joined[f"{name}_right"].to_list()
    masks = {frozenset((h, t)): m for h, t, _, m in content.pairs.iter_rows()}
    for item, relation in found.select("item", "relation").iter_rows():
        mask = masks.get(frozenset((7, int(item[1:]))))
        names = [
            n for bit, n in enumerate(("also_bought", "also_viewed")) if (mask or 0) >> bit & 1
        ]
        assert relation == (None if mask is None else names)


def test_many_lists_are_the_single_ones(case: tuple[Content, Embeddings]) -> None:
    _, embeddings = case
    rows = [f"i{n:03d}" for n in np.flatnonzero(embeddings.scored)[:20]] * 2  # repeated, too
    for options in ({}, {"not_known": True}, {"diversity": 0.4}):
        found = embeddings.similar_many(rows, 4, **options)
        single = [embeddings.similar(item, 4, **options) for item in rows]
        assert found["query_item"].to_list() == [item for item in rows for _ in range(4)]
        assert found.drop("query_item", "score").equals(pl.concat(single).drop("score"))
        np.testing.assert_allclose(found["score"], pl.concat(single)["score"], atol=1e-6)
    assert embeddings.similar_many([], 4).columns == found.columns


@pytest.mark.parametrize("options", [{}, {"not_known": True}, {"brand": "Brand 3"}])
def test_the_screen_of_a_large_catalogue_changes_nothing(
    case: tuple[Content, Embeddings], options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [case[1].similar(item, 7, **options) for item in ("i003", "i077")]
    monkeypatch.setattr("recsys_lab.vectors.similar._LARGE", 100)
    fresh = Embeddings.load(case[1].folder)
    for item, frame in zip(("i003", "i077"), expected, strict=True):
        found = fresh.similar(item, 7, **options)
        assert found.drop("score").equals(frame.drop("score"))
        np.testing.assert_allclose(found["score"], frame["score"], rtol=1e-5, atol=1e-5)
    assert "screen" in vars(fresh)


def test_a_diverse_list_is_chosen_among_the_best(case: tuple[Content, Embeddings]) -> None:
    """Of 100 candidates where k is small; in the order in which they are chosen."""
    content, embeddings = case
    scores = score_matrix(content)[8]
    pool = expected(scores, np.ones(NUM_ITEMS, bool), 100)
    units = content.tables.queries / np.linalg.norm(content.tables.queries, axis=1)[:, None]
    relevance = (scores - scores[pool].min()) / np.ptp(scores[pool])
    chosen: list[int] = []
    while len(chosen) < 5:
        rest = [n for n in pool if n not in chosen]
        near = [max((units[n] @ units[c] for c in chosen), default=0) for n in rest]
        gains = 0.5 * relevance[rest] - 0.5 * np.array(near)
        chosen.append(rest[int(np.argmax(gains))])
    found = embeddings.similar("i008", 5, diversity=0.5)
    assert found["item"].to_list() == [f"i{n:03d}" for n in chosen]
    assert found["item"].to_list() != embeddings.similar("i008", 5)["item"].to_list()


def test_what_cannot_be_answered_is_a_sentence(case: tuple[Content, Embeddings]) -> None:
    content, embeddings = case
    without = embeddings.ids[int(np.flatnonzero(~content.scored)[0])]
    for call, message in (
        (lambda: embeddings.similar("i999"), 'no item "i999"'),
        (lambda: embeddings.similar(without), f"'{without}' has no similar items: no training"),
        (lambda: embeddings.similar("i007", 0), "k must be >= 1, got 0"),
        (lambda: embeddings.similar("i007", brand="Brand 33"), "no item has the brand 'Brand 33' "
         r"\(did you mean Brand 3"),
        (lambda: embeddings.similar("i007", category="x"), "no item has the category 'x'"),
        (lambda: embeddings.similar("i007", diversity=1.5), "between 0 and 1, got 1.5"),
        (lambda: embeddings.similar("i007", diversity=float("nan")), "between 0 and 1, got nan"),
        (lambda: embeddings.similar("i007", min_price=float("nan")), "min_price must be a number"),
        (lambda: embeddings.similar("i007", min_price=3, max_price=2), "min_price 3 is above max"),
    ):  # fmt: skip
        with pytest.raises(VectorsError, match=message):
            call()


def test_contexts_of_ids_alone_are_named(tmp_path: Path) -> None:
    content = many(True, True)
    info = dict(content.info) | {"fields": ["brand"], "model": {"context_side_info": False}}
    write_embeddings(tmp_path / "embeddings", content._replace(info=info))
    found = Embeddings.load(tmp_path)
    without = found.ids.filter(~found.items["scored"])[0]
    with pytest.raises(VectorsError, match="the contexts of the model are item ids alone"):
        found.similar(without)


def test_a_file_from_elsewhere_has_similar_items_too(tmp_path: Path) -> None:
    vectors = pl.Series("vector", np.eye(3, dtype=np.float32) + 0.1, dtype=pl.Array(pl.Float32, 3))
    frame = pl.DataFrame({"item": ["a", "b", "c"]}).with_columns(vectors)
    frame.write_parquet(tmp_path / "v.parquet")
    found = Embeddings.load(tmp_path / "v.parquet")
    assert found.similar("b", 5)["item"].to_list() == ["a", "c"]
    assert found.similar("b", 5)["relation"].null_count() == 2
    with pytest.raises(VectorsError, match="holds no training pairs"):
        found.similar("b", not_known=True)
    with pytest.raises(VectorsError, match="no item has a known price"):
        found.similar("b", max_price=2)
    with pytest.raises(VectorsError, match="no item has the category 'x'"):
        found.similar("b", category="x")


def test_the_query_is_read_alone(case: tuple[Content, Embeddings]) -> None:
    fresh = Embeddings.load(case[1].folder)
    row = fresh.query(11)
    assert "queries" not in fresh.__dict__
    np.testing.assert_array_equal(row, fresh.queries[11:12])
    np.testing.assert_array_equal(fresh.query(11), row)


def test_the_examples_of_the_docstrings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_nodes(tmp_path / "shoes")
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(room)
    assert (failed, tried) == (0, 13)
