"""What a block of lines is decoded to."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.readers import amazon_records
from recsys_lab.readers.amazon import AmazonSource
from recsys_lab.readers.amazon_records import RELATIONS, decode_lines
from tests.readers.amazon_cases import WEIGHTS

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


def json_line(record):
    return json.dumps(record, ensure_ascii=False)


def compact_line(record):
    return json.dumps(record, separators=(",", ":"))


def lists_of(decoded):
    """Place, relation and ids of each list that is not empty, sorted."""
    data = decoded.targets.tobytes()
    ends = np.cumsum(decoded.target_lengths)
    ids = [
        data[end - length : end].decode()
        for end, length in zip(ends, decoded.target_lengths, strict=True)
    ]
    found = []
    for place, relation, length in decoded.lists.tolist():
        if length:
            found.append((place, list(RELATIONS)[relation], ids[:length]))
        ids = ids[length:]
    assert not ids
    return sorted(found)


@pytest.mark.parametrize("write", [json_line, compact_line, repr])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \t\n"])
def test_a_record_by_hand(write, end):
    block = write(RECORD).encode() + end + b"junk\n\n"
    decoded = decode_lines(block, ["also_bought", "also_viewed"])
    (record,) = decoded.records
    for name in ("asin", "title", "brand", "categories", "price"):
        assert getattr(record, name) == RECORD[name]
    assert record.category is None
    assert lists_of(decoded) == [
        (0, "also_bought", ["B000000001", "a"]),
        (0, "also_bought", ["b"]),
        (0, "also_viewed", ["é" * 7]),
    ]
    assert decoded.dropped == [(1, "malformed"), (2, "blank")]
    assert decoded.notes == []


LINES = {  # line: id and ids under also_bought, or why it is dropped
    b"{'asin': 'a', 'asin': 'b'}": ("b", []),
    b"{'asin': 5, 'asin': 'b'}": ("b", []),
    b"{'asin': 'a', 'asin': 5}": ("5", []),
    b"{'asin': 'a', 'as\\x69n': 'b'}": ("b", []),
    b'{"asin": "a", "\\u0061sin": "b"}': ("b", []),
    b"{'asin': 'a', 'related': {'also_bought': ['b'], 'also_bought': ['c']}}": ("a", ["c"]),
    b"{'asin': 'a', 'related': {'also_bought': ['b']}, 'related': None}": ("a", []),
    b"{'asin': 'a', 'related': {'also_bought': ['b', 1, True, 1.5]}}": ("a", ["b", "1"]),
    b"{'asin': 'a', 'related': {'also_bought': ['b', '']}}": ("a", ["b"]),
    b"{'asin': 'a', 'related': {'also_bought': [['b'], 'c', {'d': 'e'}]}}": ("a", ["c"]),
    b"{'asin': 'a', 'related': {'also_bought': None, 'also_viewed': 1}}": ("a", []),
    b"{'asin': 'a', 'related': {'also_bought': 'b'}}": ("a", []),
    b"{'asin': 'a', 'related': ['b']}": ("a", []),
    b"{'asin': 'a', 'related': {'also_bought': ['b',]}}": ("a", ["b"]),
    b"{'asin': 'a', 'related': {'also_bought': ['b\\'c', 'd\\te', '\"']}}": (
        "a",
        ["b'c", "d\te", '"'],
    ),
    b'{"asin":"a","related":{"also_bought":[ "b" ,\t"c]," ]}}': ("a", ["b", "c],"]),
    b"{'asin': 'a', 'related': {'also_bought': ['b', 'exactly 16 bytes']}}": (
        "a",
        ["b", "exactly 16 bytes"],
    ),
    b"{'asin': 'a',}": ("a", []),
    b"{'asin': 'a'} {}": "malformed",
    b"{'asin': 'a\\tb'}": ("a\tb", []),
    b"{'asin': 'exactly 16 bytes'}": ("exactly 16 bytes", []),
    b"{'asin': ''}": "no id",
    b"{'asin': 5}": ("5", []),
    b"{'asin': 5.5}": "no id",
    b"{'asin': True}": "no id",
    b"{'asin': {'asin': 'a'}}": "no id",
    b"{'parent_asin': 'p', 'also_buy': ['b']}": ("p", ["b"]),
    b"{'asin': 'a', 'also_buy': '[1, \"b\"]'}": ("a", ["1", "b"]),
    b"{'asin': 'a', 'also_buy': [{'asin': 'b'}, {'title': 'c'}]}": ("a", ["b"]),
    b"{}": "no id",
    b"{'asin': 'a', 'x': 01}": "malformed",
    b"{'asin': 'a', 'x': 1.}": "malformed",
    b"{'asin': 'a', 'x': 1e5}": ("a", []),
    b"{'asin': 'a', 'x': 1e999}": "malformed",
    b'{"asin": "a", "x": 1E+999}': "malformed",
    b'{"asin": "a", "related": {"also_bought": ["b", -1e400]}}': "malformed",
    b'{"asin": "a", "x": [1e-999, "1e999"], "also_buy": ["1E999"]}': ("a", ["1E999"]),
    b'{"asin": "a", "x": ' + b"9" * 300 + b"}": ("a", []),
    b'{"asin": "a", "x": ' + b"9" * 310 + b"}": "malformed",
    b"{'asin': 'a', 'x': 1234567890123456}": ("a", []),
    b"{'asin': 'a', 'x': nan}": ("a", []),
    b'{"asin": "a", "x": NaN}': ("a", []),
    b"{'asin': 'a', 'x': (1, 2)}": "malformed",
    b"{'asin': 'a', 'x': u'b'}": ("a", []),
    b"{'asin': 'a', 'x': '\\ud83d\\ude00'}": ("a", []),
    b"{'asin': 'a', 'x': '\\ud83d'}": "malformed",
    b'{"asin": "a", "x": "\\ud83d"}': "malformed",
    b"{'asin': 'a', 'x': '\\N{DASH}'}": "malformed",
    b"{'asin': 'a', 'x': [1}]}": "malformed",
    b"{'asin': 'a', 1: 2}": "malformed",
    b"{'asin': 'a', 'x' 1}": "malformed",
    b"{'asin': 'a' 'x': 1}": "malformed",
    b"{'asin': 'a', 'x': '\xff'}": "malformed",
    b'{"asin": "a", "x": "\xff"}': "malformed",
    b'{"asin": "a", "x": "\xed\xa0\x80"}': "malformed",
    b"{'asin': 'a', 'x': 'b\0'}": "malformed",
    b'{"asin": "a", "x": "b\tc"}': ("a", []),  # no JSON, but a literal
    b"{'asin': 'a', 'x': " + b"[" * 61 + b"]" * 61 + b"}": ("a", []),
    b'{"asin": "a", "x": ' + b"[" * 1000 + b"]" * 1000 + b"}": ("a", []),
    b'{"asin": "a", "x": ' + b"[" * 1030 + b"]" * 1030 + b"}": "malformed",
    b'{"asin": "a", \'x\': 1}': ("a", []),
    b'{"asin": "a", "x": None}': ("a", []),
    b"\xef\xbb\xbf{'asin': 'a'}": ("a", []),
    b" {'asin': 'a'}": ("a", []),
    b"['asin']": "not an object",
}


@pytest.mark.parametrize("line", list(LINES), ids=lambda line: repr(line[:60]))
@pytest.mark.parametrize("first", [b"{'asin': 'z'}", b'{"asin": "z"}'], ids=["literal", "json"])
def test_lines_out_of_the_ordinary(first, line):
    expected = LINES[line]
    decoded = decode_lines(first + b"\n" + line + b"\n" + first + b"\n", ["also_bought"])
    ids = sorted(record.asin for record in decoded.records)
    if isinstance(expected, str):
        assert (ids, decoded.dropped) == (["z", "z"], [(1, expected)])
        assert lists_of(decoded) == []
    else:
        assert (ids, decoded.dropped) == (sorted(["z", "z", expected[0]]), [])
        place = [record.asin for record in decoded.records].index(expected[0])
        assert lists_of(decoded) == [(place, "also_bought", expected[1])] * bool(expected[1])


SOME = ["a", "it's", '"', "\\", "&amp;", " a ", "x" * 20, "a\u00a0", "\u2003a", "a\n", "\ta", ""]
texts = st.text(max_size=6) | st.sampled_from(SOME)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | texts,
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
        "also_viewed": lists,
        "related.bought_together": lists,
        "description": json_values,
    },
)


def usable_lists(record):
    """The lists that a record holds, read with plain Python."""
    related = record.get("related")
    related = related if isinstance(related, dict) else {}
    for name, written in RELATIONS.items():
        at_top = [record.get(top + one) for one in written for top in ("", "related.")]
        for targets in (*map(related.get, written), *at_top):
            if isinstance(targets, list):
                usable = [str(t) for t in targets if type(t) in (str, int) and t != ""]
                yield from [(name, usable)] if usable else []


@settings(deadline=None, max_examples=300)
@given(records, st.sampled_from([json_line, compact_line, repr]))
def test_what_is_written_is_read_back(record, write):
    decoded = decode_lines(write(record).encode() + b"\n", list(RELATIONS))
    if not record["asin"]:
        assert decoded.dropped == [(0, "no id")]
        return
    (found,) = decoded.records
    assert found.asin == record["asin"]
    for name in ("title", "brand"):
        value = record.get(name)
        assert getattr(found, name) == (value if isinstance(value, str) else None)
    assert lists_of(decoded) == sorted((0, *found) for found in usable_lists(record))


def spoil(line, place, byte):
    return line[: place % (len(line) + 1)] + byte + line[place % (len(line) + 1) + 1 :]


sound_lines = (
    records.map(lambda record: repr(record).encode())
    | records.map(lambda record: json.dumps(record).encode())
    | records.map(lambda record: json.dumps(record, ensure_ascii=False).encode())
)
BYTES = [bytes([c]) for c in b"'\"\\,:]} 0-\xff"] + [b"1e999", b"\\ud800", b"NaN", b'""', b"['']"]
any_lines = sound_lines | st.builds(spoil, sound_lines, st.integers(0, 300), st.sampled_from(BYTES))


@settings(deadline=None, max_examples=200)
@given(
    st.lists(any_lines.map(lambda line: line.replace(b"\n", b" ")), min_size=1, max_size=8),
    st.booleans(),
    st.integers(0, 2),
)
def test_both_ways_mean_the_same(tmp_path_factory, lines, titled, smallest):
    path = tmp_path_factory.mktemp("records") / "meta.json"
    path.write_bytes(b"\n".join([*lines, b"{'asin': 'a', 'title': 'A', 'also_buy': ['b', 'c']}"]))
    source = AmazonSource(str(path), WEIGHTS, "keep", titled, smallest, 1.0)
    found = source.read()
    with pytest.MonkeyPatch.context() as patch:  # leaves every line to `parse_line`
        patch.setattr(amazon_records, "json_lines", lambda block: [b""] * block.count(b"\n"))
        expected = source.read()
    assert found.items.equals(expected.items)
    for name in ("sources", "targets", "weights"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.account == expected.account


@settings(deadline=None)
@given(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b" ")))
def test_any_bytes_are_decoded_or_dropped(line):
    decoded = decode_lines(line + b"\n", list(RELATIONS))
    assert len(decoded.records) + len(decoded.dropped) == 1
