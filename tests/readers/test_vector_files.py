"""Files of vectors, as their libraries and their originals write them."""

import gzip
import json
import logging
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from gensim.models import KeyedVectors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from recsys_lab.readers.item_vectors import ItemVectors, VectorFileError
from recsys_lab.readers.vector_files import read_vectors

IDS = ["0000013714", "nan", "😀"]
VECTORS = np.array([[1, -2.5], [3e-30, 0.1], [7, 3.4e38]], np.float32)


def text(header: str = "3 2\n", ids: list[str] = IDS, end: str = "\n") -> bytes:
    lines = [f"{name} {' '.join(map(str, row))}" for name, row in zip(ids, VECTORS, strict=True)]
    return (header + end.join(lines) + end).encode()


def binary(after: bytes = b"\n") -> bytes:
    rows = [
        f"{name} ".encode() + row.tobytes() + after for name, row in zip(IDS, VECTORS, strict=True)
    ]
    return b"3 2\n" + b"".join(rows)


def numpy_pair(folder: Path, ids: str = "x.ids.json", array: np.ndarray = VECTORS) -> Path:
    np.save(folder / "x.npy", array)
    content = json.dumps(IDS) if ids.endswith("json") else "\n".join(IDS) + "\n"
    (folder / ids).write_text(content)
    return folder / "x.npy"


def parquet(folder: Path, columns: dict[str, object]) -> Path:
    pl.DataFrame(columns).write_parquet(folder / "x.parquet")
    return folder / "x.parquet"


def same(found: ItemVectors, ids: list[str] = IDS) -> None:
    assert found.ids.to_list() == ids
    assert list(found.tables) == ["vector"]
    assert found.tables["vector"].dtype == np.float32
    np.testing.assert_array_equal(found.tables["vector"], VECTORS)


@pytest.mark.parametrize(
    "content",
    [
        text(),
        text(end=" \r\n"),  # word2vec.c ends lines with a space
        text(header=""),  # GloVe
        b"\xef\xbb\xbf" + text(),
        b"\xef\xbb\xbf" + text(header=""),
        text().removesuffix(b"\n") + b"\n\n",
        text().replace(b" ", b"\t"),
        binary(),
        binary(after=b""),
    ],
)
def test_word2vec_and_glove(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    same(read_vectors(str(tmp_path / "x")))
    (tmp_path / "x.gz").write_bytes(gzip.compress(content))
    same(read_vectors(str(tmp_path / "x.gz")))


@pytest.mark.parametrize("is_binary", [False, True])
def test_what_gensim_writes(is_binary: bool, tmp_path: Path) -> None:
    vectors = KeyedVectors(2)
    vectors.add_vectors(IDS, VECTORS)
    vectors.save_word2vec_format(str(tmp_path / "x"), binary=is_binary)
    same(read_vectors(str(tmp_path / "x")))


_WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda word: not set(word.encode()) & set(b" \t\n\v\f\r") and not word.startswith("\ufeff")
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    ids=st.lists(_WORDS, min_size=1, max_size=8, unique=True),
    dim=st.integers(2, 5),
    is_binary=st.booleans(),
    data=st.data(),
)
def test_any_id_and_value(
    ids: list[str], dim: int, is_binary: bool, data: st.DataObject, tmp_path: Path
) -> None:
    values = st.floats(width=32, allow_nan=False, allow_infinity=False)
    rows = st.lists(values, min_size=dim, max_size=dim)
    vectors = np.array(data.draw(st.lists(rows, min_size=len(ids), max_size=len(ids))), np.float32)
    out = f"{len(ids)} {dim}\n".encode()
    for name, row in zip(ids, vectors, strict=True):
        numbers = row.tobytes() if is_binary else " ".join(map(str, row)).encode() + b"\n"
        out += name.encode() + b" " + numbers
    (tmp_path / "x").write_bytes(out)
    found = read_vectors(str(tmp_path / "x"))
    assert found.ids.to_list() == ids
    np.testing.assert_array_equal(found.tables["vector"], vectors)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(ids=st.lists(st.text(min_size=1), min_size=1, max_size=8, unique=True))
def test_ids_beside_a_table_may_be_any_text(ids: list[str], tmp_path: Path) -> None:
    ids = [name for name in ids if name.isprintable()] or ["a"]
    np.save(tmp_path / "x.npy", np.ones((len(ids), 2)))
    (tmp_path / "x.ids.json").write_text(json.dumps(ids))
    assert read_vectors(str(tmp_path / "x.npy")).ids.to_list() == ids


