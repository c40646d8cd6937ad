"""Lists of edges in the forms that users have: what is understood, and what is refused."""

import json
from pathlib import Path

import polars as pl
import pytest

from recsys_lab.readers.account import CatalogError
from tests.readers.edge_cases import edge_source

NUMBERS = [(k, (7 * k + 3) % 50) for k in range(50)]
NAMED = [(f"B{a:09d}", f"B{b:09d}") for a, b in NUMBERS]


def lines(rows: list[tuple], form: str, *, first: str = "") -> str:
    return first + "".join(form.format(*row, n=n) + "\n" for n, row in enumerate(rows))


# name: text, ids of the first edge, its weight
READ = {
    "semicolon": (lines(NAMED, "{};{};7.5", first="source;target;weight\n"), NAMED[0], 7.5),
    "decimal comma": (lines(NAMED, "{};{};7,5", first="source;target;weight\n"), NAMED[0], 7.5),
    "bar": (lines(NAMED, "{}|{}|2"), NAMED[0], 2),
    "two colons": (lines(NUMBERS, "{}::{}::3"), NUMBERS[0], 3),
    "quoted, semicolon": (lines(NAMED, '"{}";"{}"'), NAMED[0], 1),
    "quoted, tab": (lines(NAMED, '"{}"\t{}', first='"source"\t"target"\n'), NAMED[0], 1),
    "comma and space": (lines(NAMED, "{}, {}, 7", first="source, target, weight\n"), NAMED[0], 7),
    "space behind": (lines(NAMED, "{}\t{} "), NAMED[0], 1),
    "tab behind": (lines(NAMED, "{}\t{}\t"), NAMED[0], 1),
    "header by name": (lines(NUMBERS, "{},{}", first="from,to\n"), NUMBERS[0], 1),
    "header by form": (lines(NUMBERS, "{},{}", first="left_thing,right_thing\n"), NUMBERS[0], 1),
    "columns by name": (
        lines(NAMED, "x,5,{1},{0}", first="kind,weight,target,source\n"), NAMED[0], 5,
    ),
    "types of Neo4j": (
        lines(NAMED, "{},LIKES,{},2", first=":START_ID(Item),:TYPE,:END_ID,weight:float\n"),
        NAMED[0], 2,
    ),
    "ratings": (
        lines(NUMBERS, "u{},i{},3,13000", first="userId,movieId,rating,timestamp\n"),
        ("u0", "i3"), 3,
    ),
    "Gephi": (
        lines(NAMED, "{},{},Undirected,{n},,4.0", first="Source,Target,Type,Id,Label,Weight\n"),
        NAMED[0], 4,
    ),
    "index of pandas": (lines(NUMBERS, "{n},{},{}", first=",source,target\n"), NUMBERS[0], 1),
    "index without names": (lines(NUMBERS, "{n},{},{}", first=",a_x,b_x\n"), NUMBERS[0], 1),
    "row names of R": (lines(NAMED, '"{n}" {} {} 3', first='"from" "to" "weight"\n'), NAMED[0], 3),
    "SNAP": (lines(NUMBERS, "{}\t{}", first="# Directed\n# FromNodeId\tToNodeId\n"), NUMBERS[0], 1),
    "KONECT": (lines(NUMBERS, "{} {} 2 1300000000", first="% sym weighted\n"), NUMBERS[0], 2),
    "MatrixMarket": (
        lines(
            NUMBERS, "{} {} 7",
            first="%%MatrixMarket matrix coordinate real general\n% a\n50 50 50\n",
        ),
        NUMBERS[0], 7,
    ),
    "networkx": (lines(NUMBERS, "{} {} {{}}"), NUMBERS[0], 1),
    "networkx with weights": (lines(NUMBERS, "{} {} {{'weight': 2.5}}"), NUMBERS[0], 2.5),
    "JSON objects": (
        "".join(json.dumps({"weight": 3, "target": b, "source": a}) + "\n" for a, b in NAMED),
        NAMED[0], 3,
    ),
    "JSON lists": ("".join(json.dumps([a, b, 2]) + "\n" for a, b in NUMBERS), NUMBERS[0], 2),
    "a relation": (lines(NAMED, "{}\t{}\tviewed"), NAMED[0], 1),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_forms_that_are_read(tmp_path: Path, name: str) -> None:
    text, first, weight = READ[name]
    path = tmp_path / "edges"
    path.write_text(text)
    records = edge_source(str(path)).read()
    rows = NAMED if isinstance(first[0], str) else NUMBERS
    if name == "ratings":
        rows = [(f"u{a}", f"i{b}") for a, b in NUMBERS]
    ids = records.items["item"].to_list()
    found = {(ids[s], ids[t]) for s, t in zip(records.sources, records.targets, strict=True)}
    assert found == {(str(a), str(b)) for a, b in rows if a != b}
    assert set(records.weights.tolist()) == {weight}
    assert f"{first[0]}' - '{first[1]}'" in records.understood["edges"]


REFUSED = {
    "an index without a header": (
        lines([(b, b * 3 % 50 + 1) for _, b in NUMBERS], "{n},{},{}"),
        "the first looks like row numbers"),
    "four columns": (
        lines(NAMED, "{},{},3.0,1300000000"), r"4 columns between comma.*columns\.source=1"),
    "one column": ("a\nb\nc\n", "no line has two columns, the first is 'a'"),
    "a third column of ids": (
        lines(NAMED, "{0}\t{1}\tx{0}"), "the third is neither a weight nor a relation"),
    "a dense matrix": (
        "%%MatrixMarket matrix array real general\n3 3\n1\n2\n", "write it in coordinate form"),
    "Latin-1": (lines(NAMED, "caf\udce9{},{}"), "not UTF-8.*iconv -f LATIN1"),
    "weights of nothing": (
        lines(NAMED, "{}\t{}\t0.0"), r"50 weight not positive.*first is line 1 'B000000000\\tB"),
    "pairs that are none": (
        lines([(a, b, a % 3 == 0) for a, b in NUMBERS], "{},{},{}", first="a_id,b_id,related\n"),
        "the column related is true or false, and may say which lines are pairs"),
    "weights that are nan": (lines(NAMED, "{}\t{}\tnan"), "50 weight not finite"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_forms_that_are_refused_say_what_was_found(tmp_path: Path, name: str) -> None:
    text, message = REFUSED[name]
    path = tmp_path / "edges"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CatalogError, match=message):
        edge_source(str(path)).read()


def test_what_looks_wrong_gets_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "edges"
    for text, warning in (
        (
            lines([(b, b / 7 + 1) for _, b in NUMBERS], "{n},{},{:.3f}"),
            "row numbers: if it is no item, say columns.source=2 columns.target=3",
        ),
        (lines(NUMBERS, "u{},i{},3", first="user_id,item_id,rating\n"), "the graph is bipartite"),
        (lines(NAMED * 2, "{},{}"), "50 of 100 lines repeat another: they are counted once"),
        (lines([*NAMED, ("B000000001.0", "x y"), ("x y ", "z")], "{}\t{}"), "by '.0' at the end"),
        (lines([*NAMED, ("x y ", "z"), ("x y", "z")], "{}\t{}"), "only by white space around"),
        (lines([*NAMED, ("e\u0301", "z"), ("\u00e9", "z")], "{}\t{}"), "by their Unicode form"),
        (lines([(a, b, (a + b) % 50 + 1 + a / 7) for a, b in NUMBERS[::-1]], "{},{},{:.3f}"), ""),
        (
            lines([(a, b, (a * 3 + 1) % 50 + 1) for a, b in NUMBERS[::-1]], "{},{},{}"),
            "looks like ids",
        ),
    ):
        caplog.clear()
        path.write_text(text)
        edge_source(str(path)).read()
        assert warning in caplog.text, text[:80]
        assert warning or not caplog.records, caplog.text


def test_what_the_user_says_counts(tmp_path: Path) -> None:
    path = tmp_path / "edges"
    path.write_text(lines(NAMED, "x,{1},{0},3", first="kind,to_it,from_it,stars\n"))
    for columns in (
        {"source": "from_it", "target": "to_it", "weight": "stars"},
        {"source": 3, "target": 2, "weight": 4},
        {"source": "FROM_IT", "target": 2},
    ):
        records = edge_source(str(path), columns=columns).read()
        ids = records.items["item"].to_list()
        assert (ids[records.sources[0]], ids[records.targets[0]]) == NAMED[0]
        assert records.weights[0] == (3 if "weight" in columns else 1)
    path.write_text("a b|c d\n! no edge\nc d|e f\n")
    records = edge_source(str(path), separator="bar", comment="!").read()
    assert records.items["item"].to_list() == ["a b", "c d", "e f"]
    assert records.account.dropped == {"comment": 1}
    for options, message in (
        ({"columns": {"source": 9, "target": 1}}, r"columns.source=9 is no column of it"),
        ({"columns": {"source": "a"}}, "given together"),
        ({"columns": {"origin": 1}}, "these are source, target, weight, type"),
        ({"separator": "colon"}, "separator must be one of tab"),
        ({"repeats": "twice"}, "repeats must be"),
    ):
        with pytest.raises(ValueError, match=message):
            edge_source(str(path), **options).read()


def test_repeats_and_directions(tmp_path: Path) -> None:
    path = tmp_path / "edges"
    path.write_text("a\tb\t2\na\tb\t2\nb\ta\t2\na\tc\t1\n")
    for options, total in (
        ({}, [2, 2, 1]),
        ({"repeats": "sum"}, [2, 2, 2, 1]),
        ({"undirected": True}, [2, 1]),
        ({"undirected": True, "repeats": "sum"}, [2, 2, 2, 1]),
    ):
        records = edge_source(str(path), **options).read()
        assert sorted(records.weights.tolist(), reverse=True) == total, options


def test_relations_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "edges"
    path.write_text("a\tb\tviewed\na\tb\tbought\nb\tc\tviewed\nc\td\tviewed\n")
    records = edge_source(str(path)).read()
    assert records.relation_names == ("bought", "viewed")
    assert records.relations.tolist() == [0, 1, 1, 1]


def test_labels_of_given_pairs(tmp_path: Path) -> None:
    for name, label in (("val", "{}\t{}\tTrue"), ("test", "{}\t{}\t1.0")):
        (tmp_path / name).write_text(lines(NAMED[:9], label) + lines(NAMED[9:], "{}\t{}\t-1"))
    (tmp_path / "train").write_text(lines(NAMED, "{1}\tx{0}"))
    paths = [str(tmp_path / name) for name in ("train", "val", "test")]
    given = edge_source(*paths).read().given
    assert given["val"].labels.sum() == given["test"].labels.sum() == 9
    (tmp_path / "val").write_text(lines(NAMED, "{}\t{}\tfalse"))
    with pytest.raises(CatalogError, match="val has no pair with label 1"):
        edge_source(*paths).read()


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "edges.parquet"
    table = pl.DataFrame(NUMBERS, schema=["u", "v"], orient="row")
    table.with_columns(pl.col("u").cast(pl.Float64), w=2.5).write_parquet(path)
    records = edge_source(str(path)).read()
    assert "0" in records.items["item"]
    assert "1.0" not in records.items["item"]
    assert set(records.weights.tolist()) == {2.5}
    assert records.understood["edges"].startswith("Parquet of u, v, w")
    path.write_bytes(b"PAR1" + bytes(20))
    with pytest.raises(CatalogError, match="cannot be read as Parquet"):
        edge_source(str(path)).read()
