import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_lab.catalog.amazon import BAD_REASONS, AmazonSource
from recsys_lab.catalog.records import ITEM_SCHEMA
from recsys_lab.catalog.report import CatalogError

WEIGHTS = {"also_bought": 1.0, "bought_together": 2.0}
ODD_IDS = [
    "0000013714",
    "nan",
    "NA",
    "1e5",
    "True",
    "../../x",
    "=cmd()",
    " a b ",
    "\t",
    "'\"",
    "🎸",
]


def source(path, **options):
    defaults = {
        "relation_weights": WEIGHTS,
        "outside_items": "keep",
        "require_title": False,
        "min_also_bought": 0,
        "max_bad_fraction": 1.0,
    }
    return AmazonSource(str(path), **(defaults | options))


@pytest.fixture
def read(tmp_path):
    def read(*lines, **options):
        path = tmp_path / "meta.json"
        texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        path.write_bytes(b"\n".join(texts))
        records = source(path, **options).read()
        assert records.report.lines == records.report.kept + records.report.dropped.total()
        return records

    return read


def listings(records):
    ids = records.items["item"].to_list()
    rows = zip(records.sources, records.targets, records.weights.tolist(), strict=True)
    return [(ids[s], ids[t], w) for s, t, w in rows]


def fields(records, item):
    row = records.items.row(by_predicate=pl.col("item") == item, named=True)
    return {name: row[name] for name in ("title", "brand", "categories", "price", "has_metadata")}


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
    assert records.report.notes == {"repeated listings": 1}
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
    assert records.report.notes["price not understood"] == noted


def test_brands_that_name_no_maker(read):
    brands = ["Unknown", "GENERIC", " n/a ", "", "Acme"]
    records = read(*({"asin": f"{i}", "brand": brand} for i, brand in enumerate(brands)))
    assert records.items["brand"].to_list() == [None] * 4 + ["Acme"]
    assert records.report.notes == {"brands that name no maker": 3}


def test_wrong_types_are_noted_and_ignored(read):
    wrong = {"title": 1, "brand": ["x"], "categories": "x", "price": {}, "related": [1]}
    mixed = {"categories": [["x", 1], "y"], "related": {"also_bought": ["b", 1, None, [], ""]}}
    records = read({"asin": "a"} | wrong, {"asin": "c", "related": {"also_bought": "b"}} | mixed)
    assert records.items["item"].to_list() == ["a", "b", "c"]
    assert fields(records, "c")["categories"] == [["x"]]
    assert records.report.kept == 2
    assert records.report.notes == {
        "title of a wrong type": 1,
        "brand of a wrong type": 1,
        "categories of a wrong type": 3,
        "price not understood": 1,
        "related of a wrong type": 1,
        "listings without an id": 4,
    }


