"""Runs with lists of similar items in place of vectors."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_lab.run.add import add
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.export import export, num_rows
from recsys_lab.vectors.neighbours import write_neighbours
from recsys_lab.vectors.similar import Wishes, similar_items
from tests.vectors.stored import IDS, store_lists


@pytest.fixture
def found(tmp_path: Path) -> Embeddings:
    """Lists of two of the three other items."""
    return Embeddings.load(store_lists(tmp_path))


def names(table: pl.DataFrame) -> list[str]:
    return table["item"].to_list()


def test_the_first_of_a_list_with_what_the_catalogue_tells(found: Embeddings) -> None:
    assert found.similar("c", 1).select("item", "title", "score", "relation", "seen").rows() == [
        ("a b", "Blue shoe", 19.0, None, True)
    ]
    assert names(found.similar("c", 2)) == ["a b", "0007"]
    assert found.similar("0007", 2)["relation"].to_list()[1] == ["also_bought"]
    many = found.similar_many(["nan", "0007", "nan"], 2)
    assert many.select("query_item", "item").rows() == [
        ("nan", "c"), ("0007", "a b"), ("0007", "c"), ("nan", "c")
    ]  # fmt: skip
    assert similar_items(found, np.array([], np.int64), 2, Wishes()).is_empty()
    assert found.score("c", "0007") == 18.0


def test_filters_choose_from_the_lists_and_tell_of_those_that_are_short(
    found: Embeddings, caplog: pytest.LogCaptureFixture
) -> None:
    assert names(found.similar("c", 1, not_known=True)) == ["a b"]  # 0-2 is a training pair
    assert names(found.similar("c", 1, brand="acme")) == ["a b"]
    assert names(found.similar("nan", 2)) == ["c"]  # has no others with a score
    assert not caplog.text
    assert names(found.similar("c", 2, not_known=True)) == ["a b"]
    assert "fewer than 2 items for 1 of 1" in caplog.text
    assert "model.list_length" in caplog.text


def test_longer_lists_are_refused_where_there_are_more_items(
    found: Embeddings, tmp_path: Path
) -> None:
    for ask in (found.similar, lambda item, k: write_neighbours(found, tmp_path / "n", k)):
        with pytest.raises(VectorsError, match=r"k must be <= 2, .* got 3: .*model\.list_length"):
            ask("c", 3)
    whole = Embeddings.load(store_lists(tmp_path / "whole", 3))
    assert names(whole.similar("0007", 9)) == IDS[1:4]


def test_the_lists_of_all_items_are_a_copy(found: Embeddings, tmp_path: Path) -> None:
    out = tmp_path / "n.parquet"
    assert write_neighbours(found, out, 1) == (4, 1, 4)
    assert pl.read_parquet(out).rows() == [
        ("0007", "a b", 1, -1.0),
        ("a b", "0007", 1, 9.0),
        ("c", "a b", 1, 19.0),
        ("nan", "c", 1, 29.0),
    ]


def test_what_takes_vectors_is_refused_in_a_sentence(found: Embeddings, tmp_path: Path) -> None:
    file = tmp_path / "items.json"
    for ask in (
        lambda: found.vectors,
        lambda: found.queries,
        lambda: found.keys,
        lambda: found.query(0),
        lambda: found.screen,
        lambda: found.vector("c"),
        lambda: found.similar("c", 1, diversity=0.3),
        lambda: found.for_history(["c"]),
        lambda: found.explain("c", ["0007"]),
        lambda: export(found, "npy", tmp_path / "x"),
        lambda: num_rows(found, "npy"),
        lambda: add(found.path.parents[1], file),
    ):
        with pytest.raises(VectorsError, match="has lists of similar items and no vectors: take"):
            ask()
    with pytest.raises(VectorsError, match=r"'nan' is not in the list of 'c'.*recsys_lab.load"):
        found.score("c", "nan")
    with pytest.raises(VectorsError, match="has no similar items"):
        found.similar(IDS[4])