def test_numpy_and_its_ids(tmp_path: Path) -> None:
    for name in ("x.ids.json", "x.npy.ids.json", "x.ids.txt", "x.npy.ids.txt"):
        same(read_vectors(str(numpy_pair(tmp_path, name))))
        (tmp_path / name).rename(tmp_path / "other.json" if "json" in name else tmp_path / "other")
    same(read_vectors(str(tmp_path / "x.npy"), str(tmp_path / "other.json")))
    same(read_vectors(str(tmp_path / "x.npy"), str(tmp_path / "other")))
    same(read_vectors(str(numpy_pair(tmp_path, array=np.asfortranarray(VECTORS, np.float64)))))


def test_queries_and_keys_of_numpy(tmp_path: Path) -> None:
    numpy_pair(tmp_path)
    for role, sign in (("query", 1), ("key", -1)):
        np.save(tmp_path / f"x.{role}.npy", sign * VECTORS)
    (tmp_path / "x.npy").unlink()
    for name in ("x.query.npy", "x.key.npy", "x.npy"):
        found = read_vectors(str(tmp_path / name))
        np.testing.assert_array_equal(found.tables["query"], VECTORS)
        np.testing.assert_array_equal(found.tables["key"], -VECTORS)
    np.save(tmp_path / "x.key.npy", np.ones((3, 5)))
    with pytest.raises(VectorFileError, match=r"two tables of one shape, got query \(3, 2\), key"):
        read_vectors(str(tmp_path / "x.query.npy"))
    (tmp_path / "x.key.npy").unlink()
    with pytest.raises(VectorFileError, match=r"there is no file .*x\.key\.npy"):
        read_vectors(str(tmp_path / "x.query.npy"))


def test_parquet_in_its_forms(tmp_path: Path) -> None:
    rows = VECTORS.tolist()
    same(read_vectors(str(parquet(tmp_path, {"item": IDS, "v": rows}))))
    array = pl.Series(VECTORS, dtype=pl.Array(pl.Float32, 2))
    same(read_vectors(str(parquet(tmp_path, {"word": IDS, "v": array, "n": [1, 2, 3]}))))
    a, b = VECTORS.T.astype(np.float64)
    same(read_vectors(str(parquet(tmp_path, {"item": IDS, "d0": a, "d1": b}))))
    same(read_vectors(str(parquet(tmp_path, {"item": [3, 1, 2], "v": rows}))), ["3", "1", "2"])
    scored = {"item": [*IDS, "x"], "vector": [*rows, [0.0, 0.0]], "scored": [True] * 3 + [False]}
    same(read_vectors(str(parquet(tmp_path, scored))))


def test_safetensors_in_its_forms(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"weight": VECTORS, "steps": np.arange(2)}, path)
    (tmp_path / "x.ids.txt").write_text("\n".join(IDS))
    same(read_vectors(str(path)))
    raw = [name.encode() for name in IDS]
    ends = np.cumsum([0, *map(len, raw)])
    joined = np.frombuffer(b"".join(raw), np.uint8)
    save_file({"vector": VECTORS, "ids": joined, "id_offsets": ends}, path)
    (tmp_path / "x.ids.txt").unlink()
    same(read_vectors(str(path)))
    save_file({"vector": VECTORS, "ids": joined, "id_offsets": ends + 1}, path)
    with pytest.raises(VectorFileError, match="id_offsets do not fit ids"):
        read_vectors(str(path))
    save_file({"a": VECTORS, "b": VECTORS}, path)
    with pytest.raises(VectorFileError, match=r"needs one table of vectors, .* it has a, b"):
        read_vectors(str(path))


