import json
import logging
import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys_lab.catalog.prepared import PreparedData, prepare
from recsys_lab.catalog.split import SplitOptions
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.amazon import AmazonSource
from recsys_lab.readers.edges import EdgeSource
from recsys_lab.readers.synthetic import SyntheticSource, write_synthetic
from tests.run_cases import ROOT

WEIGHTS = {"bought_together": 1.2, "also_bought": 1.0, "also_viewed": 0.5, "buy_after_viewing": 0.5}
OPTIONS = SplitOptions("pairs", 0.1, 0.1, ("uniform", "degree_matched"), 0)
PLANTED = SyntheticSource(num_items=300, seed=0, relation_weights=WEIGHTS, outside_items="keep")


def amazon(path: Path) -> AmazonSource:
    return AmazonSource(str(path), WEIGHTS, "keep", False, 0, 0.01)


def test_the_second_time_it_is_reused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    first = prepare(PLANTED, OPTIONS, tmp_path)
    for stage in ("listings", "drawing negatives", "prepared data written"):
        assert stage in caplog.text
    assert "re-used" not in caplog.text
    caplog.clear()
    second = prepare(PLANTED, OPTIONS, tmp_path)
    assert caplog.text.count("re-used") == 2
    assert "written" not in caplog.text
    assert first.split_hash == second.split_hash
    assert first.catalog.items.equals(second.catalog.items)
    for protocol, ids in first.split.test.negatives.items():
        np.testing.assert_array_equal(ids, second.split.test.negatives[protocol])


def test_every_option_has_a_place_of_its_own(tmp_path: Path) -> None:
    hashes = {
        prepare(source, options, tmp_path).split_hash
        for source in (PLANTED, replace(PLANTED, seed=1), replace(PLANTED, outside_items="drop"))
        for options in (OPTIONS, replace(OPTIONS, seed=1), replace(OPTIONS, by="items"))
    }
    assert len(hashes) == 9
    assert len(list((tmp_path / "catalogs").iterdir())) == 3
    assert len(list((tmp_path / "splits").iterdir())) == 9


def test_contents_decide_and_not_the_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json.gz"
    write_synthetic(str(one), 300, 0)
    write_synthetic(str(other), 300, 0)
    prepared = [prepare(amazon(path), OPTIONS, tmp_path / "prepared") for path in (one, other)]
    assert prepared[0].split_hash == prepared[1].split_hash
    before = prepared[0].vocabulary_hash
    with one.open("a") as file:
        file.write(json.dumps({"asin": "one more", "related": {"also_bought": ["other"]}}) + "\n")
    assert prepare(amazon(one), OPTIONS, tmp_path / "prepared").vocabulary_hash != before


def test_order_of_lines_and_repetition_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_synthetic(str(path), 300, 0)
    lines = path.read_text().splitlines(keepends=True)
    shuffled, doubled = tmp_path / "b.json", tmp_path / "c.json"
    shuffled.write_text("".join(lines[k] for k in np.random.default_rng(0).permutation(len(lines))))
    doubled.write_text("".join(lines) * 2)
    hashes = {
        prepare(amazon(file), OPTIONS, tmp_path / "prepared").split_hash
        for file in (path, shuffled, doubled)
    }
    assert len(hashes) == 1


def test_the_hash_seed_of_python_changes_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from tests.catalog.test_prepared import PLANTED, OPTIONS, prepare\n"
        "print(prepare(PLANTED, OPTIONS, Path(sys.argv[1])).split_hash)"
    )
    root = ROOT
    found = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / seed), str(root)],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(found) == 1


def test_damage_is_noticed_and_mended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = prepare(PLANTED, OPTIONS, tmp_path).split_hash
    (pairs,) = tmp_path.glob("catalogs/*/pairs.npz")
    pairs.write_bytes(pairs.read_bytes()[:-100])
    (split,) = tmp_path.glob("splits/*/split.npz")
    split.unlink()
    assert prepare(PLANTED, OPTIONS, tmp_path).split_hash == whole
    assert caplog.text.count("damaged") == 2


def test_what_a_killed_builder_leaves_is_not_taken_for_complete(tmp_path: Path) -> None:
    whole = prepare(PLANTED, OPTIONS, tmp_path).split_hash
    (folder,) = tmp_path.glob("splits/*")
    (folder / "manifest.json").unlink()
    half = folder.with_name(f".{folder.name}.abc.part")
    folder.rename(half)
    assert prepare(PLANTED, OPTIONS, tmp_path).split_hash == whole
    assert (folder / "manifest.json").exists()


def prepare_there(folder: str) -> str:
    return prepare(PLANTED, OPTIONS, Path(folder)).split_hash


def test_two_processes_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        hashes = pool.map(prepare_there, [str(tmp_path)] * 4)
    assert len(set(hashes)) == 1
    assert not list(tmp_path.glob("*/.*.part"))


def test_a_failing_reader_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"asin": "A"}\n')
    with pytest.raises(CatalogError, match="has no pairs"):
        prepare(amazon(path), OPTIONS, tmp_path / "prepared")
    assert not list((tmp_path / "prepared").glob("catalogs/*"))
    assert not list((tmp_path / "prepared").glob("catalogs/.*"))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match=r"cannot write prepared data .*prepared_dir="):
        prepare(PLANTED, OPTIONS, tmp_path / "file")


def test_given_pairs_come_through(tmp_path: Path) -> None:
    train, val, test = (tmp_path / name for name in ("train.csv", "val.csv", "test.csv"))
    train.write_text("".join(f"i{k},i{k + 1}\n" for k in range(60)))
    val.write_text("".join(f"i{k},i{k + 2},1\ni{k},i{k + 9},0\n" for k in range(10)))
    test.write_text("".join(f"i{k},i{k + 3},1\ni{k},i{k + 11},0\n" for k in range(12)))
    source = EdgeSource(str(train), str(val), str(test), 0.01)
    data: PreparedData = prepare(source, OPTIONS, tmp_path / "prepared")
    assert (len(data.split.train), len(data.split.val.pairs), len(data.split.test.pairs)) == (
        60,
        10,
        12,
    )
    assert {name: len(ids) for name, ids in data.split.test.negatives.items()} == {
        "given": 12,
        "uniform": 12,
        "degree_matched": 12,
    }
    again = prepare(source, OPTIONS, tmp_path / "prepared")
    assert again.split_hash == data.split_hash
