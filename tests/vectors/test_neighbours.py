"""The lists of all items: their content, and that an interrupted start goes on."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_lab.vectors import neighbours as room
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.neighbours import SearchOptions, write_neighbours
from recsys_lab.vectors.stored_lists import SCHEMA
from tests.run_cases import ROOT
from tests.vectors.stored import IDS, store

NUM_ITEMS = 700


@pytest.fixture(scope="module")
def random_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random vectors of 700 items, of which every seventh cannot be scored."""
    path = tmp_path_factory.mktemp("random") / "vectors.parquet"
    vectors = np.random.default_rng(0).normal(size=(NUM_ITEMS, 8)).astype(np.float32)
    pl.DataFrame({"item": [f"i{n:03d}" for n in range(NUM_ITEMS)]}).with_columns(
        scored=pl.Series(np.arange(NUM_ITEMS) % 7 > 0),
        vector=pl.Series(vectors, dtype=pl.Array(pl.Float32, 8)),
    ).write_parquet(path)
    return path


@pytest.fixture
def indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index from the first item on, parts of 100 items."""
    monkeypatch.setattr(room, "EXACT_ITEMS", 0)
    monkeypatch.setattr(room, "_BLOCK", 100)
    monkeypatch.setattr("recsys_lab.vectors.index._MIN_HUBS", 5)


def all_lists(found: Embeddings, k: int) -> pl.DataFrame:
    """The same table, from all scores."""
    scores = found.queries @ found.keys.T
    rows = []
    for i in np.flatnonzero(found.scored):
        others = [j for j in np.argsort(-scores[i]) if found.scored[j] and j != i][:k]
        rows += [
            (found.ids[int(i)], found.ids[int(j)], rank, float(scores[i, j]))
            for rank, j in enumerate(others, start=1)
        ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def assert_same_table(one: pl.DataFrame, other: pl.DataFrame) -> None:
    assert one.schema == other.schema == SCHEMA
    assert one.drop("score").equals(other.drop("score"))
    np.testing.assert_allclose(one["score"], other["score"], atol=1e-5)


def test_three_neighbours_of_each_of_four_items(tmp_path: Path) -> None:
    found, out = Embeddings.load(store(tmp_path)), tmp_path / "lists" / "n.parquet"
    written = write_neighbours(found, out, k=5)
    table = pl.read_parquet(out)
    assert written == (4, 1, 12)
    assert_same_table(table, all_lists(found, 5))
    assert table["item"].unique(maintain_order=True).to_list() == IDS[:4]
    first = table.row(0, named=True)
    assert first["score"] == pytest.approx(found.score(first["item"], first["neighbour"]), abs=1e-5)
    assert [path.name for path in out.parent.iterdir()] == ["n.parquet"]


def test_index_and_exact_search_write_the_same_form(
    random_file: Path, indexed: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found, expected = Embeddings.load(random_file), all_lists(Embeddings.load(random_file), 6)
    seen: list[tuple[int, int]] = []
    write_neighbours(found, tmp_path / "exact", 6, SearchOptions(exact=True))
    assert_same_table(pl.read_parquet(tmp_path / "exact"), expected)
    with caplog.at_level("INFO"):
        options = SearchOptions(probes=1000)
        write_neighbours(
            found, tmp_path / "index", 6, options, lambda done, total: seen.append((done, total))
        )
    assert "it finds 1.0000 of the exact neighbours of a sample of 600 items" in caplog.text
    assert_same_table(pl.read_parquet(tmp_path / "index"), expected)
    assert seen == [(done, 600) for done in range(100, 700, 100)]


def test_lists_are_no_longer_than_there_are_items(
    random_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory follows the number of items, not the length that is asked for."""
    monkeypatch.setattr(room, "_PLACES", 5990)  # of ten lists
    parts: list[tuple[int, int]] = []
    found, out = Embeddings.load(random_file), tmp_path / "all"
    write_neighbours(found, out, 10**12, progress=lambda *done: parts.append(done))
    table, wanted = pl.read_parquet(out), all_lists(found, 599)
    assert table["item"].equals(wanted["item"])
    np.testing.assert_allclose(table["score"], wanted["score"], atol=1e-5)
    assert parts == [(done, 600) for done in range(10, 610, 10)]


STARTED = """
import sys, time
from pathlib import Path
from recsys_lab.vectors import index, neighbours as room
from recsys_lab.vectors.embeddings import Embeddings
room.EXACT_ITEMS, room._BLOCK, index._MIN_HUBS = 0, 100, 5
wait = lambda done, total: time.sleep(0 if done < 300 else 60)
options = room.SearchOptions(probes=3, min_recall=0)
room.write_neighbours(Embeddings.load(sys.argv[1]), Path(sys.argv[2]), 6, options, wait)
"""


