"""Embeddings on disk: what is written comes back, and what is absent is named."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import recsys_lab
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.export import export
from recsys_lab.vectors.parquet_columns import as_column
from recsys_lab.vectors.store import write_embeddings
from tests.vectors.stored import IDS, small_content, store


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store(tmp_path_factory.mktemp("stored") / "run")


def test_what_is_written_comes_back(run: Path) -> None:
    content, found = small_content(), recsys_lab.Embeddings.load(run)
    assert len(found) == 5
    assert found.ids.to_list() == IDS
    columns = content.items.columns
    assert found.items.columns == [*columns, "scored"]
    assert found.items.select(columns).equals(content.items)
    np.testing.assert_array_equal(found.scored, content.scored)
    np.testing.assert_array_equal(found.vectors[:4], content.tables.queries[:4])
    assert not found.vectors[4].any()
    assert not found.queries[4].any()
    assert not found.keys[4].any()
    assert found.pairs.equals(content.pairs)
    for part, expected in zip(found.score_tables[:3], content.tables, strict=False):
        np.testing.assert_array_equal(part[:4], expected[:4])


@pytest.mark.parametrize("place", ["", "embeddings", "embeddings/items.parquet"])
def test_every_name_of_the_place_is_understood(run: Path, place: str) -> None:
    assert Embeddings.load(run / place).score("0007", "c") == pytest.approx(
        Embeddings.load(run).score("c", "0007"), abs=1e-6
    )


def test_the_score_is_that_of_the_tables(run: Path) -> None:
    tables = small_content().tables
    both = (tables.queries @ tables.keys.T + tables.keys @ tables.queries.T) / 2
    expected = both[0, 2] + tables.bias[0] + tables.bias[2]
    assert Embeddings.load(run).score("0007", "c") == pytest.approx(expected, abs=1e-5)


def test_pandas_and_polars_open_the_file(run: Path) -> None:
    path = run / "embeddings" / "items.parquet"
    frame = pl.read_parquet(path)
    assert frame.schema["vector"] == pl.Array(pl.Float32, 3)
    assert frame.schema["query"] == frame.schema["key"] == pl.Array(pl.Float32, 8)
    assert frame["item"].to_list() == IDS
    assert pd.read_parquet(path)["vector"][0].tolist() == frame["vector"][0].to_list()


def test_relations_of_training_pairs(run: Path) -> None:
    found = Embeddings.load(run)
    assert found.relations(0, np.array([1, 2, 3])) == [
        ["also_bought", "bought_together"],
        ["also_bought"],
        None,
    ]
    assert found.relations(3, np.array([1, 4])) == [[], None]


def test_unknown_items_are_named_with_near_ones(run: Path) -> None:
    found = Embeddings.load(run)
    with pytest.raises(VectorsError, match=r'no item "00077" among the 5 items .*0007'):
        found.vector("00077")
    with pytest.raises(VectorsError, match="'é😀' has no score: no training pair holds it"):
        found.score("c", "é😀")


def test_what_is_absent_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(VectorsError, match="there is no run folder and no file"):
        Embeddings.load(tmp_path / "nothing")
    with pytest.raises(VectorsError, match="is not the folder of a run"):
        Embeddings.load(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(VectorsError, match=r"did not finish: .* ckpt_path=.*/last\.ckpt"):
        Embeddings.load(tmp_path)
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(VectorsError, match="write them with python -m recsys_lab embed"):
        Embeddings.load(tmp_path)
    (tmp_path / "x.parquet").write_text("no Parquet")
    with pytest.raises(VectorsError, match="is not a Parquet file"):
        Embeddings.load(tmp_path / "x.parquet")
    pl.DataFrame({"item": ["a"], "price": [1.0]}).write_parquet(tmp_path / "y.parquet")
    with pytest.raises(VectorsError, match="needs the columns item and vector, it has item, price"):
        Embeddings.load(tmp_path / "y.parquet")


def test_files_that_are_damaged_or_absent_are_sentences(tmp_path: Path) -> None:
    folder = store(tmp_path) / "embeddings"
    whole = (folder / "items.parquet").read_bytes()
    pairs = (folder / "pairs.parquet").read_bytes()
    (folder / "pairs.parquet").unlink()  # not to be read as a run without pairs
    with pytest.raises(
        VectorsError, match=r"pairs\.parquet is not a Parquet file .* write it again"
    ):
        Embeddings.load(tmp_path).similar("c")
    (folder / "pairs.parquet").write_bytes(pairs)
    damaged = Embeddings.load(tmp_path)
    (folder / "items.parquet").write_bytes(
        whole[:4] + bytes(len(whole) // 2) + whole[len(whole) // 2 + 4 :]
    )
    reads: list[Callable[[], object]] = [
        lambda: Embeddings.load(tmp_path),
        lambda: damaged.items,
        lambda: damaged.keys,
        lambda: damaged.query(0),
        lambda: export(damaged, "npy", tmp_path / "x.npy"),
    ]
    for read in reads:
        with pytest.raises(VectorsError, match=r"items\.parquet is not a Parquet file"):
            read()


def test_a_later_format_and_a_damaged_description_are_refused(tmp_path: Path) -> None:
    info = store(tmp_path) / "embeddings" / "embeddings.json"
    stored = json.loads(info.read_text())
    info.write_text(json.dumps(stored | {"format": 2}))
    with pytest.raises(VectorsError, match="has format 2, this version reads 1"):
        Embeddings.load(tmp_path)
    info.write_text("{")
    with pytest.raises(VectorsError, match=r"cannot read .*embeddings\.json"):
        Embeddings.load(tmp_path)


def test_a_file_from_elsewhere_has_plain_vectors(tmp_path: Path) -> None:
    vectors = pl.Series("vector", np.eye(3, dtype=np.float32), dtype=pl.Array(pl.Float32, 3))
    pl.DataFrame({"item": ["a", "b", "c"]}).with_columns(vectors).write_parquet(
        tmp_path / "v.parquet"
    )
    found = Embeddings.load(tmp_path / "v.parquet")
    assert found.items.columns[:5] == ["item", "title", "brand", "categories", "price"]
    assert found.scored.all()
    assert found.score("a", "a") == 1
    assert found.score("a", "b") == 0
    assert found.pairs.is_empty()
    assert found.relations(0, np.array([1])) == [None]


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"item": [1, 2]}, "the column item is Int64, not String: convert it"),
        ({"vector": [[1.0], [2.0]]}, r"the column vector is List\(Float64\), not Array\(Float32\)"),
        ({"title": [1, 2]}, "the column title is Int64, not String"),
        (
            {"categories": ["a", "b"]},
            r"the column categories is String, not List\(List\(String\)\)",
        ),
    ],
)
def test_columns_of_other_types_are_refused(tmp_path: Path, columns: dict, complaint: str) -> None:
    usable = {"item": ["a", "b"], "vector": as_column("vector", np.eye(2)), "price": [1, 2]}
    pl.DataFrame(usable).write_parquet(tmp_path / "good.parquet")
    assert Embeddings.load(tmp_path / "good.parquet").similar("a", 1)["price"].to_list() == [2]
    pl.DataFrame(usable | columns).write_parquet(tmp_path / "bad.parquet")
    with pytest.raises(VectorsError, match=complaint):
        Embeddings.load(tmp_path / "bad.parquet")


def test_a_write_that_fails_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(tmp_path)
    broken = small_content()._replace(info={"value": float("nan")})  # JSON has no NaN
    with pytest.raises(ValueError, match="JSON"):
        write_embeddings(tmp_path / "embeddings", broken)
    assert [path.name for path in tmp_path.iterdir()] == ["embeddings"]
    assert len(Embeddings.load(tmp_path)) == 5


def test_rows_of_a_file_from_elsewhere_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"

    def write(ids: list[str | None], vectors: np.ndarray) -> Embeddings:
        column = pl.Series("vector", vectors, dtype=pl.Array(pl.Float32, 2))
        pl.DataFrame({"item": ids}).with_columns(column).write_parquet(path)
        return Embeddings.load(path)

    sound = np.ones((3, 2), np.float32)
    assert write(["a", "b", "c"], sound).score("a", "b") == 2
    with pytest.raises(VectorsError, match="2 rows share their id with another, such as 'a'"):
        write(["a", "b", "a"], sound).similar("b")
    with pytest.raises(VectorsError, match="1 rows have no id"):
        write(["a", None, "b"], sound).similar("b")
    broken = sound.copy()
    broken[1, 1] = np.nan
    with pytest.raises(VectorsError, match="the column vector holds NaN or infinite values"):
        write(["a", "b", "c"], broken).similar("a")
