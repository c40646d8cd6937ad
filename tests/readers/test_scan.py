import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.readers import amazon
from recsys_lab.readers.amazon import AmazonSource
from recsys_lab.readers.literals import parse_line
from recsys_lab.readers.scan import BETWEEN, Names, key_names, scan_block

WEIGHTS = {"also_bought": 1.0, "also_viewed": 0.5}
NAMES = key_names({0: ("also_bought", "also_buy"), 1: ("also_viewed", "also_view")})
RECORD = {
    "title": 'it\'s "new" \\ \n caf\u00e9',
    "related": {"also_bought": ["B000000001", "a"], "other": [1], "also_viewed": ["é" * 7]},
    "asin": "0000013714",
    "description": "{'related': {'also_bought': ['x']}}",
    "categories": [["A & B", "C"], ["D"]],
    "price": 9.49,
    "brand": "L&#39;Oreal",
    "also_buy": ["b"],
    "nested": [[], {}, [{"asin": "no"}], None, True, False, -0.5, 0, ""],
}


def unpack(words):
    data = words.astype(">u8").tobytes()
    rows = [data[16 * k : 16 * k + 16] for k in range(len(words))]
    return [row[: row[15]].decode() for row in rows]


def json_line(record):
    return json.dumps(record, ensure_ascii=False)