def test_a_start_after_a_kill_ends_with_the_same_file(
    random_file: Path,
    indexed: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    out, found = tmp_path / "n.parquet", Embeddings.load(random_file)
    words = [sys.executable, "-c", STARTED, str(random_file), str(out)]
    process = subprocess.Popen(words, cwd=ROOT)
    parts = tmp_path / ".n.parquet.parts"
    deadline = time.monotonic() + 60
    while not (parts / "000002.parquet").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not out.exists()
    assert len(list(parts.glob("*.parquet"))) == 3
    options = SearchOptions(probes=3, min_recall=0)
    with monkeypatch.context() as patched, caplog.at_level("INFO"):
        patched.delattr(room, "build_index")  # the index of the first start is used
        write_neighbours(found, out, 6, options)
    assert "going on after 3 parts" in caplog.text
    assert "it finds" in caplog.text
    assert not parts.exists()
    write_neighbours(found, tmp_path / "whole.parquet", 6, options)
    assert pl.read_parquet(out).equals(pl.read_parquet(tmp_path / "whole.parquet"))


@pytest.mark.parametrize("other", [6, 3])
def test_two_starts_at_once_do_not_mix(
    random_file: Path, indexed: None, tmp_path: Path, other: int
) -> None:
    out, found, exact = tmp_path / "n.parquet", Embeddings.load(random_file), SearchOptions(True)

    def start_another(done: int, total: int) -> None:
        if done == 200:
            write_neighbours(found, out, other, exact)

    with pytest.raises(VectorsError, match=r"another process writes .*n\.parquet, too"):
        write_neighbours(found, out, 6, exact, start_another)
    assert_same_table(pl.read_parquet(out), all_lists(found, other))
    assert [path.name for path in tmp_path.iterdir()] == ["n.parquet"]


def test_parts_of_other_lists_are_not_used(
    random_file: Path, indexed: None, tmp_path: Path
) -> None:
    out, found = tmp_path / "n.parquet", Embeddings.load(random_file)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_neighbours(found, out, 6, SearchOptions(exact=True), stop)
    assert (tmp_path / ".n.parquet.parts" / "000000.parquet").exists()
    write_neighbours(found, out, 5, SearchOptions(exact=True))
    assert_same_table(pl.read_parquet(out), all_lists(found, 5))


def test_an_index_of_small_recall_leaves_the_former_file(
    random_file: Path, indexed: None, tmp_path: Path
) -> None:
    out, found = tmp_path / "n.parquet", Embeddings.load(random_file)
    out.write_text("former")
    with pytest.raises(VectorsError, match=r"less than 0\.98: search exactly"):
        write_neighbours(found, out, 6, SearchOptions(probes=1))
    assert out.read_text() == "former"


def test_without_the_library_search_is_exact(
    random_file: Path,
    indexed: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(room, "has_library", lambda: False)
    found = Embeddings.load(random_file)
    with caplog.at_level("INFO"):
        write_neighbours(found, tmp_path / "n.parquet", 6)
    assert "faiss is not installed: the extra `index` is faster" in caplog.text
    assert_same_table(pl.read_parquet(tmp_path / "n.parquet"), all_lists(found, 6))


def test_wrong_arguments_are_named(random_file: Path, tmp_path: Path) -> None:
    found = Embeddings.load(random_file)
    with pytest.raises(VectorsError, match="k must be >= 1, got 0"):
        write_neighbours(found, tmp_path / "n.parquet", 0)
    with pytest.raises(VectorsError, match=r"is a folder: name a file, such as .*neighbours"):
        write_neighbours(found, tmp_path)
    with pytest.raises(VectorsError, match="min_recall must be from 0 to 1, got 98"):
        SearchOptions(min_recall=98)
    with pytest.raises(VectorsError, match="probes must be >= 1, got 0"):
        SearchOptions(probes=0)


def test_no_item_can_be_scored(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    vectors = pl.Series("vector", np.zeros((2, 3), np.float32), dtype=pl.Array(pl.Float32, 3))
    pl.DataFrame({"item": ["a", "b"], "scored": [False, False]}).with_columns(
        vectors
    ).write_parquet(path)
    found = Embeddings.load(path)
    assert write_neighbours(found, tmp_path / "n.parquet") == (0, 2, 0)
    assert pl.read_parquet(tmp_path / "n.parquet").schema == SCHEMA
