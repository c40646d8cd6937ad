"""Exports are read back by the libraries that they are for."""

import json
import sys
from itertools import pairwise
from pathlib import Path

import faiss
import numpy as np
import polars as pl
import pytest
from gensim.models import KeyedVectors
from safetensors.numpy import load_file

from recsys_lab.readers.vector_files import read_vectors
from recsys_lab.vectors import export as room
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.export import export, num_rows
from recsys_lab.vectors.score_form import ScoreTables
from recsys_lab.vectors.store import Content, write_embeddings

ODD = ["0000013714", "nan", "a b", "😀 é", "tab\there", "line\nfeed", "nbsp\u00a0here", "-1"]
HELD = {
    "word2vec": ["0000013714", "nan", "😀", "nbsp\u00a0here", "\u2028", "-1", "None"],
    "word2vec-binary": ["0000013714", "nan", "😀", "tab\there", "\u2028", "back\rhere", "7"],
    "npy": ODD,
    "safetensors": ODD,
    "faiss": ODD,
}


def embeddings(
    folder: Path,
    ids: list[str],
    score: str = "center_context",
    unscored: tuple[int, ...] = (),
) -> Embeddings:
    """Random vectors of some items, D = 3."""
    rng = np.random.default_rng(0)
    n = len(ids)
    queries, keys = rng.standard_normal((2, n, 3)).astype(np.float32)
    if score == "cosine":
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    both_ways = score == "center_context"
    bias = rng.standard_normal(n).astype(np.float32) * both_ways
    tables = ScoreTables(queries, keys if both_ways else queries, bias, both_ways)
    items = pl.DataFrame(
        {
            "item": ids,
            "title": [None] * n,
            "brand": [None] * n,
            "categories": [None] * n,
            "price": [None] * n,
            "num_pairs": [1] * n,
            "seen": [True] * n,
        },
        schema_overrides={"title": pl.String, "brand": pl.String, "price": pl.Float64},
    )
    scored = np.ones(n, bool)
    scored[list(unscored)] = False
    no_pairs = pl.DataFrame(schema={"head": pl.Int32, "tail": pl.Int32})
    info = {"score": score, "relations": []}
    write_embeddings(folder / "embeddings", Content(items, scored, tables, no_pairs, info))
    return Embeddings.load(folder)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_ROWS", 3)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("form", HELD)
def test_vectors_and_odd_ids_survive_the_round_trip(form: str, tmp_path: Path) -> None:
    found = embeddings(tmp_path, HELD[form], unscored=(1,))
    rows = np.flatnonzero(found.scored)
    advanced: list[int] = []
    done = export(found, form, tmp_path / "out" / "x", advance=advanced.append)
    assert (done.num_items, done.left_out) == (len(rows), 1)
    assert sum(advanced) == num_rows(found, form)
    assert not list((tmp_path / "out").glob(".*"))
    if form == "faiss":
        index = faiss.read_index(str(tmp_path / "out" / "x"))
        np.testing.assert_array_equal(index.reconstruct_n(0, index.ntotal), found.keys[rows])
        np.testing.assert_array_equal(
            np.load(tmp_path / "out" / "x.query.npy"), found.queries[rows]
        )
        assert json.loads((tmp_path / "out" / "x.ids.json").read_text()) == [
            HELD[form][row] for row in rows
        ]
        return
    back = read_vectors(str(done.files[0]))
    assert back.ids.to_list() == [HELD[form][row] for row in rows]
    expected = {"vector": found.vectors, "query": found.queries, "key": found.keys}
    both = form in ("npy", "safetensors")
    assert list(back.tables) == (["query", "key"] if both else ["vector"])
    if form == "safetensors":
        assert list(read_vectors(str(done.files[0]), plain=True).tables) == ["vector"]
    for name, table in back.tables.items():
        np.testing.assert_array_equal(table, expected[name][rows])


