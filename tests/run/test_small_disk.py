"""Runs on a file system that is too small for them, of many sizes, so that each file fails once."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recsys_lab.run.checkpoints import find_damage
from tests.forked import run_forked
from tests.run_cases import BRIEF, ROOT, train

pytestmark = pytest.mark.soak

FEW = (*BRIEF, "catalog.num_items=600", "model.embedding_dim=16", "curve.every_n_batches=5")
SIZES = (8, 16, 20, 24, 28, 32, 36, 60, 160, 220, 260, 280, 300, 340, 360, 380, 420, 460, 500, 540)
SIZES += (600, 640, 660, 740, 900)  # kB
Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a small file system in memory, with options; it can be mounted anew."""
    place = tmp_path / "small"
    place.mkdir()

    def call(*words: str) -> bool:
        try:
            return subprocess.run(words, capture_output=True).returncode == 0
        except OSError:
            return False

    def make(options: str) -> Path:
        if not options.startswith("remount") and os.path.ismount(place):
            assert call("umount", str(place))
        if not call("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)):
            pytest.skip("this user cannot mount a small file system")
        return place

    yield make
    call("umount", str(place))


def check(folder: Path, said: str) -> None:
    """Nothing partial is left under a final name, and no traceback was shown."""
    assert "Traceback" not in said
    assert "Logging error" not in said
    assert not [path for path in folder.rglob("*") if path.name.endswith((".part", ".former"))]
    for path in folder.rglob("*.json"):
        json.loads(path.read_text())
    for path in folder.rglob("*.ckpt"):
        assert not find_damage(path)


@pytest.mark.parametrize("size", SIZES)
def test_a_run_folder_on_a_full_disk(tmp_path: Path, mount: Mount, size: int) -> None:
    place = mount(f"size={size}k")
    done = train(place / "run", *FEW, f"prepared_dir={tmp_path / 'prepared'}")
    said = done.stdout + done.stderr
    check(place, said)
    if done.returncode == 0:
        assert (place / "run" / "metrics.json").is_file()
        return
    assert done.returncode == 1
    assert re.search(rf"cannot write {place}/run.*: its disk is full; free some space", said)
    if "testing on" in said:
        assert "this model" in done.stdout
    if (place / "run" / "checkpoints" / "last.ckpt").is_file():
        mount("remount,size=9m")
        words = [str(ROOT / "train.py"), f"resume={place / 'run'}"]
        again = run_forked(words, tmp_path, timeout=300)
        assert again.returncode == 0, again.stdout + again.stderr
        assert (place / "run" / "metrics.json").is_file()


@pytest.mark.parametrize("size", [4, 12, 24, 40, 60, 80, 100, 120, 140, 160, 180, 200, 240, 280])
def test_prepared_data_on_a_full_disk(tmp_path: Path, mount: Mount, size: int) -> None:
    place = mount(f"size={size}k")
    done = train(tmp_path / "run", *FEW, f"prepared_dir={place}")
    check(place, done.stdout + done.stderr)
    if done.returncode:
        sentence = rf"cannot write {place}/(catalogs|splits).*: its disk is full; .* prepared_dir="
        assert re.search(sentence, done.stdout)


@pytest.mark.parametrize("size", [4, 8, 20])
def test_a_full_folder_of_temporary_files(tmp_path: Path, mount: Mount, size: int) -> None:
    place = mount(f"size={size}k")
    done = train(tmp_path / "run", *FEW, TMPDIR=str(place))
    check(place, done.stdout + done.stderr)
    assert done.returncode == 1
    assert re.search(rf"cannot write {place}/.*: its disk is full; .* TMPDIR", done.stdout)


def test_a_folder_that_turns_read_only(tmp_path: Path, mount: Mount) -> None:
    place = mount("size=9m")
    assert train(place / "run", *FEW).returncode == 0
    mount("remount,ro")
    done = train(place / "other", *FEW)
    first, *told = done.stderr.splitlines()
    assert (done.returncode, first, len(told)) == (1, f"run folder: {place}/other", 1)
    assert re.match(rf"cannot write {place}/other: its file system is read-only; .*dir=", told[0])
    for words in (
        ["neighbours", "--out", "{place}/n.parquet"],
        ["export", "--format", "npy", "--out", "{place}/x.npy"],
        ["embed"],
    ):
        name, *options = [word.format(place=place) for word in words]
        done = run_forked(["-m", "recsys_lab", name, str(place / "run"), *options], tmp_path, 300)
        assert done.returncode == 1, name
        check(place, done.stdout + done.stderr)
        assert f"cannot write {place}" in done.stderr, (name, done.stderr)
        assert "its file system is read-only" in done.stderr


@pytest.mark.parametrize("room", [0, 1, 4, 16, 64])
def test_commands_on_a_full_disk(finished: Path, tmp_path: Path, mount: Mount, room: int) -> None:
    place = mount(f"size={8 + room}k")
    run = str(finished)
    for words in (
        ["neighbours", run, "--out", f"{place}/n.parquet"],
        *(
            ["export", run, "--format", form, "--out", f"{place}/{form}"]
            for form in ("npy", "word2vec", "word2vec-binary", "safetensors", "faiss")
        ),
        ["report", run, "--out", f"{place}/report"],
    ):
        done = run_forked(["-m", "recsys_lab", *words], tmp_path, 300)
        check(place, done.stdout + done.stderr)
        if done.returncode:
            assert re.search(rf"cannot write {place}/.*: its disk is full; .* --out", done.stderr)
        subprocess.run(["find", str(place), "-mindepth", "1", "-delete"], check=True)


def test_a_limit_of_the_size_of_files(tmp_path: Path) -> None:
    """The system's own limit, as `ulimit -f` sets it, refuses what a full disk would."""
    words = [sys.executable, str(ROOT / "train.py"), *FEW, f"hydra.run.dir={tmp_path}/run"]
    command = ["sh", "-c", 'ulimit -f 20; trap "" XFSZ; exec "$0" "$@"', *words]
    done = subprocess.run(
        [*command, f"prepared_dir={tmp_path}/p"], capture_output=True, text=True, cwd=tmp_path
    )
    check(tmp_path, done.stdout + done.stderr)
    assert done.returncode == 1
    assert "would be larger than the limit; raise the limit (ulimit -f)" in done.stdout