@pytest.mark.parametrize("write", [json_line, repr], ids=["json", "literal"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \t\n"])
def test_a_plain_record_by_hand(write, end):
    block = b"junk\n" + write(RECORD).encode() + end + b"\n"
    scanned = scan_block(block, NAMES)
    assert scanned.is_plain.tolist() == [False, True, False]
    assert scanned.left() == [(0, b"junk"), (2, b"")]
    assert unpack(scanned.item_ids) == ["0000013714"]
    assert scanned.lists.tolist() == [[0, 0, 2], [0, 1, 1], [0, 0, 1]]
    assert unpack(scanned.targets) == ["B000000001", "a", "é" * 7, "b"]
    texts = {name: text.tobytes() for name, text in scanned.texts.items()}
    assert json.loads(texts["title"]) == [RECORD["title"]]
    paths, flat = texts["categories"].split(BETWEEN)
    assert (json.loads(paths), flat) == (RECORD["categories"], b"\n")
    assert texts["price"] == b"9.49\n"
    assert json.loads(texts["brand"]) == RECORD["brand"]


@pytest.mark.parametrize("write", [json_line, repr], ids=["json", "literal"])
def test_titles_that_need_no_look(write):
    titles = ["A", "it's 5 < 6", "A & B", " A", "A\n", "A\u00a0", "", "\\A", "x\ty", None, 5, ["A"]]
    records = [{"asin": "a", "title": title} for title in titles] + [{"asin": "a"}]
    block = "".join(f"{write(record)}\n" for record in records)
    odd = scan_block(block.encode(), NAMES).odd_titles
    assert odd.tolist() == [False] * 2 + [True] * 11


@pytest.mark.parametrize(
    "line",
    [
        b"{'asin': 'a', 'asin': 'b'}",
        b"{'asin': 'a', 'as\\x69n': 'b'}",
        b'{"asin": "a", "\\u0061sin": "b"}',
        b"{'asin': 'a', 'related': {'also_bought': ['b'], 'also_bought': ['c']}}",
        b"{'asin': 'a', 'related': {'also_bought': ['b', 1]}}",
        b"{'asin': 'a', 'related': {'also_bought': ['b', '']}}",
        b"{'asin': 'a', 'related': {'also_bought': 'b'}}",
        b"{'asin': 'a', 'related': ['b']}",
        b"{'asin': 'a', 'related': {'also_bought': ['b',]}}",
        b"{'asin': 'a',}",
        b"{'asin': 'a'} {}",
        b"{'asin': 'a\\tb'}",
        b"{'asin': 'exactly 16 bytes'}",
        b"{'asin': ''}",
        b"{'asin': 5}",
        b"{}",
        b"{'asin': 'a', 'x': 01}",
        b"{'asin': 'a', 'x': 1.}",
        b"{'asin': 'a', 'x': 1e5}",
        b"{'asin': 'a', 'x': 1234567890123456}",
        b"{'asin': 'a', 'x': nan}",
        b"{'asin': 'a', 'x': (1, 2)}",
        b"{'asin': 'a', 'x': u'b'}",
        b"{'asin': 'a', 'x': '\\ud83d\\ude00'}",
        b"{'asin': 'a', 'x': '\\N{DASH}'}",
        b"{'asin': 'a', 'x': [1}]}",
        b"{'asin': 'a', 1: 2}",
        b"{'asin': 'a', 'x' 1}",
        b"{'asin': 'a' 'x': 1}",
        b"{'asin': 'a', 'x': '\xff'}",
        b"{'asin': 'a', 'x': 'b\0'}",
        b"{'asin': 'a', 'x': " + b"[" * 61 + b"]" * 61 + b"}",
        b'{"asin": "a", \'x\': 1}',
        b'{"asin": "a", "x": None}',
        b"\xef\xbb\xbf{'asin': 'a'}",
        b" {'asin': 'a'}",
    ],
)
def test_any_doubt_leaves_the_line(line):
    block = b"{'asin': 'z'}\n" + line + b"\n{'asin': 'y'}\n"
    scanned = scan_block(block, NAMES)
    assert scanned.is_plain.tolist() == [True, False, True]
    assert scanned.left() == [(1, line)]
    assert unpack(scanned.item_ids) == ["z", "y"]
    assert len(scanned.lists) == len(scanned.targets) == 0


SOME = ["a", "it's", '"', "\\", "&amp;", " a ", "x" * 20, "a\u00a0", "\u2003a", "a\n", "\ta", ""]
texts = st.text(max_size=6) | st.sampled_from(SOME)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
ids = st.sampled_from(["a", "b", "c", "d'e", "0000013714", "é", "=cmd()", "exactly 16 bytes"])
lists = st.lists(ids, max_size=4) | json_values
records = st.fixed_dictionaries(
    {"asin": ids | texts},
    optional={
        "title": texts | json_values,
        "brand": texts | json_values,
        "categories": st.lists(st.lists(texts, max_size=3), max_size=3) | json_values,
        "category": st.lists(texts, max_size=3) | json_values,
        "price": st.floats(0, 100) | st.sampled_from(["$1.50", "1"]) | json_values,
        "related": st.fixed_dictionaries(
            {}, optional={"also_bought": lists, "also_viewed": lists, "x": json_values}
        )
        | json_values,
        "also_buy": lists,
        "description": json_values,
    },
)


def spoil(line, place, byte):
    return line[: place % (len(line) + 1)] + byte + line[place % (len(line) + 1) + 1 :]


sound_lines = (
    records.map(lambda record: repr(record).encode("utf-8", "surrogatepass"))
    | records.map(lambda record: json.dumps(record).encode())
    | records.map(lambda record: json.dumps(record, ensure_ascii=False).encode("utf-8", "replace"))
)
any_lines = sound_lines | st.builds(
    spoil, sound_lines, st.integers(0, 300), st.sampled_from([bytes([c]) for c in b"'\"\\,:]} 0-"])
)


def scan_nothing(block, names):
    """Every line is left."""
    nothing = np.zeros((0, 32), np.uint8), np.zeros(0, np.int64)
    return scan_block(block, Names(*nothing, *nothing))


@settings(deadline=None, max_examples=200)
@given(
    st.lists(any_lines.map(lambda line: line.replace(b"\n", b" ")), min_size=1, max_size=8),
    st.booleans(),
    st.integers(0, 2),
)
def test_plain_lines_mean_what_the_parser_says(tmp_path_factory, lines, titled, smallest):
    path = tmp_path_factory.mktemp("scan") / "meta.json"
    path.write_bytes(b"\n".join([*lines, b"{'asin': 'a', 'title': 'A', 'also_buy': ['b', 'c']}"]))
    source = AmazonSource(str(path), WEIGHTS, "keep", titled, smallest, 1.0)
    found = source.read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(amazon, "scan_block", scan_nothing)
        expected = source.read()
    assert found.items.equals(expected.items)
    for name in ("sources", "targets", "weights"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.account == expected.account


@settings(deadline=None)
@given(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b" ")))
def test_any_bytes_are_left_or_mean_the_same(line):
    scanned = scan_block(line + b"\n", NAMES)
    if scanned.is_plain[0]:
        assert parse_line(line)["asin"] == unpack(scanned.item_ids)[0]