@pytest.mark.parametrize("form", ["word2vec", "word2vec-binary"])
def test_gensim_gives_the_neighbours_of_a_cosine(form: str, tmp_path: Path) -> None:
    found = embeddings(tmp_path, HELD[form], "cosine")
    done = export(found, form, tmp_path / "x")
    assert done.note == ""
    loaded = KeyedVectors.load_word2vec_format(tmp_path / "x", binary=form != "word2vec")
    assert loaded.index_to_key == HELD[form]
    np.testing.assert_array_equal(loaded.vectors, found.vectors)
    for row, item in enumerate(HELD[form]):
        scores = found.queries[row] @ found.keys.T
        order = [k for k in np.argsort(-scores) if k != row][:3]
        near = loaded.most_similar(item, topn=3)
        assert [name for name, _ in near] == [HELD[form][k] for k in order]
        np.testing.assert_allclose([value for _, value in near], scores[order], atol=1e-6)


def test_safetensors_is_the_format_of_its_library(tmp_path: Path) -> None:
    found = embeddings(tmp_path, ODD)
    export(found, "safetensors", tmp_path / "x.safetensors")
    tensors = load_file(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(tensors["query"], found.queries)
    text, ends = tensors["ids"].tobytes(), tensors["id_offsets"]
    assert [text[a:b].decode() for a, b in pairwise(ends)] == ODD


@pytest.mark.parametrize("form", ["npy", "safetensors", "faiss", "word2vec"])
def test_one_table_can_be_chosen(form: str, tmp_path: Path) -> None:
    found = embeddings(tmp_path, ["a", "b", "c"])
    done = export(found, form, tmp_path / "x", which="key")
    assert "x.query.npy" not in {path.name for path in done.files}
    assert done.note == ""
    if form == "faiss":
        index = faiss.read_index(str(tmp_path / "x"))
        np.testing.assert_array_equal(index.reconstruct_n(0, 3), found.keys)
    elif form == "safetensors":
        np.testing.assert_array_equal(load_file(tmp_path / "x")["key"], found.keys)
    else:
        back = read_vectors(str(done.files[0]))
        np.testing.assert_array_equal(back.tables["vector"], found.keys)


@pytest.mark.parametrize(
    ("form", "which", "score", "words"),
    [
        ("word2vec", None, "center_context", "popularity or biases .* and a second vector"),
        ("npy", "vector", "center_context", "metrics.json"),
        ("npy", None, "center_context", "^$"),
        ("word2vec", None, "dot", "inner product, not by the cosine"),
        ("npy", "vector", "dot", "^$"),
        ("word2vec", None, "cosine", "^$"),
    ],
)
def test_a_note_tells_where_the_score_is_lost(
    form: str, which: str, score: str, words: str, tmp_path: Path
) -> None:
    note = export(embeddings(tmp_path, ["a", "b"], score), form, tmp_path / "x", which).note
    assert pl.Series([note]).str.contains(words)[0], note


@pytest.mark.parametrize(
    ("form", "ids", "message"),
    [
        ("word2vec", ["a", "b c", "d e"], r"white space: 2 of 3 .* 'b c'; choose --format npy"),
        ("word2vec", ["a", "b\tc"], r"1 of 2 .* choose --format word2vec-binary$"),
        ("word2vec-binary", ["a", "b\nc"], r"a space or a line feed: 1 of 2"),
        ("csv", ["a"], "format must be one of word2vec, .* got csv"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    form: str, ids: list[str], message: str, tmp_path: Path
) -> None:
    found = embeddings(tmp_path, ids)
    (tmp_path / "x").write_text("before")
    with pytest.raises(VectorsError, match=message):
        export(found, form, tmp_path / "x")
    assert (tmp_path / "x").read_text() == "before"


def test_other_mistakes_get_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = embeddings(tmp_path, ["a", "b"], unscored=(0, 1))
    with pytest.raises(VectorsError, match=r"no item of .* has a score"):
        export(found, "npy", tmp_path / "x")
    found = embeddings(tmp_path, ["a", "b"])
    with pytest.raises(VectorsError, match="is a folder"):
        export(found, "npy", tmp_path)
    with pytest.raises(VectorsError, match="which must be one of vector, query, key, got keys"):
        export(found, "npy", tmp_path / "x", which="keys")
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(VectorsError, match=r"pip install 'recsys-lab\[index\]'"):
        export(found, "faiss", tmp_path / "x")
