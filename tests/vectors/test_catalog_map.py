import numpy as np
import polars as pl
import pytest

from recsys_lab.vectors import catalog_map
from recsys_lab.vectors.catalog_map import MapOptions, prepare_map
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.parquet_columns import as_column
from tests.vectors.stored import store


@pytest.fixture
def projected(monkeypatch):
    """Replaces UMAP by the first two dimensions; collects the seeds of the calls."""
    seeds = []

    def project(vectors, seed):
        seeds.append(seed)
        return vectors[:, :2]

    monkeypatch.setattr(catalog_map, "project", project)
    return seeds


def prepare(folder, **options):
    notes = []
    return prepare_map(Embeddings.load(folder), MapOptions(**options), notes.append), notes


def test_the_table_of_a_run(tmp_path, projected):
    run = store(tmp_path / "run")
    found = Embeddings.load(run)
    path, notes = prepare(run, neighbors=2)
    assert path.parent == run / "embeddings"
    assert notes == ["1 of 5 items are left out: the model cannot score them"]
    table = pl.read_parquet(path)
    columns = ["x", "y", "id", "title", "brand", "category", "price", "num_pairs", "neighbors"]
    assert table.columns == columns
    np.testing.assert_array_equal(table.select("x", "y").to_numpy(), found.vectors[:4, :2])
    assert table["id"].to_list() == found.ids[:4].to_list()
    assert table["title"].to_list() == ["Red shoe", "Blue shoe", "Red hat", "nan"]
    assert table["category"].to_list() == ["Shoes", "Shoes", "Hats", None]
    assert table["price"].to_list() == [10, 20, None, 5]
    for row, near in enumerate(table["neighbors"]):
        scores = {o: found.score(found.ids[row], found.ids[o]) for o in range(4) if o != row}
        best = sorted(scores, key=lambda other: -scores[other])[:2]
        assert near["ids"] == best
        assert near["distances"] == pytest.approx([-scores[o] for o in best], abs=1e-5)


def test_a_table_is_made_once_for_each_setting(tmp_path, projected):
    run = store(tmp_path / "run")
    first, _ = prepare(run)
    assert prepare(run)[0] == first
    assert projected == [0]
    assert len({first, prepare(run, seed=1)[0], prepare(run, sample=3)[0]}) == 3
    assert projected == [0, 1, 0]
    store(tmp_path / "run")  # new vectors have a new table
    assert prepare(run)[0].is_file()
    assert len(projected) == 4
    assert not list((run / "embeddings").glob(".*"))


def test_a_sample_is_reported(tmp_path, projected):
    path, notes = prepare(store(tmp_path / "run"), sample=3)
    table = pl.read_parquet(path)
    assert table.height == 3
    assert "sample of 3 of 4 items" in notes[1]
    assert all(max(near["ids"]) <= 2 for near in table["neighbors"])  # rows of the table
    assert set(table["category"]) == {"Shoes", "Hats", None}


def test_a_file_from_elsewhere_has_a_map(tmp_path, projected):
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    columns = [pl.Series("item", list("abcd")), as_column("vector", vectors)]
    pl.DataFrame(columns).write_parquet(tmp_path / "mine.parquet")
    table = pl.read_parquet(prepare(tmp_path / "mine.parquet")[0])
    assert table["title"].to_list() == list("abcd")
    assert table["category"].null_count() == 4
    assert table["neighbors"][0]["ids"] == [3, 2, 1]


def test_options_are_checked_and_a_partial_file_is_not_left(tmp_path, monkeypatch):
    run = store(tmp_path / "run")
    with pytest.raises(ValueError, match="sample must be >= 3, got 2"):
        prepare(run, sample=2)

    def fail(*arguments):
        raise VectorsError("no")

    monkeypatch.setattr(catalog_map, "project", fail)
    with pytest.raises(VectorsError):
        prepare(run)
    assert not list((run / "embeddings").glob("*map*"))
