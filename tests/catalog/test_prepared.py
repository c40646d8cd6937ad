import dataclasses
import hashlib
import json
import logging
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from recsys_lab.catalog import prepared
from recsys_lab.catalog.prepared import FORMAT, PreparedData, prepare
from recsys_lab.catalog.split import SplitOptions
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.amazon import AmazonSource
from recsys_lab.readers.edges import EdgeSource
from recsys_lab.readers.synthetic import SyntheticSource, write_synthetic
from recsys_lab.results.part_files import hidden_beside
from recsys_lab.results.write_errors import WriteError
from tests.forked import CONTEXT
from tests.readers.edge_cases import edge_source
from tests.run_cases import ROOT
from tests.soak import times

WEIGHTS = {"bought_together": 1.2, "also_bought": 1.0, "also_viewed": 0.5, "buy_after_viewing": 0.5}
OPTIONS = SplitOptions("pairs", 0.1, 0.1, ("uniform", "degree_matched"), 0)
PLANTED = SyntheticSource(num_items=300, seed=0, relation_weights=WEIGHTS, outside_items="keep")


PAIR = ("heads", "tails", "weights")


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


def test_what_looks_wrong_is_said_by_every_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "edges"
    path.write_text("".join(f"u{k % 20}\ti{k % 30}\n" for k in range(60)))
    source = edge_source(str(path))
    for _ in range(2):
        caplog.clear()
        prepare(source, OPTIONS, tmp_path)
        assert caplog.text.count("the graph is bipartite") == 1


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


RECORDS = (
    {"asin": "A", "title": "one", "price": 2.5, "brand": "x", "categories": [["c", "d"], ["e"]],
     "related": {"also_bought": ["B", "C", "D", "Z"], "bought_together": ["C"]}},
    {"asin": "B", "title": "two", "price": "3.0", "related": {"also_viewed": ["A", "C"]}},
    {"asin": "C", "brand": "y", "related": {"buy_after_viewing": ["D", "E", "F", "Z"]}},
    {"asin": "D", "title": "three", "related": {"also_bought": ["E", "F", "G"]}},
    {"asin": "C", "title": "again", "related": {"also_bought": ["G", "H"]}},
    {"asin": "E", "related": {"also_bought": ["H", "A", "Y"]}},
)  # fmt: skip
# FORMAT, and what it prepares. When the values change, raise FORMAT and update both.
FINGERPRINTS = (
    7,
    {
        "records": "36fb8bf6830988f7",
        "edges": "de29625fc08b8ab5",
        "planted": "179d3de56edc01a0",
        "planted, by items": "9a54614cc46b6ab6",
        "arrays on disk": "af22f6350ce06381",
    },
)


def fingerprint(data: PreparedData) -> str:
    """Digest of names, types, shapes and contents of all that is prepared."""
    digest = hashlib.sha256()
    items = data.catalog.items
    digest.update(f"{dict(items.schema)}{items.rows()}{data.num_pairs}".encode())
    parts = {"train": data.split.train, "val": data.split.val.pairs, "test": data.split.test.pairs}
    digest.update(f"{data.relations.names}{data.relations.masks.tolist()}".encode())
    arrays = {f"{n}/{f}": getattr(p, f) for n, p in parts.items() for f in PAIR}
    for name in ("val", "test"):
        held = getattr(data.split, name)
        arrays |= {f"{name}/{protocol}": ids for protocol, ids in held.negatives.items()}
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].tolist()}".encode())
    return digest.hexdigest()[:16]


