"""Files as other programs write them: each is read right, or refused with its form and a remedy.

All lists of edges hold the pairs of NAMED, or of NUMBERS, unless a case says otherwise.
"""

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from recsys_lab.readers.account import CatalogError
from tests.readers.amazon_cases import listings, source
from tests.readers.edge_cases import edge_source

NUMBERS = [(100 + k, 100 + (k + s) % 50) for k in range(50) for s in (1, 7, 9)[: 1 + k % 3]]
NAMED = [(f"B{a:09d}", f"B{b:09d}") for a, b in NUMBERS]
NEIGHBOURS: dict[int, list[int]] = {}
for a, b in NUMBERS:
    NEIGHBOURS.setdefault(a, []).append(b)
    NEIGHBOURS.setdefault(b, []).append(a)


class Outcome(NamedTuple):
    """What a list of edges gives: its pairs, the weight of each, and a warning."""

    content: str | bytes
    rows: list = NAMED
    weight: float | None = 1  # None for different ones
    warning: str = ""
    layout: str | None = None


def lines(form: str, rows: list = NAMED, *, first: str = "", last: str = "") -> str:
    text = (form.format(*row, n=n, m=900 + 60 * n) + "\n" for n, row in enumerate(rows))
    return first + "".join(text) + last


def packed(**members: bytes | str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return file.getvalue()


def table(frame: pl.DataFrame, kind: str) -> bytes:
    file = io.BytesIO()
    getattr(frame, f"write_{kind}")(file)
    return file.getvalue()


FRAME = pl.DataFrame(NAMED, schema=["col_a", "col_b"], orient="row")
ITEMS = [(f"item{a}", f"item{b}") for a, b in [(1, 2), *NUMBERS]]
MATRIX = "%%MatrixMarket matrix coordinate {} general\n{} {} {}\n"
OBJECTS = [{"source": a, "target": b, "weight": 2} for a, b in NAMED]

PICKED = np.random.default_rng(0)
THREES = [(k % 50, (k + 1 + k // 50) % 50) for k in range(200)]
BASKETS = "".join(f"{a} {b} {(7 * a + b) % 50}\n" for a, b in THREES if (7 * a + b) % 50)
THREES = [(a, b) for a, b in THREES if (7 * a + b) % 50]
MANY_THREES = [tuple(row) for row in PICKED.permutation(60_000)[:600].reshape(300, 2).tolist()]
MANY_BASKETS = "".join(f"{a} {b} {PICKED.integers(1, 60_000)}\n" for a, b in MANY_THREES)
YEARS = "".join(f"{a} {b} {1995 + k % 20}\n" for k, (a, b) in enumerate(NUMBERS))
COUNTS = "".join(f"{a} {b} {1 + k % 9}\n" for k, (a, b) in enumerate(NUMBERS))
TREE = "".join(f"{k} {k + 1}\n" for k in range(49))

READ = {
    # headers and columns
    "V1,V2": Outcome(lines("{},{}", first="V1,V2\n")),
    "Item ID,Related Item ID": Outcome(lines("{},{}", first="Item ID,Related Item ID\n")),
    "ids that look like names": Outcome(lines("{},{}", ITEMS), ITEMS),
    "letters": Outcome("i j\nj k\nk l\nl i\n", ["ij", "jk", "kl", "li"]),
    "combined_score": Outcome(lines("{} {} 3", first="protein1 protein2 combined_score\n"),
                              weight=3),
    "index in any order": Outcome(lines("{m},{},{}", NUMBERS[::-1], first=",aa,bb\n"), NUMBERS),
    "index twice": Outcome(lines("{n},{n},{},{}", NUMBERS, first=",Unnamed: 0,aa,bb\n"), NUMBERS),
    "R without a name": Outcome(lines('"{n}" {} {}', NUMBERS, first='"x_a" "x_b"\n'), NUMBERS),
    "arrows": Outcome(lines("{} -> {}", NUMBERS), NUMBERS),
    "RecBole": Outcome(lines("{0}\tr{n}\t{1}", first="head_id:token\trelation_id:token\t"
                             "tail_id:token\n"), warning="values in the column of the type"),
    "sep=": Outcome("\ufeffsep=;\r\n" + lines("{};{};2,5", first="a_x;b_x;w\n"), weight=2.5),
    # numbers
    "thousands": Outcome(lines('{},{},"1,234.5"', first="source,target,weight\n"), weight=1234.5),
    "German thousands": Outcome(lines("{};{};1.234,5"), weight=1234.5),
    # third columns that are no weights of themselves
    "distance": Outcome(lines("{},{},{m}", first="source,target,distance\n"),
                        warning=r"columns.weight=distance takes it"),
    "rank": Outcome(lines("{},{},{m}", first="aa,bb,rank\n"),
                    warning="the column rank is not read"),
    "dissimilarity": Outcome(lines("{},{},4", first="source,target,cosine_dissimilarity\n"),
                             warning="cosine_dissimilarity is not read"),
    "distance and weight": Outcome(
        lines("{},{},9,2", first="source,target,distance_km,weight\n"), weight=2),
    "baskets of three": Outcome(BASKETS, THREES, None, "looks like ids: if a line is a basket"),
    "baskets of three, many ids": Outcome(
        MANY_BASKETS, MANY_THREES, None, "looks like ids: if a line is a basket"),
    "years": Outcome(YEARS, NUMBERS, None, "looks like years"),
    "small counts": Outcome(COUNTS, NUMBERS, None),
    "weights, named": Outcome("first_id second_id weight\n" + BASKETS, THREES, None),
    # counts of nodes and edges on top
    "counts": Outcome(lines("{} {}", NUMBERS, first="50 99\n"), NUMBERS,
                      warning="the first line, '50 99', is the number of nodes"),
    "counts, edges first": Outcome(lines("{},{}", NUMBERS, first="99,50\n"), NUMBERS,
                                   warning="is the number of nodes"),
    "counts, weights": Outcome(lines("{}\t{}\t2", NUMBERS, first="\n50\t99\n"), NUMBERS, 2,
                               warning="is the number of nodes and of the lines below"),
    "counts, both ways": Outcome(
        lines("{} {}", [*NUMBERS, *((b, a) for a, b in NUMBERS)], first="50 99\n"), NUMBERS, 2,
        warning="is the number of nodes"),
    "an edge like counts": Outcome("49 10\n" + TREE, [(49, 10), *((k, k + 1) for k in range(49))]),
    # tools
    "psql": Outcome(lines(" {} | {} |  2", first=" source | target | weight \n---+---+---\n",
                          last="(99 rows)\n"), weight=2),
    "MySQL": Outcome(lines("| {} | {} |", first="+--+--+\n| source | target |\n+--+--+\n",
                           last="+--+--+\n99 rows in set (0.00 sec)\n")),
    "networkx, comma": Outcome(lines("{},{},{{'weight': 2.5}}", NUMBERS), NUMBERS, 2.5),
    "networkx, text": Outcome(lines("{} {} {{'weight': '3'}}", NUMBERS), NUMBERS, 3),
    "networkx, NumPy": Outcome(
        lines("{} {} {{'k': 1, 'weight': np.float64(2.5)}}", NUMBERS), NUMBERS, 2.5),
    "networkx, distance": Outcome(lines("{} {} {{'distance': 2}}", NUMBERS), NUMBERS,
                                  warning="attribute distance at the end of the lines is not"),
    "networkx, words": Outcome(lines("{} {} {{'weight': '3,5'}}", NUMBERS), NUMBERS,
                               warning="is not read, as it is no number"),
    "networkx, nested": Outcome(
        lines("{} {} {{'k': {{'x': 1}}, 'weight': 2.5}}", NUMBERS), NUMBERS, 2.5),
    # adjacency
    "adjacency, both ways": Outcome(
        "".join(" ".join(map(str, [k, *v])) + "\n" for k, v in NEIGHBOURS.items()), NUMBERS, 2),
    "adjacency, colon": Outcome(
        "".join(f"{k}: {' '.join(map(str, v))}\n" for k, v in NEIGHBOURS.items()), NUMBERS, 2),
    "adjacency of networkx": Outcome(
        "# a.py\n# GMT Thu\n#\n1 2 3 4\n2 3 4\n3 4\n4 5\n5\n",
        [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4), (4, 5)]),
    "titles": Outcome("".join(f"red, {k}\tblue {'x ' * (k % 3)}{k}\n" for k in range(9)),
                      [(f"red, {k}", f"blue {'x ' * (k % 3)}{k}") for k in range(9)],
                      warning="bipartite", layout="edges"),
    "adjacency, said": Outcome("a b c\nd b\nb c\n", ["ab", "ac", "db", "bc"], layout="adjacency"),
    # JSON
    "array of pairs": Outcome(json.dumps(NAMED)),
    "array, pretty": Outcome(json.dumps(OBJECTS, indent=1), weight=2),
    "neighbours by id": Outcome(json.dumps(NEIGHBOURS), NUMBERS, 2),
    "node-link": Outcome(json.dumps({"nodes": [{"id": a} for a, _ in NAMED], "links": OBJECTS}),
                         weight=2),
    "columns": Outcome(json.dumps({"source": dict(enumerate(a for a, _ in NAMED)),
                                   "target": dict(enumerate(b for _, b in NAMED))})),
    "JSON Graph Format": Outcome(json.dumps({"graph": {"nodes": {}, "edges": OBJECTS}}), weight=2),
    "Python lists": Outcome(lines("['{}', '{}']")),
    # columns of bytes
    "Arrow": Outcome(table(FRAME, "ipc")),
    "Parquet, floats with NaN": Outcome(
        table(pl.DataFrame([*NUMBERS, (float("nan"), 1.0)], schema={"a": pl.Float64,
              "b": pl.Float64}, orient="row").with_columns(pl.col("b").cast(pl.Int64)), "parquet"),
        NUMBERS),
    # ids that may be wrong
    "zeros": Outcome(lines("{}\t{}", NUMBERS, last="0100\t103\n"), [*NUMBERS, ("0100", 103)],
                     warning="only by zeros at the beginning"),
    "invisible": Outcome(lines("{}\t{}", last="\u200bB000000100\tx\n"), [*NAMED,
                         ("\u200bB000000100", "x")], warning="signs that are not shown"),
    "rounded": Outcome(lines("{}\t{}", NUMBERS, last="1e+05\t100\n"), [*NUMBERS, ("1e+05", 100)],
                       warning="a spreadsheet or R may have rounded"),
    "nan": Outcome(lines("{}\t{}", last="nan\tB000000100\n"), [*NAMED, ("nan", NAMED[0][0])],
                   warning="'nan' is taken as the id of an item"),
    # packing
    "hidden members": Outcome(packed(d__csv=lines("{},{}"), _x="", README__md="text")),
}  # fmt: skip

REFUSED = {
    "line breaks": (lines('{},{},"a\nb"', first="source,target,title\n"), "goes on in the next"),
    "1,234": (lines("{}\t{}\t1,234"), r"1,234 may be 1\.234 or 1234"),
    "3 %": (lines("{},{},3%", first="source,target,weight\n"), r"value not a number.*columns\.wei"),
    "times": (lines("{}\t{}\t13000{m:05d}"), r"third looks like times.*columns\.source=1"),
    "ratings": (lines("{}\t{}\t4\t13000{m:05d}"), "column 4 looks like times.*sequence_file"),
    "users": (lines("{},{},4", NUMBERS, first="userId,movieId,rating\n"), "users and items"),
    "nodes": (lines("{},{}", first="Id,Label\n"), "describes items or nodes"),
    "counts, or an edge": ("50 49\n" + TREE, "'50 49', fits the number of nodes.*remove it"),
    "counts but for loops": (lines("{} {}", NUMBERS, first="50 160\n"), "fits the number of nodes"),
    "counts of a long file": (
        "2501 2500\n" + "".join(f"{k} {k + 1}\n" for k in range(2500)), "'2501 2500', fits"),
    "triples": (lines("{0}\tr\t{1}"), r"columns\.source=1 columns\.type=2 columns\.target=3"),
    "brackets": (lines("({}; {})"), "stand in brackets"),
    "baskets": ("1 2 3\n2 3\n1 4 5 6\n3 9\n2 3 4 5 6\n1 7 8\n", "layout=adjacency.*sequence_file"),
    "lists by user": (lines("u{n}\t{0} {1} x{n}") + "v\tx\n", "layout=adjacency"),
    "kNN": (lines("{0} {1} a{n} b{n} c{n}"), "layout=adjacency"),
    "METIS": ("6 8\n2 3 4 5\n1 3 4\n1 2\n1 2 5\n1 4 6\n5\n", "METIS"),
    "libsvm": ("1 3:0.5 9:1\n0 1:2\n1 4:1 5:2 6:1\n0 3:1\n1 1:1 2:2\n", "libsvm"),
    "multiline": (lines("{0} 2\n{1} {{}}\nx {{}}"), "multiline.*write_edgelist"),
    "rectangle": (MATRIX.format("real", 9, 5, 1) + "1 1 1\n", "9 rows and 5 columns"),
    "complex": (MATRIX.format("complex", 9, 9, 1) + "1 2 1 1\n", "weights are real"),
    "truncated": (MATRIX.format("real", 9, 9, 3) + "1 2 1\n", "promises 3 entries and holds 1"),
    "bipartite": ("% bip weighted\n1 2 3\n", "bipartite network of KONECT"),
    "null": (lines("{}\t{}", last="\\N\tx\n" * 2), "2 no id"),
    "nested": ('{"a": {"id": 1}, "b": {"id": 2}}\n' * 20, "a holds objects"),
    "lists": ('{"item": 1, "near": [2, 3]}\n' * 20, "near holds lists.*jq"),
    "scalars": (lines('["{}", "{}"]', last="7\n" * 2), "2 neither an object nor a list"),
    "error": ('{"error": "not found"}\n', "error message"),
    "document": (
        json.dumps({"cells": [{"a": 1}], "format": 4}, indent=1), "JSON document without edges"),
    "empty Parquet": (table(FRAME.head(0), "parquet"), "without a row"),
    "lists in Parquet": (
        table(pl.DataFrame({"item": ["a"], "near": [["b"]]}), "parquet"), "explode"),
    "header": ("source,target\n", "there is only a header"),
    "comments": ("# a b\n# c d\n", "nothing but comments"),
    "itself": ("a,a\nb,b\n", "names an item with itself"),
    "places of nodes": (
        json.dumps({"nodes": [{"name": "a"}, {"name": "b"}],
                    "links": [{"source": 0, "target": 1}]}),
        "places of nodes"),
    "DIMACS": ("c a graph\np edge 5 2\ne 1 2\n", "DIMACS.*grep"),
    "a mark in front": (lines("e {} {}", NUMBERS), "the first is the same in all lines"),
    "GraphML": ('<?xml version="1.0"?>\n<graphml>', "is GraphML: .*read_graphml"),
    "GEXF": ("<gexf xmlns='x'>", "is GEXF: .*read_gexf"),
    "GML": ("graph [\n  node [\n", "is GML: .*read_gml"),
    "Pajek": ("*Vertices 2\n1 a\n", "Pajek.*read_pajek"),
    "DOT": ("digraph G {\n a -> b;\n}\n", "DOT.*read_dot"),
    "SQL": ("-- dump\nINSERT INTO e VALUES (1, 2);\n", "SQL dump: .*CSV"),
    "web page": ("<!DOCTYPE html>\n<html>", "web page"),
    "Git LFS": ("version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "YAML": ("edges:\n  - [a, b]\n", "is YAML"),
    "PDF": (b"%PDF-1.4\n", "PDF"),
    "pickle": (b"\x80\x04\x95", "pickle can run code"),
    "NumPy": (b"\x93NUMPY\x01\x00", r"np\.savetxt"),
    "archive of NumPy": (packed(a__npy=b"x"), r"\.npz"),
    "torch": (packed(**{"x/data__pkl": b"x"}), "torch.*pickle"),
    "R": (gzip.compress(b"RDX3\nX\n"), r"R data: .*write\.csv"),
    "Excel 97": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel"),
    "ORC": (b"ORC\x1d\x00", "ORC.*Parquet"),
    "lz4": (b"\x04\x22\x4d\x18", "lz4 -dc"),
    "packed twice": (gzip.compress(gzip.compress(b"a,b\n")), "packed twice.*gzip -dc"),
    "UTF-16 without a mark": (lines("{},{}").encode("utf-16-le"), "iconv -f UTF-16LE"),
    "UTF-32": (("\ufeff" + lines("{},{}")).encode("utf-32-le"), "iconv -f UTF-32"),
    "Windows": (lines("“{}”,{}").encode("cp1252"), "iconv -f CP1252"),
    "Chinese": (lines("商品商品{},{}").encode("gb18030"), "iconv -f GB18030"),
    "Japanese": (lines("アイテム{},{}").encode("shift_jis"), "iconv -f SHIFT_JIS"),
    "binary": (b"\x89\x01\x02\n" * 9, "another binary form"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_forms_that_are_read(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    outcome, path = READ[name], tmp_path / "edges"
    content = outcome.content
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    records = edge_source(str(path), layout=outcome.layout, max_bad_fraction=0.03).read()
    ids = records.items["item"].to_list()
    found: dict[tuple[str, ...], float] = {}
    for s, t, weight in zip(records.sources, records.targets, records.weights, strict=True):
        pair = tuple(sorted((ids[s], ids[t])))
        found[pair] = found.get(pair, 0) + float(weight)
    expected = {tuple(sorted(map(str, row))) for row in outcome.rows}
    assert found.keys() == expected
    assert outcome.weight is None or set(found.values()) == {outcome.weight}
    warnings = " ".join(r.getMessage() for r in caplog.records if r.levelname == "WARNING")
    assert bool(warnings) == bool(outcome.warning), warnings
    assert outcome.warning in warnings


@pytest.mark.parametrize("name", REFUSED)
def test_forms_that_are_refused_with_a_remedy(tmp_path: Path, name: str) -> None:
    content, message = REFUSED[name]
    path = tmp_path / "edges"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CatalogError, match=message) as caught:
        edge_source(str(path), max_bad_fraction=0.01).read()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    (tmp_path / "nested" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for path, message in (
        ("", "path is empty"),
        ("hdfs://x/y", "is an address"),
        (str(tmp_path / "nested"), "folder of folders; give a pattern"),
        (str(tmp_path / "link"), "is a link to .*gone"),
    ):
        with pytest.raises(CatalogError, match=message):
            edge_source(path).read()


def test_columns_that_are_not_read_are_said(tmp_path: Path) -> None:
    path = tmp_path / "edges"
    objects = "".join(json.dumps({"source": a, "note": 1, "target": b}) + "\n" for a, b in NAMED)
    for content in (lines("{},x,{}", first="source,note,target\n"), objects):
        path.write_text(content)
        assert "not read: note" in edge_source(str(path)).read().understood["edges"]
    path.write_text(lines("{} {} {{'weight': 2, 'colour': {{'x': 1}}, 'y': 2}}"))
    assert "not read: colour, y" in edge_source(str(path)).read().understood["edges"]
    table_of = FRAME.rename({"col_a": "source", "col_b": "target"}).with_columns(note=1)
    table_of.write_parquet(path)
    assert "not read: note" in edge_source(str(path)).read().understood["edges"]


RECORDS = [{"asin": a, "related": {"also_bought": [b]}} for a, b in NAMED]


def test_amazon_in_more_forms(tmp_path: Path) -> None:
    path = tmp_path / "meta"
    flat = [{"asin": a, "related.also_bought": [b]} for a, b in NAMED]
    cells = "".join(f"{a}\t\"['{b}' 'x']\"\n" for a, b in NAMED)
    for content in (
        "".join(json.dumps(record) + "\n" for record in flat),
        json.dumps(RECORDS),
        "asin\talso_buy\n" + cells,  # printed by NumPy
    ):
        path.write_text(content)
        found = listings(source(path, max_bad_fraction=0).read())
        assert {(a, b) for a, b, _ in found if b != "x"} == set(NAMED)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps([*RECORDS, 7, "x", None, [1]]), "4 not an object.*line 100 '7'"),
        ('{"reviewerID": "u", "asin": "a"}\n', "holds reviews, not metadata"),
        ("a\tb\nb\tc\n", "pairs of items are read by catalog=edges"),
        ('{"business_id": "a"}\n', "this one has business_id"),
        ('{"asin": "a"},\n', "comma at the end of the lines"),
        ('{"asin": "a", "also_buy": "b, c"}\n', "also_bought is no list in 1 of 1 records"),
        ('{"asin": "a", "title": "caf\xe9"}\n'.encode("latin1"), "iconv -f LATIN1"),
    ],
)
def test_amazon_that_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tmp_path / "meta"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CatalogError, match=message):
        source(path, max_bad_fraction=0).read()
