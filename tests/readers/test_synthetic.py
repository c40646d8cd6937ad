import ast
import gzip
import hashlib
import json

import numpy as np
import pytest

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.amazon import AmazonSource
from recsys_lab.readers.synthetic import SyntheticSource, main, write_synthetic

WEIGHTS = {"also_bought": 1.0, "bought_together": 1.0}


@pytest.fixture(scope="module")
def records():
    return SyntheticSource(3000, 0, WEIGHTS, "keep").read()


@pytest.fixture(scope="module")
def pairs(records):
    low = np.minimum(records.sources, records.targets).astype(np.int64)
    high = np.maximum(records.sources, records.targets)
    return np.divmod(np.unique(low * len(records.items) + high), len(records.items))


def auc(positive, negative):
    """Chance that a positive scores above a negative; ties count half."""
    ranks = np.searchsorted(np.sort(negative), positive, "left")
    ties = np.searchsorted(np.sort(negative), positive, "right")
    return (ranks + ties).mean() / (2 * len(negative))


def test_a_pure_function_of_size_and_seed(tmp_path):
    paths = [tmp_path / name for name in ("a.json", "b.json", "c.json")]
    for path, seed in zip(paths, (0, 0, 1), strict=True):
        write_synthetic(str(path), 500, seed)
    assert paths[0].read_bytes() == paths[1].read_bytes() != paths[2].read_bytes()


def test_nothing_stays_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source = SyntheticSource(200, 0, WEIGHTS, "keep")
    assert source.files == {}
    source.read()
    assert not list(tmp_path.iterdir())


def test_looks_like_a_real_catalogue(records, pairs):
    items = records.items
    assert 0.97 * 3000 < len(items) <= 3000
    assert 0.10 < 1 - items["has_metadata"].mean() < 0.20
    assert items["categories"].is_null().mean() == pytest.approx(0.61, abs=0.03)
    described = items.filter(items["categories"].is_not_null())
    assert described["brand"].is_null().mean() == pytest.approx(0.5, abs=0.05)
    assert described["price"].is_not_null().all()
    assert not items["brand"].drop_nulls().str.contains("&amp;|&#", literal=False).any()
    assert items.filter("has_metadata")["title"].str.contains(r"^\w+ \w+ \w+ \w+ by \w+$").all()
    degrees = np.bincount(np.concatenate(pairs), minlength=len(items))
    assert 15 <= np.median(degrees) <= 30
    assert records.account.dropped.total() == 0
    backwards = set(zip(records.targets.tolist(), records.sources.tolist(), strict=True))
    forwards = set(zip(records.sources.tolist(), records.targets.tolist(), strict=True))
    assert len(forwards & backwards) < 0.8 * len(forwards)


def test_popularity_helps_only_against_uniform_negatives(records, pairs):
    rng = np.random.default_rng(0)
    held_out = rng.random(len(pairs[0])) < 0.1
    heads, tails = (ends[held_out] for ends in pairs)
    degrees = np.bincount(np.concatenate([ends[~held_out] for ends in pairs]))
    degrees = np.append(degrees, np.zeros(len(records.items) - len(degrees)))
    uniform = rng.integers(len(records.items), size=(2, 20_000))
    positive = degrees[heads] * degrees[tails]
    assert 0.72 < auc(positive, degrees[uniform[0]] * degrees[uniform[1]]) < 0.87
    pool = np.concatenate([heads, tails])
    matched = rng.choice(pool, (2, 20_000))
    assert auc(positive, degrees[matched[0]] * degrees[matched[1]]) == pytest.approx(0.5, abs=0.02)


def test_side_information_is_informative(records, pairs):
    rng = np.random.default_rng(0)
    random_pairs = rng.integers(len(records.items), size=(2, 50_000))
    leaves = records.items["categories"].list.first().list.last()
    for field in (leaves, records.items["brand"]):
        codes = field.rank("dense").fill_null(0).to_numpy()

        def shared(heads, tails, codes=codes):
            known = (codes[heads] > 0) & (codes[tails] > 0)
            return (codes[heads] == codes[tails])[known].mean()

        assert shared(*pairs) > 0.2
        assert shared(*random_pairs) < 0.06


def test_gzip_and_reading_options(tmp_path):
    write_synthetic(str(tmp_path / "a.json.gz"), 200, 0)
    assert (tmp_path / "a.json.gz").read_bytes()[:2] == b"\x1f\x8b"
    records = SyntheticSource(500, 0, WEIGHTS, "drop", min_also_bought=5).read()
    assert records.items["has_metadata"].all()
    assert records.account.dropped["filtered: few also_bought"] > 0


def test_the_command_writes_json_or_literals(tmp_path):
    plain, literal = tmp_path / "a.json", tmp_path / "b.json.gz"
    main([str(plain), "--num-items", "500", "--seed", "3"])
    main([str(literal), "--num-items", "500", "--seed", "3", "--literals"])
    lines = gzip.decompress(literal.read_bytes()).splitlines()
    assert [ast.literal_eval(line.decode()) for line in lines] == [
        json.loads(line) for line in plain.read_text().splitlines()
    ]
    read = [AmazonSource(str(p), WEIGHTS, "keep", False, 0, 0.0).read() for p in (plain, literal)]
    assert read[0].items.equals(read[1].items)
    np.testing.assert_array_equal(read[0].targets, read[1].targets)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json.gz"]
    with pytest.raises(SystemExit):
        main([str(plain), "--num-items", "5"])


def test_list_scale_sets_the_density(records):
    twice = SyntheticSource(3000, 0, WEIGHTS, "keep", list_scale=2.0).read()
    assert 1.3 * len(records.sources) < len(twice.sources) < 2 * len(records.sources)
    assert 0.97 * 3000 < len(twice.items) <= 3000


def test_the_default_catalogue_is_what_it_was(tmp_path):
    path = tmp_path / "a.json"
    write_synthetic(str(path), 10_000, 0)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found == "8d9b8fba4adf8565ce4012db760a9ab4e2da079f2ef588313e069812dbf1db7c"


def test_options_are_checked():
    with pytest.raises(ValueError, match=r"num_items must be >= 100, got 99"):
        SyntheticSource(99, 0, WEIGHTS, "keep")
    with pytest.raises(ValueError, match=r"seed"):
        SyntheticSource(100, -1, WEIGHTS, "keep")
    with pytest.raises(ValueError, match=r"list_scale must be > 0, got 0"):
        SyntheticSource(100, 0, WEIGHTS, "keep", list_scale=0)
    with pytest.raises(CatalogError, match=r"no relation 'x'"):
        SyntheticSource(100, 0, {"x": 1.0}, "keep")
    assert SyntheticSource(100, 0, WEIGHTS, "keep").read().account.kept > 0
