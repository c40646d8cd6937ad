import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.edges import BAD_REASONS
from recsys_lab.readers.records import ITEM_SCHEMA
from tests.readers.edge_cases import edge_source


@pytest.fixture
def read(tmp_path):
    def read(content, val=None, test=None, max_bad_fraction=1.0, **options):
        paths = []
        for name, text in (("edges", content), ("val", val), ("test", test)):
            path = tmp_path / name
            if text is not None:
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
            paths.append(None if text is None else str(path))
        records = edge_source(*paths, max_bad_fraction=max_bad_fraction, **options).read()
        assert records.account.lines == records.account.kept + records.account.dropped.total()
        return records

    return read


def edges(records):
    ids = records.items["item"].to_list()
    rows = zip(records.sources, records.targets, records.weights.tolist(), strict=True)
    return [(ids[s], ids[t], w) for s, t, w in rows]


@pytest.mark.parametrize(
    "content",
    [
        "b\ta\t2\nc\tb\t1\n",
        "b,a,2\r\nc,b,1\r\n",
        "b a 2\nc  b   1",
        "\ufeffitem1,item2,weight\nb,a,2\nc,b,1",
        "x,y,count\nb,a,2.0\nc,b,1e0",
        '"source","target","weight"\n"b","a","2"\n"c","b","1"\n',
        "b,a,2\n\n  \nc,b, 1 \n",
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_forms(read, content, pack):
    records = read(pack(content.encode()))
    assert edges(records) == [("b", "a", 2.0), ("c", "b", 1.0)]
    assert records.items.schema == ITEM_SCHEMA
    assert records.items["item"].to_list() == ["a", "b", "c"]
    assert not records.items["has_metadata"].any()
    assert records.items["categories"].null_count() == 3
    assert records.sources.dtype == records.targets.dtype == np.int32
    assert records.weights.dtype == np.float32
    assert set(records.account.dropped) <= {"header", "blank"}
    assert records.given == {}


def test_without_weights_each_edge_weighs_one(read):
    assert edges(read("source\ttarget\nb\ta\nc\tb")) == [("b", "a", 1.0), ("c", "b", 1.0)]
    assert edges(read("x y")) == [("x", "y", 1.0)]


def test_ids_stay_as_written(read):
    odd = ["0000013714", "nan", "NA", "1e5", "True", "../../x", "=cmd()", " a b ", "'", '5" disc']
    content = "\n".join(f"{item}\tnull\t1" for item in odd)
    assert read(content).items["item"].to_list() == sorted([*odd, "null"])
    quoted = read('"a,b","say ""x""",1\n🎸,"a,b",1\n')
    assert edges(quoted) == [("a,b", 'say "x"', 1.0), ("🎸", "a,b", 1.0)]


def test_every_dropped_line_is_counted(read):
    lines = "a,b,1|a,b,nan|a,b,inf|a,b,1e300|a,b,-1|a,b,0|a,b,1e-300|a,b,x|a,b,|a,a,1"
    lines += '|a,b|a,b,1,2|,b,1|a,,1|"a,b,1||c\0,b,1'
    content = lines.replace("|", "\n").encode() + b"\n\xff,b,1\n" + b"x" * 10_000_001 + b"\nb,c,1"
    records = read(content)
    assert edges(records) == [("a", "b", 1.0), ("b", "c", 1.0)]
    assert records.account.lines == 20
    assert records.account.dropped == {
        "weight not finite": 3,
        "weight not positive": 3,
        "value not a number": 2,
        "self-pair": 1,
        "wrong number of columns": 2,
        "no id": 2,
        "malformed": 2,
        "not UTF-8": 1,
        "blank": 1,
        "too long": 1,
    }
    with pytest.raises(CatalogError, match=r"16 of 20 lines are bad .*the first is line 2"):
        read(content, max_bad_fraction=0.5)


def test_repeated_lines_count_once_and_order_is_nothing(read):
    content = "a\tb\t1\nb\ta\t1\na\tb\t2\nc\ta\t0.1\n"
    once = read(content)
    assert edges(once) == [
        ("a", "b", 1.0),
        ("a", "b", 2.0),
        ("b", "a", 1.0),
        ("c", "a", pytest.approx(0.1)),
    ]
    shuffled = "".join(reversed((content + content).splitlines(keepends=True)))
    for other in (content + content, shuffled):
        twice = read(other)
        assert edges(twice) == edges(once)
        assert twice.items.equals(once.items)
        assert twice.account.notes == {"repeated lines": 4}
    headed = "x,y,w\na,b,1\nc,d,1\n"
    assert edges(read(headed + headed)) == edges(read(headed))


def test_header_rules(read):
    assert read("item1,item2,3\nc,d,1").account.kept == 2  # a number follows: an edge
    assert read("a,b\nc,d").account.kept == 2
    assert read("a,b,1\nc,d,y\ne,f,1").account.dropped == {"value not a number": 1}
    assert read("item1,item2\nitem2,item3\nitem7,item1").account.kept == 3  # ids, not names


def test_evaluation_pairs(read):
    records = read(
        "a,b,1", val="item1,item2,label\nz,a,1\nb,a,0\nb,a,0\na,a,1\nb,z,2\nb,z\n", test="q,a,1.0"
    )
    ids = records.items["item"].to_list()
    assert ids == ["a", "b", "q", "z"]
    val, test = records.given["val"], records.given["test"]
    assert [ids[i] for i in val.heads] == ["b", "z"]
    assert [ids[i] for i in val.tails] == ["a", "a"]
    assert val.labels.tolist() == [False, True]
    assert val.labels.dtype == bool
    assert (test.heads.tolist(), test.tails.tolist(), test.labels.tolist()) == ([2], [0], [True])
    assert records.account.dropped == {
        "val: header": 1,
        "val: self-pair": 1,
        "val: label not 0 or 1": 1,
        "val: wrong number of columns": 1,
    }
    assert records.account.notes == {"val: repeated lines": 1}
    with pytest.raises(CatalogError, match=r"val: nothing is left"):
        read("a,b,1", val="a,b\nb,c", test="a,b,1")


def test_options_are_checked():
    with pytest.raises(CatalogError, match=r"test_path is not set"):
        edge_source("edges", "val", None)
    with pytest.raises(CatalogError, match=r"val_path is not set"):
        edge_source("edges", None, "test")
    with pytest.raises(ValueError, match=r"max_bad_fraction"):
        edge_source("edges", max_bad_fraction=-0.1)
    assert edge_source("e", "v", "t").files == {"edges": "e", "val": "v", "test": "t"}
    assert edge_source("e").files == {"edges": "e"}


def test_nothing_left_is_refused(read):
    for content in ("a,a,1", "\n\n", "a,b,0"):
        with pytest.raises(CatalogError, match="nothing is left"):
            read(content)


cells = st.sampled_from(["a", "b", "nan", "", '"', '"c"', " ", "1", "-1", "x,y", "\0", "é"])
lines = st.lists(cells, max_size=5).flatmap(
    lambda row: st.sampled_from("\t, ").map(lambda separator: separator.join(row).encode())
)
REASONS = {*BAD_REASONS, "blank", "header", "self-pair", "weight not finite", "weight not positive"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    # With several quotes that no line closes the file is refused: see test_table_forms.
    st.lists(lines | st.binary(max_size=20), max_size=8).filter(
        lambda x: b"".join(x).count(b'"') < 3
    ),
    st.sampled_from("\t, "),
    st.booleans(),
)
def test_any_lines_are_kept_or_counted(read, content, separator, labelled):
    sound = separator.join(["q", "r", "1"]).encode()
    joined = b"\n".join([sound] * 10 + content)
    records = read(joined, val=joined, test=joined) if labelled else read(joined)
    assert {reason.split(": ")[-1] for reason in records.account.dropped} <= REASONS
    assert not (records.sources == records.targets).any()
    assert ((records.weights > 0) & np.isfinite(records.weights)).all()


def test_what_users_and_items_are_is_told_before_repeats_are_left_out(read, caplog):
    both_ways = "".join(f"u{k},x{n}\nx{n},u{k}\n" for k in range(3) for n in range(3))
    assert len(edges(read("source,target\n" + both_ways, undirected=True))) == 9
    assert "bipartite" not in caplog.text
    with pytest.raises(CatalogError, match=r"are users and items.* 6 ids are both"):
        read("user_id,item_id\n" + both_ways, undirected=True)


def test_an_empty_type_is_none(read):
    lines = "a,b,1,bought\na,c,1,\nb,c,1,\\N\nc,d,1,viewed\n"
    records = read("source,target,weight,type\n" + lines)
    assert records.relation_names == ("bought", "viewed")
    assert records.relations.tolist() == [0, -1, -1, 1]
