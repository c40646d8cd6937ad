"""A whole file: what stays, what merges, what is refused."""

import gc
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from recsys_lab.readers.account import CatalogError
from tests.readers.amazon_cases import WEIGHTS, fields, listings, source
from tests.run_cases import ROOT


def test_outside_items_are_kept_or_dropped(read):
    lines = [{"asin": "a", "related": {"also_bought": ["b", "x"]}}, {"asin": "b"}]
    assert read(*lines).items["item"].to_list() == ["a", "b", "x"]
    records = read(*lines, outside_items="drop")
    assert records.items["item"].to_list() == ["a", "b"]
    assert listings(records) == [("a", "b", 1.0)]
    assert records.account.notes == {"listings of outside items": 1}
    with pytest.raises(CatalogError, match=r"no listing is left.*outside_items=keep"):
        read(lines[0], outside_items="drop")


def test_filters_are_counted(read):
    lines = [
        {"asin": "a", "title": "A", "related": {"also_bought": ["b", "b"]}},
        {"asin": "b", "title": "B", "related": {"also_bought": ["a", "c"]}},
        {"asin": "c", "title": " "},
    ]
    records = read(*lines, require_title=True, min_also_bought=2)
    assert records.account.dropped == {"filtered: no title": 1, "filtered: few also_bought": 1}
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
    assert read(*lines, max_bad_fraction=0.5).account.kept == 2
    with pytest.raises(
        CatalogError,
        match=r"2 of 5 lines are bad \(1 malformed, 1 not an object\).* 0\.5 beyond 0\.49; "
        r"the first is line 3.*max_bad_fraction=",
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
    assert expected.account.notes == {"merged duplicates": 2, "repeated listings": 1}
    for seed in range(5):
        shuffled = random.Random(seed).sample(lines + lines, 8)
        records = read(*shuffled)
        assert records.items.equals(expected.items)
        assert listings(records) == listings(expected)


@pytest.mark.parametrize("was_enabled", [True, False])
def test_reading_leaves_the_garbage_collector_as_it_was(tmp_path, read, was_enabled):
    (gc.enable if was_enabled else gc.disable)()
    try:
        read({"asin": "a"})
        assert gc.isenabled() == was_enabled
        with pytest.raises(CatalogError, match="does not exist"):
            source(tmp_path / "nowhere").read()
        assert gc.isenabled() == was_enabled
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"relation_weights": {"also_buy": 1}}, r"no relation 'also_buy'; .* also_bought, also_v"),
        ({"relation_weights": {"also_bought": -1}}, r"relation_weights\.also_bought.*-1"),
        ({"relation_weights": {"also_bought": float("nan")}}, r"finite number .*got nan"),
        ({"relation_weights": {"also_bought": float("inf")}}, r"got inf"),
        ({"relation_weights": {"also_bought": True}}, r"got True"),
        ({"relation_weights": {"also_bought": 0}}, r"ignores every relation"),
        ({"relation_weights": {}}, r"ignores every relation"),
        ({"outside_items": "maybe"}, r"outside_items must be keep or drop"),
        ({"min_also_bought": -1}, r"min_also_bought must be >= 0"),
        ({"max_bad_fraction": 1.5}, r"max_bad_fraction must be >= 0 and <= 1"),
        ({"max_bad_fraction": float("nan")}, r"got nan"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        source("nowhere", **options)


def test_listings_are_those_of_a_set(read):
    rng = random.Random(0)
    ids = [f"{number:03d}" for number in range(400)]
    lines, expected = [], set()
    for item in rng.choices(ids[:40], k=120):  # records of an item lie apart; long lists and short
        lists = {name: rng.choices(ids, k=rng.choice([0, 1, 5, 255, 600])) for name in WEIGHTS}
        lines.append({"asin": item, "related": lists})
        expected |= {(item, t, WEIGHTS[name]) for name, ts in lists.items() for t in ts}
    assert listings(read(*lines)) == sorted(row for row in expected if row[0] != row[1])


FINGERPRINT = """
import hashlib, sys
from recsys_lab.readers.amazon import AmazonSource
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
        root = ROOT
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
    assert records.account.dropped.total() == 0
