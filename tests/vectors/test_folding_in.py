"""Folding in minimises the loss of training with all other rows fixed; new items join a run."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

from recsys_lab.catalog.pairs import build_pairs
from recsys_lab.compute.label_columns import value_columns
from recsys_lab.readers.records import ITEM_SCHEMA
from recsys_lab.vectors.added_folder import write_added
from recsys_lab.vectors.adding import AddedItems, add_items
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.folding import Negatives, Objective, Passes, Positives, State, regress
from recsys_lab.vectors.new_items import NewItems
from recsys_lab.vectors.parquet_columns import as_column
from recsys_lab.vectors.score_form import ScoreTables
from recsys_lab.vectors.store import TEXT_COLUMNS, Content, SideInfo, write_embeddings
from tests.vectors.side_info import store_side_info
from tests.vectors.stored import IDS, small_content, store

LONG = Passes(count=2000, rate=0.3)
FEW = Objective(num_negatives=1)  # with ten of four items, a pair is a negative more often


def fitted(positives: Positives, negatives: Negatives, prior, objective: Objective) -> np.ndarray:
    state = State.at(prior)
    regress(positives, negatives, prior, state, objective, LONG, range(LONG.count))
    return state.vectors


def one_pair(target: float, vector: float) -> Positives:
    one = np.ones(1, np.float32)
    return Positives(
        np.array([0, 1]), np.array([0]), one, target * one, vector * one[:, None], 0 * one
    )


def no_bias(vectors: np.ndarray, shares: np.ndarray, weights: np.ndarray) -> Negatives:
    return Negatives(vectors, None, shares, weights)


def test_a_squared_loss_by_hand() -> None:
    """(2 v - 3)^2 + 4 v^2 + 0.1 (1 + 1) (v - 1)^2 is least where 8.2 v = 6.2."""
    negatives = no_bias(np.full((1, 1), 2, np.float32), np.ones(1), np.ones(1, np.float32))
    objective = Objective(num_negatives=1, l2=0.1, loss="squared")
    found = fitted(one_pair(3.0, 2.0), negatives, np.ones((1, 1), np.float32), objective)
    np.testing.assert_allclose(found, [[6.2 / 8.2]], rtol=1e-4)


@pytest.mark.parametrize("loss", ["logistic", "squared"])
@pytest.mark.parametrize("biased", [False, True])
def test_the_minimum_is_that_of_scipy(loss: str, biased: bool) -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(20, 3)).astype(np.float32)
    bias = rng.normal(size=20).astype(np.float32)
    shares = rng.dirichlet(np.ones(20))
    weights = np.array([4.0, 1.5], np.float32)
    indices, own = np.array([0, 4, 7, 1, 4]), np.array([0, 0, 0, 1, 1])
    w, t = np.array([0.5, 0.3, 0.2, 0.4, 0.6]), np.array([1.0, 0.5, 2.0, 1.0, 3.0])
    objective = Objective(l2=0.01, loss=loss)  # type: ignore[arg-type]
    prior = rng.normal(size=(2, 3 + biased)).astype(np.float32)
    others = np.hstack([vectors, np.ones((20, 1))]) if biased else vectors
    offsets = bias if biased else 0 * bias

    def value(flat: np.ndarray, item: int) -> float:
        scores = others @ flat + offsets
        mine = own == item
        penalty = objective.l2 * (1 + weights[item]) * ((flat - prior[item]) ** 2).sum()
        s = scores[indices[mine]]
        if loss == "squared":
            fit, wrong = w[mine] @ (s - t[mine]) ** 2, shares @ scores**2
        else:
            fit, wrong = w[mine] @ np.logaddexp(0, -s), shares @ np.logaddexp(0, scores)
        return float(fit + weights[item] * wrong + penalty)

    f32 = np.float32
    positives = Positives(
        np.array([0, 3, 5]), indices, w.astype(f32), t.astype(f32), others.astype(f32), offsets
    )
    negatives = Negatives(vectors, bias if biased else None, shares, weights)
    found = fitted(positives, negatives, prior, objective)
    for item in range(2):
        best = minimize(value, np.zeros(3 + biased), args=(item,), tol=1e-10)
        assert value(found[item], item) < best.fun + 1e-4 < value(prior[item], item)
        np.testing.assert_allclose(found[item], best.x, atol=0.02)


def test_drawn_negatives_come_near_all_of_them() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 4)).astype(np.float32)
    shares, start = rng.dirichlet(np.ones(3000)), np.zeros((1, 4), np.float32)
    negatives = no_bias(vectors, shares, np.full(1, 5, np.float32))
    positives = Positives(
        np.array([0, 2]), np.array([0, 1]), np.full(2, 0.5, np.float32), np.ones(2, np.float32),
        vectors[:2], np.zeros(2, np.float32),
    )  # fmt: skip
    ends = []
    for count in (3000, 64):
        state, passes = State.at(start), Passes(count=500, rate=0.3, num_drawn=count)
        regress(positives, negatives, start, state, Objective(), passes, range(500))
        ends.append(state.vectors[0])
    np.testing.assert_allclose(ends[1], ends[0], atol=0.05)
    assert np.linalg.norm(ends[0]) > 0.3


# -- items of a run -----------------------------------------------------------------------------


def new_items(pairs: list[tuple[int, int]], count: int, **columns: list) -> NewItems:
    """New items in the rows 5, 6, ... of the small embeddings."""
    ids = [f"new{k}" for k in range(count)]
    empty = dict.fromkeys(("title", "brand", "categories", "price"), [None] * count)
    schema = {name: ITEM_SCHEMA[name] for name in TEXT_COLUMNS}
    items = pl.DataFrame({"item": ids} | empty | columns, schema=schema)
    ends = np.array(pairs, np.int32).reshape(-1, 2)
    found = build_pairs(ends[:, 0], ends[:, 1], np.ones(len(ends), np.float32), 5 + count)
    return NewItems(items, found, np.full(len(found), 2, np.uint8), 0)


@pytest.fixture
def run(tmp_path: Path) -> Embeddings:
    return Embeddings.load(store(tmp_path / "run"))


def products(run: Embeddings, added: AddedItems) -> np.ndarray:
    """Scores of new items with those of the run, without biases."""
    new, old = added.tables, run.score_tables
    return (new.queries @ old.keys.T + new.keys @ old.queries.T) / 2


def test_an_item_comes_near_those_that_it_is_paired_with(run: Embeddings) -> None:
    added = add_items(run, new_items([(0, 5), (3, 6), (2, 6)], 3), FEW)
    assert added.source.tolist() == ["pairs", "pairs", "nothing"]
    assert added.num_pairs.tolist() == [1, 2, 0]
    scores = products(run, added)
    assert scores[0, :4].argmax() == 0
    assert set(np.argsort(-scores[1, :4])[:2]) == {2, 3}
    for table in added.tables[:3]:
        assert not table[2].any()


def test_the_popularity_term_follows_the_pairs(tmp_path: Path) -> None:
    content = small_content()
    bias = (0.5 * np.log1p(content.items["num_pairs"].to_numpy())).astype(np.float32)
    write_embeddings(tmp_path, content._replace(tables=content.tables._replace(bias=bias)))
    added = add_items(Embeddings.load(tmp_path), new_items([(0, 5), (3, 6), (2, 6)], 3))
    np.testing.assert_allclose(added.tables.bias, 0.5 * np.log1p([1, 2, 0]), rtol=1e-5)


def test_pairs_among_new_items_count_in_the_second_half(run: Embeddings) -> None:
    """Item 5 is paired with 0, item 6 with 5 alone, item 7 with 6 alone."""
    added = add_items(run, new_items([(0, 5), (5, 6), (6, 7)], 3))
    assert added.source.tolist() == ["pairs", "pairs", "nothing"]
    new = added.tables
    assert new.queries[1] @ new.keys[0] + new.keys[1] @ new.queries[0] > 0


def test_pairs_with_items_without_a_vector_say_nothing(run: Embeddings) -> None:
    assert add_items(run, new_items([(4, 5)], 1)).source.tolist() == ["nothing"]


def test_equal_arguments_give_equal_vectors(run: Embeddings) -> None:
    new = new_items([(0, 5), (1, 5), (5, 6)], 2)
    passes = Passes(num_drawn=2)
    one, other = (add_items(run, new, passes=passes).tables for _ in range(2))
    np.testing.assert_array_equal(one.queries, other.queries)
    np.testing.assert_array_equal(one.keys, other.keys)
    changed = add_items(run, new, passes=Passes(num_drawn=2, seed=1)).tables
    assert not np.array_equal(one.queries, changed.queries)


def test_biases_that_the_model_learns_are_folded_in(tmp_path: Path) -> None:
    content = small_content()
    info = {"score": "dot", "relations": [], "model": {"biases": True}}
    vectors, bias = content.tables.queries, np.array([3, -3, 0, 0, 0], np.float32)
    tables = ScoreTables(vectors, vectors, bias, both_ways=False)
    write_embeddings(tmp_path, Content(content.items, content.scored, tables, content.pairs, info))
    added = add_items(Embeddings.load(tmp_path), new_items([(0, 5), (1, 5)], 1))
    assert added.source.tolist() == ["pairs"]
    assert abs(added.tables.bias[0]) > 0.1
    assert added.tables.queries[0] @ vectors[1] > added.tables.queries[0] @ vectors[0]


@pytest.mark.parametrize("score", ["cosine", "dot"])
def test_vectors_of_other_scores_are_means(tmp_path: Path, score: str) -> None:
    """Item 5 is paired with 0 and 1; item 6 with item 5 alone, so it gets the same vector."""
    content = small_content()
    vectors = content.tables.queries
    if score == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    tables = ScoreTables(vectors, vectors, np.zeros(5, np.float32), both_ways=False)
    info = {"score": score, "relations": [], "model": {"score": score}}
    write_embeddings(tmp_path, Content(content.items, content.scored, tables, content.pairs, info))
    added = add_items(Embeddings.load(tmp_path), new_items([(0, 5), (1, 5), (5, 6)], 3))
    mean = (vectors[0] + vectors[1]) / 2
    if score == "cosine":
        mean = mean / np.linalg.norm(mean)
    assert added.source.tolist() == ["pairs", "pairs", "nothing"]
    np.testing.assert_allclose(added.tables.queries[0], mean, atol=1e-5)
    np.testing.assert_allclose(added.tables.queries[1], mean, atol=1e-5)


def test_side_information_is_where_folding_in_begins(tmp_path: Path) -> None:
    shop = Embeddings.load(store_side_info(tmp_path))
    new = new_items([(0, 5)], 3, brand=["A&B", "A&B", "C"], categories=[[["X"]], [["X"]], None])
    added = add_items(shop, new)
    assert added.source.tolist() == ["pairs", "side information", "nothing"]
    np.testing.assert_allclose(added.tables.queries[1], [0.5, 0.5])
    np.testing.assert_allclose(added.tables.bias[1], 0.5)
    assert added.weights is not None
    np.testing.assert_allclose(added.weights[0][1], [0, 0.5, 0.5, 0])
    np.testing.assert_allclose(added.weights[0][0], [1 / 3, 1 / 3, 1 / 3, 0], atol=1e-6)
    tied = add_items(shop, new, Objective(l2=1000), Passes(rate=0.01))
    np.testing.assert_allclose(tied.tables.queries[0], [0.5, 0.5], atol=0.05)


def test_columns_of_labels_stay_as_folding_in_found_them(tmp_path: Path) -> None:
    """They are no part of what training fits."""
    plain, folder = Embeddings.load(store_side_info(tmp_path / "plain")), tmp_path / "more"
    columns = np.random.default_rng(5).normal(size=(5, 64)).astype(np.float32)
    rows = value_columns(np.array([2.0, 1.0, 3.0, 0.0, 0.0]), 64)
    info = dict(plain.info) | {"content_dimension": 64, "content_weight": 0.25}
    side = SideInfo(plain.values.with_columns(as_column("content", rows)), *plain.part_weights)
    tables = plain.score_tables.with_content(columns)
    items = plain.items.drop("scored")
    content = Content(items, plain.scored, tables, plain.pairs, info, side)
    write_embeddings(folder / "embeddings", content)
    new = new_items([(0, 5)], 3, brand=["A&B", "A&B", "C"], categories=[[["X"]], [["X"]], None])
    run = Embeddings.load(folder)
    expected, added = add_items(plain, new), add_items(run, new)
    assert added.source.tolist() == expected.source.tolist()
    of_both = 0.5 * (rows[0] + rows[1]) / np.sqrt(5)
    for side_of in ("queries", "keys"):
        found = getattr(added.tables, side_of)
        np.testing.assert_allclose(found[:, :2], getattr(expected.tables, side_of), rtol=1e-5)
        np.testing.assert_allclose(found[:2, 2:], [of_both] * 2, rtol=1e-5)
        assert not found[2, 2:].any()
    write_added(run, new, added, tmp_path / "joined")
    joined = Embeddings.load(tmp_path / "joined")
    write_added(plain, new, expected, tmp_path / "without")
    without = Embeddings.load(tmp_path / "without").score("new0", IDS[1])
    assert joined.score("new0", IDS[1]) - without == pytest.approx(of_both @ columns[1], rel=1e-4)


def test_the_folder_holds_old_rows_as_they_were_and_new_ones(run: Embeddings) -> None:
    new = new_items([(0, 5), (5, 6)], 3)
    added, folder = add_items(run, new), run.folder.parent / "more"
    counts = write_added(run, new, added, folder)
    assert counts == {"pairs": 2, "side information": 0, "nothing": 1}
    found = Embeddings.load(folder)
    for name in ("vectors", "queries", "keys"):
        np.testing.assert_array_equal(getattr(found, name)[:5], getattr(run, name))
    assert found.items.drop("added")[:5].equals(run.items)
    assert found.items["added"].to_list() == [None] * 5 + ["pairs", "pairs", "nothing"]
    assert found.items["seen"].to_list()[5:] == found.scored.tolist()[5:] == [True, True, False]
    assert found.items["num_pairs"].to_list()[5:] == [2, 1, 0]
    ends = found.pairs.select("head", "tail").rows()
    assert ends == sorted(ends) == [(0, 1), (0, 2), (0, 5), (1, 3), (5, 6)]
    assert found.relations(5, np.array([0, 6, 1])) == [["bought_together"]] * 2 + [None]
    info = json.loads((folder / "embeddings.json").read_text())
    assert info["parent"]["folder"] == "../embeddings"
    assert (info["num_items"], info["num_scored"]) == (8, 6)
    assert found.similar("new0", 1)["item"].to_list()


def test_items_without_any_bias_are_added_to_a_run_with_biases(run: Embeddings) -> None:
    """Their vectors have the dimensions of the others, and zeros in those of the biases."""
    new, folder = new_items([(5, 6)], 2), run.folder.parent / "more"
    write_added(run, new, add_items(run, new), folder)
    found = Embeddings.load(folder)
    for name in ("vectors", "queries", "keys"):
        np.testing.assert_array_equal(getattr(found, name)[:5], getattr(run, name))
        assert not getattr(found, name)[5:].any()
    assert found.scored.tolist() == run.scored.tolist() + [False] * 2
    with pytest.raises(VectorsError, match="added with no pair with an item that has a vector"):
        found.similar("new0")  # though it has a pair


def test_adding_twice(run: Embeddings) -> None:
    first = new_items([(0, 5)], 1)
    write_added(run, first, add_items(run, first), run.folder.parent / "one")
    one = Embeddings.load(run.folder.parent / "one")
    second = new_items([(5, 6)], 2)
    second = second._replace(items=second.items[1:].with_columns(item=pl.lit("later")))
    write_added(one, second, add_items(one, second), run.folder.parent / "two")
    two = Embeddings.load(run.folder.parent / "two")
    assert two.ids.to_list()[5:] == ["new0", "later"]
    assert two.info["parent"]["folder"] == "../one"
    np.testing.assert_array_equal(two.keys[:6], one.keys)
    assert two.scored.tolist()[5:] == [True, True]


def test_folders_that_must_stay_are_refused(run: Embeddings) -> None:
    new = new_items([(0, 5)], 1)
    added = add_items(run, new)
    with pytest.raises(VectorsError, match="holds the embeddings that are added to"):
        write_added(run, new, added, run.folder)
    with pytest.raises(VectorsError, match="exists and holds no embeddings"):
        write_added(run, new, added, run.folder.parent)
    other = store(run.folder.parent / "other") / "embeddings"
    with pytest.raises(VectorsError, match="holds the embeddings of a run"):
        write_added(run, new, added, other)
    one, two = (run.folder.parent / name for name in ("one", "two"))
    write_added(run, new, added, one)
    write_added(run, new, added, one)  # the same again
    later = new._replace(items=new.items.with_columns(item=pl.lit("later")))
    of_one = Embeddings.load(one)
    later = later._replace(pairs=build_pairs(*np.array([[0], [6]], np.int32), np.ones(1), 7))
    write_added(of_one, later, add_items(of_one, later), two)
    for folder in (run.folder, one):
        with pytest.raises(VectorsError, match="holds the embeddings that are added to"):
            write_added(Embeddings.load(two), new, added, folder)