def test_every_bad_line_is_counted(read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("recsys_lab.catalog.lines._BLOCK_BYTES", 50)
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
    assert records.report.kept == 1
    dropped = {"blank": 2, "malformed": 5, "not an object": 2, "no id": 5}
    assert records.report.dropped == dropped


def test_a_line_too_long_is_counted(read):
    records = read(b"x" * 10_000_001, {"asin": "a"}, b"x" * 10_000_001, max_bad_fraction=0.7)
    assert records.report.dropped == {"too long": 2}
    with pytest.raises(CatalogError, match="the first is line 2"):
        read({"asin": "a"}, b"x" * 10_000_001, max_bad_fraction=0.4)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_and_blocks_change_nothing(read, monkeypatch, threads):
    lines = [{"asin": f"{k % 70}", "title": f"{k}", "also_buy": [f"{k + 1}"]} for k in range(90)]
    expected = read(*lines, b"{")
    monkeypatch.setattr("recsys_lab.catalog.parallel.num_threads", lambda: threads)
    monkeypatch.setattr("recsys_lab.catalog.lines._BLOCK_BYTES", 100)
    records = read(*lines, b"{")
    assert records.items.equals(expected.items)
    assert listings(records) == listings(expected)
    assert records.report == expected.report


def test_ids_stay_as_written(read):
    records = read(*({"asin": odd, "related": {"also_bought": ODD_IDS}} for odd in ODD_IDS))
    assert records.items["item"].to_list() == sorted(ODD_IDS)
    assert records.report.notes == {"self-listings": len(ODD_IDS)}
    assert len(records.sources) == len(ODD_IDS) * (len(ODD_IDS) - 1)


def test_outside_items_are_kept_or_dropped(read):
    lines = [{"asin": "a", "related": {"also_bought": ["b", "x"]}}, {"asin": "b"}]
    assert read(*lines).items["item"].to_list() == ["a", "b", "x"]
    records = read(*lines, outside_items="drop")
    assert records.items["item"].to_list() == ["a", "b"]
    assert listings(records) == [("a", "b", 1.0)]
    assert records.report.notes == {"listings of outside items": 1}
    with pytest.raises(CatalogError, match=r"no listing is left.*outside_items=keep"):
        read(lines[0], outside_items="drop")


def test_filters_are_counted(read):
    lines = [
        {"asin": "a", "title": "A", "related": {"also_bought": ["b", "b"]}},
        {"asin": "b", "title": "B", "related": {"also_bought": ["a", "c"]}},
        {"asin": "c", "title": " "},
    ]
    records = read(*lines, require_title=True, min_also_bought=2)
    assert records.report.dropped == {"filtered: no title": 1, "filtered: few also_bought": 1}
    assert records.items["item"].to_list() == ["a", "b", "c"]
    assert records.items["has_metadata"].to_list() == [False, True, False]
    with pytest.raises(CatalogError, match=r"'filtered: few also_bought' removed most"):
        read(*lines, require_title=True, min_also_bought=3)


@pytest.mark.parametrize("related", [None, {}, {"also_bought": ["a"]}, {"also_viewed": ["b"]}])
def test_one_item_alone_is_a_catalogue(read, related):
    records = read({"asin": "a", "related": related})
    assert len(records.items) == 1
    assert len(records.sources) == 0


def test_too_many_bad_lines_are_refused(read):
    lines = [{"asin": "a"}, b"", b"{", {"asin": "b"}, b"1"]
    assert read(*lines, max_bad_fraction=0.5).report.kept == 2
    with pytest.raises(
        CatalogError,
        match=r"2 of 5 lines are bad \(1 malformed, 1 not an object\).* 0\.5 beyond 0\.49; "
        r"the first is line 3.*catalog\.max_bad_fraction=",
    ):
        read(*lines, max_bad_fraction=0.49)
    with pytest.raises(CatalogError, match="nothing is left"):
        read(b"{", max_bad_fraction=1.0)


def test_duplicates_merge_in_any_order(read):
    lines = [
        {"asin": "a", "brand": "X", "related": {"also_bought": ["b"]}},
        {"asin": "a", "brand": "Z", "price": 1, "related": {"also_bought": ["c", "b"]}},
        {"asin": "a", "brand": "Y", "price": 2, "related": {"bought_together": ["b"]}},
        {"asin": "b"},
    ]
    expected = read(*lines)
    assert fields(expected, "a")["brand"] == "Y"  # fullest, then smallest as JSON
    assert listings(expected) == [("a", "b", 1.0), ("a", "b", 2.0), ("a", "c", 1.0)]
    assert expected.report.notes == {"merged duplicates": 2, "repeated listings": 1}
    for seed in range(5):
        shuffled = random.Random(seed).sample(lines + lines, 8)
        records = read(*shuffled)
        assert records.items.equals(expected.items)
        assert listings(records) == listings(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"relation_weights": {"also_buy": 1}}, r"no relation 'also_buy'; .* also_bought, also_v"),
        ({"relation_weights": {"also_bought": -1}}, r"catalog\.relation_weights\.also_bought.*-1"),
        ({"relation_weights": {"also_bought": float("nan")}}, r"finite number >= 0.*got nan"),
        ({"relation_weights": {"also_bought": float("inf")}}, r"got inf"),
        ({"relation_weights": {"also_bought": True}}, r"got True"),
        ({"relation_weights": {"also_bought": 0}}, r"ignores every relation"),
        ({"relation_weights": {}}, r"ignores every relation"),
        ({"outside_items": "maybe"}, r"catalog\.outside_items must be one of keep, drop"),
        ({"min_also_bought": -1}, r"catalog\.min_also_bought must be an integer >= 0"),
        ({"max_bad_fraction": 1.5}, r"catalog\.max_bad_fraction must be a number in \[0, 1\]"),
        ({"max_bad_fraction": float("nan")}, r"got nan"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(CatalogError, match=message):
        source("nowhere", **options)


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
    report = records.report
    assert report.lines >= len([line for line in lines if line])
    assert set(report.dropped) <= {"blank", *BAD_REASONS}
    assert records.items["item"].is_sorted()
    assert records.items["item"].n_unique() == len(records.items)
    assert not (records.sources == records.targets).any()


FINGERPRINT = """
import hashlib, sys
from recsys_lab.catalog.amazon import AmazonSource
weights = {"also_bought": 1.0, "also_viewed": 0.5}
records = AmazonSource(sys.argv[1], weights, "keep", False, 0, 0.0).read()
parts = [records.items.write_json().encode(), records.sources, records.targets, records.weights]
print(hashlib.sha256(b"".join(bytes(part) for part in parts)).hexdigest())
"""


def test_order_of_lines_and_hash_seed_change_nothing(tmp_path):
    rng = random.Random(0)
    ids = [f"{number:07d}" for number in range(200)]
    lines = [
        repr(
            {"asin": item, "brand": rng.choice("xyz"), "price": rng.choice([None, 1, 2])}
            | {"related": {"also_bought": rng.sample(ids, 9), "also_viewed": rng.sample(ids, 3)}}
        )
        for item in [*ids[:150], *ids[:50]]
    ]
    shuffled = rng.sample(lines + lines, 2 * len(lines))
    prints = set()
    for seed, content in enumerate([lines, lines + lines, shuffled]):
        path = tmp_path / f"{seed}.json"
        path.write_text("\n".join(content))
        environment = os.environ | {"PYTHONHASHSEED": str(seed + 1)}
        command = [sys.executable, "-c", FINGERPRINT, str(path)]
        root = Path(__file__).parents[2]
        done = subprocess.run(command, env=environment, cwd=root, capture_output=True, check=True)
        prints.add(done.stdout)
    assert len(prints) == 1


@pytest.mark.parametrize(
    ("name", "outside", "items", "paired", "pairs"),
    [
        ("amazon_beauty/meta_Beauty.json.gz", "drop", 12_101, 11_672, 193_598),
        ("amazon_beauty/meta_Beauty.json.gz", "keep", None, 118_374, 845_435),
        ("amazon_clothing/meta_Clothing.json.gz", "drop", 23_033, 21_370, 218_032),
        ("amazon_clothing/meta_Clothing.json.gz", "keep", None, 232_640, 1_376_910),
        ("amazon_digital_music/meta_Digital_Music.first7419.json.gz", "drop", 7_419, 5_201, 36_189),
        (
            "amazon_digital_music/meta_Digital_Music.first7419.json.gz",
            "keep",
            None,
            61_159,
            309_847,
        ),
    ],
)
def test_counts_of_real_catalogues(real_data, name, outside, items, paired, pairs):
    records = source(real_data(name), outside_items=outside, max_bad_fraction=0.0).read()
    low = np.minimum(records.sources, records.targets).astype(np.int64)
    high = np.maximum(records.sources, records.targets)
    assert len(np.unique(low * len(records.items) + high)) == pairs
    assert len(np.union1d(low, high)) == paired
    assert items is None or len(records.items) == items
    assert records.report.dropped.total() == 0