def formatted(folder: Path) -> dict[str, str]:
    """Fingerprints of three small catalogues, and of what stands on the disk."""
    lines = folder / "records.json"
    lines.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    edges = {name: folder / f"{name}.csv" for name in ("train", "val", "test")}
    edges["train"].write_text("".join(f"i{k},i{k * 7 % 60},{k % 5 + 1}\n" for k in range(60)))
    for name, step in (("val", 2), ("test", 3)):
        edges[name].write_text("".join(f"i{k},i{k + step},{k % 2}\n" for k in range(20)))
    uniform = replace(OPTIONS, negatives=("uniform",))
    by_items = replace(OPTIONS, by="items", val_fraction=0.2, test_fraction=0.2)
    cases = {
        "records": (amazon(lines), uniform),
        "edges": (
            edge_source(*map(str, edges.values())),
            replace(OPTIONS, negatives=("uniform",)),
        ),
        "planted": (PLANTED, OPTIONS),
        "planted, by items": (PLANTED, by_items),
    }
    found = {name: fingerprint(prepare(*case, folder / "p")) for name, case in cases.items()}
    stored = set()
    for path in (folder / "p").rglob("*.npz"):
        with np.load(path) as arrays:
            kinds = [f"{name} {arrays[name].dtype.str} {arrays[name].ndim}" for name in arrays]
        stored.add(f"{path.name} {sorted(kinds)}")
    return found | {"arrays on disk": hashlib.sha256(str(sorted(stored)).encode()).hexdigest()[:16]}


def test_a_changed_format_needs_another_number(tmp_path: Path) -> None:
    found = formatted(tmp_path)
    assert (FORMAT, found) == FINGERPRINTS, "raise FORMAT, and write the fingerprints down here"


def test_another_format_is_prepared_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(PLANTED, OPTIONS, tmp_path)
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(prepared, "FORMAT", FORMAT + 1)
    prepare(PLANTED, OPTIONS, tmp_path)
    assert "re-used" not in caplog.text
    assert caplog.text.count("prepared data written") == 2


def test_the_kind_of_a_source_has_a_place_of_its_own(tmp_path: Path) -> None:
    """Two readers with the same options and the same name, of different packages."""
    kind = dataclasses.dataclass(frozen=True)(type("EdgeSource", (EdgeSource,), {}))
    path = tmp_path / "a.tsv"
    path.write_text("".join(f"i{k}\ti{(k + 1) % 40}\n" for k in range(40)))
    plain = edge_source(str(path))
    for source in (plain, kind(**vars(plain))):
        prepare(source, replace(OPTIONS, negatives=("uniform",)), tmp_path)
    assert len(list((tmp_path / "catalogs").iterdir())) == 2


def prepare_there(folder: str) -> str:
    return prepare(PLANTED, OPTIONS, Path(folder)).split_hash


def test_two_processes_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        hashes = pool.map(prepare_there, [str(tmp_path)] * 4)
    assert len(set(hashes)) == 1
    assert not list(tmp_path.glob("*/.*.part"))


@pytest.mark.soak
@pytest.mark.parametrize("builders", [2, 4])
def test_races_of_builders_after_one_was_killed(tmp_path: Path, builders: int) -> None:
    """Thirty folders each: one builder is killed at a random moment, the others race."""
    context, rng = multiprocessing.get_context("forkserver"), random.Random(builders)
    context.set_forkserver_preload(["tests.catalog.test_prepared"])
    whole = prepare(PLANTED, OPTIONS, tmp_path / "whole").split_hash
    clock = time.perf_counter()
    prepare(PLANTED, OPTIONS, tmp_path / "timed")
    length = 2 * (time.perf_counter() - clock)
    for race in range(times(30)):
        folder = tmp_path / str(race)
        killed = context.Process(target=prepare_there, args=(str(folder),))
        killed.start()
        killed.join(rng.uniform(0, length))
        killed.kill()
        racing = [
            context.Process(target=prepare_there, args=(str(folder),)) for _ in range(builders)
        ]
        for process in racing:
            process.start()
        for process in racing:
            process.join(300)
        assert [process.exitcode for process in racing] == [0] * builders
        assert prepare(PLANTED, OPTIONS, folder).split_hash == whole
        assert len(list(folder.glob("*/*/manifest.json"))) == 2


def test_a_failing_reader_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"asin": "A"}\n')
    with pytest.raises(CatalogError, match="no record lists another item"):
        prepare(amazon(path), OPTIONS, tmp_path / "prepared")
    assert not list((tmp_path / "prepared").glob("catalogs/*"))
    assert not list((tmp_path / "prepared").glob("catalogs/.*"))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"cannot write .*file is a file, not a folder; move"):
        prepare(PLANTED, OPTIONS, tmp_path / "file")


