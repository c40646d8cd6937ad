"""What single records and lines come to."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.amazon import BAD_REASONS
from recsys_lab.readers.records import ITEM_SCHEMA
from tests.readers.amazon_cases import ODD_IDS, WEIGHTS, fields, listings


def test_the_form_of_2014(read):
    record = {
        "asin": "b",
        "title": " Caf&eacute; &amp;amp; Bar\n",
        "brand": "L&#39;Oreal&amp;reg;",
        "categories": [["A &amp; B", " C "], ["D"], ["D"]],
        "price": 9.49,
        "salesRank": {"Music": 1},
        "related": {"also_bought": ["c", "a", "c"], "bought_together": ["a"], "also_viewed": ["v"]},
    }
    records = read(record, repr({"asin": "a", "title": None}).encode())
    assert records.items.schema == ITEM_SCHEMA
    assert records.items["item"].to_list() == ["a", "b", "c"]
    assert fields(records, "b") == {
        "title": "Café & Bar",
        "brand": "L'Oreal®",
        "categories": [["A & B", "C"], ["D"]],
        "price": 9.49,
        "has_metadata": True,
    }
    assert fields(records, "c") == dict.fromkeys(fields(records, "b")) | {"has_metadata": False}
    assert fields(records, "a")["has_metadata"]
    assert listings(records) == [("b", "a", 1.0), ("b", "a", 2.0), ("b", "c", 1.0)]
    assert records.account.notes == {"repeated listings": 1}
    assert records.sources.dtype == records.targets.dtype == np.int32
    assert records.weights.dtype == np.float32


def test_the_form_of_2018(read):
    record = {"asin": "a", "category": ["X", "Y"], "also_buy": ["b"], "also_view": ["c"]}
    records = read(record | {"price": "$1,234.50"}, relation_weights={"also_viewed": 0.5})
    assert listings(records) == [("a", "c", 0.5)]
    assert records.items["item"].to_list() == ["a", "c"]
    assert fields(records, "a")["categories"] == [["X", "Y"]]
    assert fields(records, "a")["price"] == 1234.5


@pytest.mark.parametrize(
    ("written", "price", "noted"),
    [
        ("$12.99", 12.99, 0),
        ("$5.00 - $9.99", 5.0, 0),
        ("12", 12.0, 0),
        ("", None, 0),
        (None, None, 0),
        (0, 0.0, 0),
        (".a-box { color: red }", None, 1),
        ("$1" * 1000, None, 1),
        (-1, None, 1),
        (True, None, 1),
        ([1], None, 1),
    ],
)
def test_prices(read, written, price, noted):
    records = read({"asin": "a", "price": written})
    assert fields(records, "a")["price"] == price
    assert records.account.notes["price not understood"] == noted


def test_brands_that_name_no_maker(read):
    brands = ["Unknown", "GENERIC", " n/a ", "", "Acme"]
    records = read(*({"asin": f"{i}", "brand": brand} for i, brand in enumerate(brands)))
    assert records.items["brand"].to_list() == [None] * 4 + ["Acme"]
    assert records.account.notes == {"brands that name no maker": 3}


def test_wrong_types_are_noted_and_ignored(read):
    wrong = {"title": 1, "brand": ["x"], "categories": "x", "price": {}, "related": [1]}
    mixed = {"categories": [["x", 1], "y"], "related": {"also_bought": ["b", 1, None, [], ""]}}
    records = read({"asin": "a"} | wrong, {"asin": "c", "related": {"also_bought": "b"}} | mixed)
    assert records.items["item"].to_list() == ["1", "a", "b", "c"]
    assert fields(records, "c")["categories"] == [["x"]]
    assert records.account.kept == 2
    assert records.account.notes == {
        "title of a wrong type": 1,
        "brand of a wrong type": 1,
        "categories of a wrong type": 3,
        "price not understood": 1,
        "related of a wrong type": 1,
        "listings without an id": 3,
        "lists of numbers or objects in place of ids": 1,
    }


def test_every_bad_line_is_counted(read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("recsys_lab.readers.opening.BLOCK_BYTES", 50)
    records = read(
        b"\xef\xbb\xbf{'asin': 'a'}\r",
        b"",
        b"  ",
        b"__import__('os').system('touch X')",
        b"{'asin': 'a', 'related': {'also_bought': [__import__('os').system('touch X')]}}",
        b"{'asin': '\xff'}",
        b'{"asin": "\0"}',
        b"[" * 5000,
        b"['asin']",
        b"1",
        {"title": "x"},
        {"asin": ""},
        {"asin": 5},
        {"asin": None},
        {"asin": ["a"]},
    )
    assert not (tmp_path / "X").exists()
    assert records.account.kept == 2
    assert records.account.notes == {"ids written as numbers": 1}
    dropped = {"blank": 2, "malformed": 5, "not an object": 2, "no id": 4}
    assert records.account.dropped == dropped


def test_a_line_too_long_is_counted(read):
    records = read(b"x" * 10_000_001, {"asin": "a"}, b"x" * 10_000_001, max_bad_fraction=0.7)
    assert records.account.dropped == {"too long": 2}
    with pytest.raises(CatalogError, match="the first is line 2"):
        read({"asin": "a"}, b"x" * 10_000_001, max_bad_fraction=0.4)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_and_blocks_change_nothing(read, monkeypatch, threads):
    lines = [{"asin": f"{k % 70}", "title": f"{k}", "also_buy": [f"{k + 1}"]} for k in range(90)]
    expected = read(*lines, b"{")
    monkeypatch.setattr("recsys_lab.compute.threads._chosen", threads)
    monkeypatch.setattr("recsys_lab.readers.opening.BLOCK_BYTES", 100)
    records = read(*lines, b"{")
    assert records.items.equals(expected.items)
    assert listings(records) == listings(expected)
    assert records.account == expected.account


def test_ids_stay_as_written(read):
    records = read(*({"asin": odd, "related": {"also_bought": ODD_IDS}} for odd in ODD_IDS))
    assert records.items["item"].to_list() == sorted(ODD_IDS)
    assert records.account.notes == {"self-listings": len(ODD_IDS)}
    assert len(records.sources) == len(ODD_IDS) * (len(ODD_IDS) - 1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
NAMES = ("title", "brand", "categories", "category", "price", "related", "also_buy", "also_view")
lists = st.fixed_dictionaries({}, optional=dict.fromkeys(WEIGHTS, json_values))
records_of_any_kind = st.fixed_dictionaries(
    {"asin": json_values | st.sampled_from(ODD_IDS)},
    optional=dict.fromkeys(NAMES, json_values) | {"related": lists | json_values},
)
any_line = (
    st.binary(max_size=60)
    | records_of_any_kind.map(lambda record: repr(record).encode("utf-8", "surrogatepass"))
    | records_of_any_kind.map(lambda record: json.dumps(record).encode())
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(any_line.map(lambda line: line.replace(b"\n", b" ")), max_size=8))
def test_any_lines_are_kept_or_counted(read, lines):
    records = read(b"{'asin': 'a', 'related': {'also_bought': ['b']}}", *lines)
    account = records.account
    assert account.lines >= len([line for line in lines if line])
    assert set(account.dropped) <= {"blank", *BAD_REASONS}
    assert records.items["item"].is_sorted()
    assert records.items["item"].n_unique() == len(records.items)
    assert not (records.sources == records.targets).any()
