"""Several files in the place of one: lists, patterns, parts of mixed packing, headers in each."""

import bz2
import gzip
import itertools
import json
import pickle
from pathlib import Path

import pytest

from recsys_lab.catalog.prepared import prepare
from recsys_lab.catalog.split import SplitOptions
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.amazon import AmazonSource
from recsys_lab.readers.edges import EdgeSource
from recsys_lab.readers.listed_paths import ListedPaths, as_path
from recsys_lab.readers.opening import find_files
from recsys_lab.readers.records import Records
from tests.readers.amazon_cases import WEIGHTS
from tests.readers.edge_cases import edge_source

RECORDS = [
    '{"asin": "a", "title": "A", "related": {"also_bought": ["b", "c"]}}\n',
    '{"asin": "b", "title": "B", "related": {"also_viewed": ["a"]}}\n',
    '{"asin": "a", "title": "A", "brand": "x", "related": {"also_bought": ["b"]}}\n',
]


def amazon(path: str | list[str]) -> AmazonSource:
    return AmazonSource(path, WEIGHTS, "keep", False, 0, 0.0)  # type: ignore[arg-type]


def same(one: Records, other: Records) -> None:
    assert one.items.equals(other.items)
    for name in ("sources", "targets", "weights"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert one.account == other.account


def test_parts_of_mixed_packing_and_any_order_are_one_file(tmp_path: Path) -> None:
    whole = tmp_path / "whole.json"
    whole.write_text("".join(RECORDS))
    packed = [gzip.compress, bz2.compress, bytes]
    files = [str(tmp_path / f"part-{k}") for k in range(3)]
    for file, record, pack in zip(files, RECORDS, packed, strict=True):
        Path(file).write_bytes(pack(record.encode()))
    expected = amazon(str(whole)).read()
    for order in itertools.permutations(files):
        same(amazon(list(order)).read(), expected)
    same(amazon([str(tmp_path / "part-[01]"), files[2], files[0]]).read(), expected)


def test_each_part_of_a_csv_has_a_header(tmp_path: Path) -> None:
    for name, row in (("1.csv", "a,\"['b']\""), ("2.csv", "b,\"['a']\"")):
        (tmp_path / name).write_text(f"asin,also_bought\n{row}\n")
    records = amazon(str(tmp_path)).read()
    assert records.items["item"].to_list() == ["a", "b"]


def test_empty_parts_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "1").write_text("")
    (tmp_path / "2").write_text("".join(RECORDS))
    assert amazon(str(tmp_path)).read().account.kept == 3
    (tmp_path / "2").write_text("")
    with pytest.raises(CatalogError, match="empty files only"):
        amazon(str(tmp_path)).read()


def test_headers_of_edges_in_each_part(tmp_path: Path) -> None:
    files = [tmp_path / f"{k}.csv" for k in range(2)]
    for k, file in enumerate(files):
        file.write_text(f"source,target\na,b{k}\n")
    source: EdgeSource = edge_source([str(file) for file in files])
    assert source.read().items["item"].to_list() == ["a", "b0", "b1"]


def test_a_list_says_its_first_path_and_number() -> None:
    paths = ListedPaths(["a.json", "b.json", "c.json"])
    assert f"{paths}" == str(paths) == "a.json and 2 more"
    assert pickle.loads(pickle.dumps(paths)).each == paths.each  # noqa: S301
    with pytest.raises(CatalogError, match=r"a\.json does not exist"):
        find_files(paths)
    with pytest.raises(CatalogError, match=r"^a path in the list must be text, got 3: quote it$"):
        as_path(["a.json", 3])
    with pytest.raises(ValueError, match="path is an empty list"):
        amazon([])


def test_the_order_of_parts_does_not_name_another_prepared_folder(tmp_path: Path) -> None:
    files = [str(tmp_path / f"{k}.json") for k in range(2)]
    letters = "abcdefghijklmnopqrst"

    def after(letter: str) -> str:
        return (2 * letters)[letters.index(letter) + 1 :][:3]

    for file, ids in zip(files, (letters[:9], letters[9:]), strict=True):
        lines = (json.dumps({"asin": x, "also_buy": list(after(x))}) for x in ids)
        Path(file).write_text("\n".join(lines))
    options = SplitOptions("pairs", 0.1, 0.1, ["uniform"], 0)
    folders = {
        prepare(amazon(order), options, tmp_path / "prepared").catalog_folder
        for order in (files, files[::-1])
    }
    assert len(folders) == 1