def test_given_pairs_come_through(tmp_path: Path) -> None:
    train, val, test = (tmp_path / name for name in ("train.csv", "val.csv", "test.csv"))
    train.write_text("".join(f"i{k},i{k + 1}\n" for k in range(60)))
    val.write_text("".join(f"i{k},i{k + 2},1\ni{k},i{k + 9},0\n" for k in range(10)))
    test.write_text("".join(f"i{k},i{k + 3},1\ni{k},i{k + 11},0\n" for k in range(12)))
    source = edge_source(str(train), str(val), str(test), max_bad_fraction=0.01)
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


@pytest.mark.parametrize("kind", ["catalogs", "splits"])
def test_a_damaged_manifest_heals(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = prepare(PLANTED, OPTIONS, tmp_path)
    path = next((tmp_path / kind).glob("*/manifest.json"))
    content = path.read_text()
    damages = ["", "{", "[]", "null", "1", "{}", '{"files": 1}', content[:-9], "\x00" * 9]
    damages += [content.replace('"files"', '"filez"'), content.replace("0", "1", 1)]
    for damage in damages:
        caplog.clear()
        path.write_text(damage)
        assert prepare(PLANTED, OPTIONS, tmp_path).split_hash == whole.split_hash
        assert "is damaged, built again" in caplog.text, damage[:20]
        assert path.read_text() == content


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o755), (0o002, 0o775), (0o077, 0o700)])
def test_the_umask_says_who_may_read_what_is_prepared(
    tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        prepare(PLANTED, OPTIONS, tmp_path)
    finally:
        os.umask(before)
    for folder in (*tmp_path.glob("catalogs/*"), *tmp_path.glob("splits/*")):
        assert folder.stat().st_mode & 0o777 == mode
        assert {x.stat().st_mode & 0o777 for x in folder.iterdir()} == {mode & 0o666}


def _prepare_as_nobody(folder: Path, answer: Connection) -> None:
    """What `prepare` does for the user nobody, in a process of its own."""
    with TemporaryDirectory() as own:
        prepare(PLANTED, OPTIONS, Path(own))  # loads what nobody may not
    os.setuid(65534)
    try:
        answer.send(prepare(PLANTED, OPTIONS, folder).split_hash)
    except (CatalogError, OSError) as error:
        answer.send(f"{type(error).__name__}: {error}")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs two users")
def test_another_user_reads_what_is_open_and_is_told_what_is_not(
    request: pytest.FixtureRequest,
) -> None:
    tmp_path = Path(tempfile.mkdtemp())  # folders of pytest are closed to others
    request.addfinalizer(lambda: shutil.rmtree(tmp_path))
    tmp_path.chmod(0o755)
    prepare(PLANTED, OPTIONS, tmp_path)

    def by_another() -> str:
        answer, writer = CONTEXT.Pipe(duplex=False)
        child = CONTEXT.Process(target=_prepare_as_nobody, args=(tmp_path, writer))
        child.start()
        writer.close()
        child.join(60)
        return answer.recv()

    assert by_another() == prepare(PLANTED, OPTIONS, tmp_path).split_hash
    folder = next(tmp_path.glob("splits/*"))
    folder.chmod(0o700)
    assert re.match(rf"CatalogError: prepared data in {folder} is another user's", by_another())
    folder.chmod(0o755)
    (folder / "split.npz").chmod(0o600)
    assert "CatalogError: prepared data in" in by_another()
    shutil.rmtree(folder)
    assert re.match(
        rf"WriteError: cannot write {folder}: permission is denied in {folder.parent};",
        by_another(),
    )


def test_what_a_killed_builder_left_is_removed(tmp_path: Path) -> None:
    left = [hidden_beside(tmp_path / kind / "x") for kind in ("catalogs", "splits")]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "pairs.npz").touch()
    prepare(PLANTED, OPTIONS, tmp_path)
    assert not any(folder.exists() for folder in left)
