"""Only what nobody needs is named, and nothing else goes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recsys_lab.results.part_files import hidden_beside
from recsys_lab.results.prepared_users import note_user
from recsys_lab.results.pruning import LITTER, PREPARED, RUN, find_prunable, remove
from recsys_lab.results.run_lock import alone_in
from tests.run_folder_cases import metrics, write_run

OLD, KEY, OTHER = time.time() - 3 * 86400, "0123456789abcdef0123", "f" * 20


def grow_old(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (OLD, OLD))


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    runs = tmp_path / "train" / "runs"
    write_run(runs / "finished", 0, metrics(), log=f"prepared data re-used: p/catalogs/{KEY}\n")
    write_run(runs / "failed", log="12:00:00 ERROR   no luck\n")
    write_run(runs / "trial", log="12:00:00 INFO    not tested: trial 0, val/ndcg@10 0.1\n")
    write_run(runs / "finished" / "nested" / "unfinished")
    for kind, key in (("catalogs", KEY), ("catalogs", OTHER), ("splits", "mine")):
        (tmp_path / "prepared" / kind / key).mkdir(parents=True)
        (tmp_path / "prepared" / kind / key / "manifest.json").write_text("{}")
    (tmp_path / "my_notes" / "checkpoints").mkdir(parents=True)
    hidden_beside(runs / "finished" / "curve.csv").write_text("part")
    grow_old(tmp_path)
    return tmp_path


def names(folder: Path, hours: float = 24.0) -> set[tuple[str, str]]:
    return {(one.kind, one.path.name.split(".")[-1]) for one in find_prunable(folder, hours)}


def test_unfinished_runs_unnamed_data_and_litter_are_found(outputs: Path) -> None:
    expected = {(RUN, "failed"), (RUN, "unfinished"), (PREPARED, OTHER), (LITTER, "part")}
    assert names(outputs) == expected
    found = {one.path.name: one for one in find_prunable(outputs, 24.0)}
    assert found["failed"].reason == "failed: no luck"
    assert found["failed"].size > 0


def test_what_is_removed_is_what_was_named(outputs: Path) -> None:
    before = {path for path in outputs.rglob("*") if path.is_file()}
    found = find_prunable(outputs, 24.0)
    assert all(remove(one) for one in found)
    gone = before - set(outputs.rglob("*"))
    places = [one.path for one in found]
    assert gone == {f for f in before if any(f == p or p in f.parents for p in places)}
    assert (outputs / "train" / "runs" / "finished" / "metrics.json").is_file()
    assert not find_prunable(outputs, 24.0)


@pytest.mark.parametrize("kind", ["catalogs", "splits", "baselines", "teachers"])
def test_every_kind_of_prepared_data_without_a_run_is_found(tmp_path: Path, kind: str) -> None:
    for key in (KEY, OTHER):
        (tmp_path / kind / key).mkdir(parents=True)
        (tmp_path / kind / key / "manifest.json").write_text("{}")
    write_run(tmp_path / "run", 0, metrics(), log=f"prepared data written: p/{kind}/{KEY}\n")
    grow_old(tmp_path)
    assert names(tmp_path) == {(PREPARED, OTHER)}


def test_data_that_a_run_elsewhere_uses_stays(
    outputs: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = outputs / "prepared" / "catalogs" / OTHER
    (unlisted,) = [one for one in find_prunable(outputs, 24.0) if one.path == data]
    assert unlisted.reason == "a run in another folder may use it, which would prepare it again"
    user = write_run(tmp_path_factory.mktemp("elsewhere") / "run", 0, metrics())
    for _ in range(2):
        note_user([data, outputs / "none"], user)
    assert (data / "runs.txt").read_text() == f"{user.resolve()}\n"
    assert (PREPARED, OTHER) not in names(outputs, hours=0)
    (user / ".hydra" / "config.yaml").unlink()  # the run is gone
    (found,) = [one for one in find_prunable(outputs, 0) if one.path == data]
    assert found.reason == ""


def test_what_changed_lately_stays(outputs: Path) -> None:
    os.utime(outputs / "train" / "runs" / "failed" / "train.log")
    assert (RUN, "failed") not in names(outputs)
    assert (RUN, "failed") in names(outputs, hours=0)


def test_a_run_that_a_process_works_in_stays(outputs: Path) -> None:
    folder = outputs / "train" / "runs" / "failed"
    (listed,) = [one for one in find_prunable(outputs, 24.0) if one.path == folder]
    code = (
        "import sys, pathlib; from recsys_lab.results.run_lock import alone_in\n"
        "with alone_in(pathlib.Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert (RUN, "failed") not in names(outputs, hours=0)
        assert not remove(listed)  # it began after the list was shown
        process.communicate()
    assert folder.is_dir()


def test_a_run_that_has_finished_meanwhile_stays(outputs: Path) -> None:
    folder = outputs / "train" / "runs" / "failed"
    (listed,) = [one for one in find_prunable(outputs, 24.0) if one.path == folder]
    with alone_in(folder):
        (folder / "metrics.json").write_text(
            (outputs / "train" / "runs" / "finished" / "metrics.json").read_text()
        )
    assert not remove(listed)
    assert folder.is_dir()