def test_the_first_of_repeated_ids_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "x").write_bytes(text(ids=["a", "b", "a"]))
    with caplog.at_level(logging.WARNING):
        found = read_vectors(str(tmp_path / "x"))
    assert found.ids.to_list() == ["a", "b"]
    np.testing.assert_array_equal(found.tables["vector"], VECTORS[:2])
    assert "1 vectors of ids that came before, such as 'a': the first" in caplog.text


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "x is empty"),
    "no vectors": (b"0 2\n", "promises 0 vectors"),
    "fewer lines": (text("4 2\n"), "holds 3 vectors, its first line promises 4"),
    "more lines": (text("2 2\n"), "holds 3 vectors, its first line promises 2"),
    "another dimension": (text() + b"d 1 2 3\n", r"line 5 has 3 values after the id, not 2"),
    "an id of two words": (text("3 2\n", ["a", "b c", "d"]), "line 3 has 3 values after the id"),
    "a word for a number": (text() + b"d 1 two\n", "line 5 has 'two' where a number belongs"),
    "NaN": (b"3 2\na 1 2\nb nan 1\nc inf 1\n", r"2 of 3 .* NaN .* number 2, of 'b'"),
    "beyond float32": (b"2 2\na 1 2\nb 1e39 1\n", r"1 of 2 .* infinite .* of 'b'"),
    "an id that is no UTF-8": (b"2 2\na 1 2\n\xff 1 2\n", r"line 3: the id .*\\xff.* not UTF-8"),
    "binary, no UTF-8": (binary().replace("😀".encode(), b"\xff"), "vector 3: .* not UTF-8"),
    "binary cut short": (binary()[:-4], "ends within vector 3 of the 3 vectors of 2 values"),
    "binary goes on": (binary() + b"more", "goes on after number 3"),
    "fewer in binary": (binary().replace(b"3 2", b"4 2"), "ends within vector 4 of the 4"),
    "an edge list": (b"a b\nb c\n", "begins with 'a b', which is neither"),
    "a pickle": (pickle.dumps(IDS), "is a pickle, which is not read because it can run code"),
    "cut gzip": (gzip.compress(binary())[:-9], "gzip data is truncated or corrupt"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_get_a_sentence(case: str, tmp_path: Path) -> None:
    content, message = BROKEN[case]
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match=message) as refused:
        read_vectors(str(tmp_path / "x"))
    assert str(tmp_path / "x") in str(refused.value)
    assert "\n" not in str(refused.value)


def without_ids(folder: Path) -> Path:
    (path := numpy_pair(folder)).with_name("x.ids.json").unlink()
    return path


def with_ids(text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (path := numpy_pair(folder)).with_name("x.ids.json").write_text(text)
        return path

    return write


OTHERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "absent": (lambda folder: folder / "no", "there is no file"),
    "no ids": (without_ids, r"has no ids: put them beside it as x\.ids\.json"),
    "too few ids": (with_ids('["a"]'), "holds 3 vectors for 1 ids"),
    "ids of numbers": (with_ids("[1, 2, 3]"), "must hold one list of texts"),
    "ids that are no JSON": (with_ids("["), r"x\.ids\.json cannot be read"),
    "an empty id": (with_ids('["a", "", "b"]'), "vector 2 has no id"),
    "objects": (lambda f: numpy_pair(f, array=np.array([[{}]])), "Python objects, which are not"),
    "one dimension": (lambda f: numpy_pair(f, array=np.ones(3)), r"holds \(3,\) float64: vectors"),
    "texts": (lambda f: numpy_pair(f, array=np.array([["a"]])), "a table .* of numbers"),
    "ragged": (lambda f: parquet(f, {"item": ["a", "b"], "v": [[1.0], [1.0, 2.0]]}),
               "row 2: v has 2 values, not 1 as in the first row"),
    "null": (lambda f: parquet(f, {"item": ["a", "b"], "v": [[1.0], None]}), "row 2: v has 0"),
    "null value": (lambda f: parquet(f, {"item": ["a", "b"], "v": [[1.0], [None]]}),
                   "row 2: v is null or holds a null"),
    "null number": (lambda f: parquet(f, {"item": ["a", "b"], "d": [1.0, None]}),
                    "row 2: d is null"),
    "null id": (lambda f: parquet(f, {"item": ["a", None], "d": [1.0, 2.0]}), "vector 2 has no id"),
    "no id column": (lambda f: parquet(f, {"a": ["a"], "b": ["b"], "v": [[1.0]]}),
                     "needs a column item with the ids; it has a, b, v"),
    "no vectors": (lambda f: parquet(f, {"item": ["a"], "n": [1]}), "needs one table .* has none"),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_other_broken_files_get_a_sentence(case: str, tmp_path: Path) -> None:
    write, message = OTHERS[case]
    with pytest.raises(VectorFileError, match=message):
        read_vectors(str(write(tmp_path)))


def test_damaged_tables_get_a_sentence(tmp_path: Path) -> None:
    for path, kept in ((numpy_pair(tmp_path), 140), (parquet(tmp_path, {"item": IDS}), 40)):
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(VectorFileError, match=rf"{path.name} (cannot be read|is no sound)"):
            read_vectors(str(path))
    save_file({"v": VECTORS}, tmp_path / "x.safetensors")
    path = tmp_path / "x.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(VectorFileError, match="cannot be read"):
        read_vectors(str(path))


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"v": VECTORS}, tmp_path / "x.safetensors")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(VectorFileError, match=r"pip install 'recsys-lab\[safetensors\]'"):
        read_vectors(str(tmp_path / "x.safetensors"))
