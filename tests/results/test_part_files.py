"""What killed processes leave is removed, and what a living one writes is not."""

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from recsys_lab.results import part_files
from recsys_lab.results.files import atomic_folder, atomic_path
from recsys_lab.results.part_files import clear_left, hidden_beside, moved_aside, part_folder
from recsys_lab.results.write_errors import WriteError
from tests.forked import CONTEXT

_DAYS_AGO = time.time() - 2 * 24 * 3600


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def hold(folder: Path, ready: Path) -> None:
    """Write a file, a folder and the successor of a folder until killed."""
    with ExitStack() as stack:
        for path in (folder / "a", folder / "b"):
            part = stack.enter_context(atomic_path(path))
            part.write_text("half")
        stack.enter_context(part_folder(folder / "c")).joinpath("x").write_text("half")
        stack.enter_context(moved_aside(folder / "deep" / "old"))
        ready.touch()
        time.sleep(60)


@pytest.fixture
def writer(tmp_path: Path) -> BaseProcess:
    folder, ready = tmp_path / "run", tmp_path / "ready"
    (folder / "deep" / "old").mkdir(parents=True)
    (folder / "deep" / "old" / "y").write_text("whole")
    process = CONTEXT.Process(target=hold, args=(folder, ready))
    process.start()
    while not ready.exists():
        time.sleep(0.01)
    return process


def test_what_a_killed_process_left_is_removed(
    tmp_path: Path, writer: BaseProcess, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    before = names(folder)
    assert len(before) == 7
    with caplog.at_level(logging.INFO):
        clear_left(folder)
        assert names(folder) == before  # it is alive
        assert not caplog.messages
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        clear_left(folder)
    assert names(folder) == ["deep", "deep/old", "deep/old/y"]  # put back
    assert len(caplog.messages) == 1
    assert f"removed what a killed process left in {folder}: .a." in caplog.messages[0]
    assert caplog.messages[0].endswith(" and 1 more")


def left(path: Path, name: str, age: float = 0.0) -> Path:
    path = path.with_name(name)
    path.write_text("half")
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.mark.parametrize(
    "name", [".a.12345678-0123456789abcdef.part", ".a.0123456789ab.part", ".a.x7_k2m3p.part"]
)
def test_what_another_machine_left_is_removed_after_a_day(tmp_path: Path, name: str) -> None:
    path = left(tmp_path / "a", name)
    clear_left(tmp_path)
    assert path.exists()
    os.utime(path, (_DAYS_AGO, _DAYS_AGO))
    clear_left(tmp_path)
    assert not path.exists()


def test_other_files_and_links_stay(tmp_path: Path) -> None:
    target = left(tmp_path / "x", "target", 1e6)
    for name in (".a.part", "a.0123456789ab.part", ".a.0123456789ab.txt", ".last.ckpt"):
        left(tmp_path / "x", name, 1e6)
    link = hidden_beside(tmp_path / "a")
    link.symlink_to(target)
    before = names(tmp_path)
    clear_left(tmp_path)
    assert names(tmp_path) == before


def test_without_locks_a_new_file_is_not_taken_for_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with atomic_path(tmp_path / "a") as part:
        part.write_text("half")
        clear_left(tmp_path)
        assert part.exists()
        os.utime(part, (_DAYS_AGO, _DAYS_AGO))
        clear_left(tmp_path)
        assert not part.exists()
        part.write_text("again")  # so that the block can end
    assert names(tmp_path) == ["a"]


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where its name was guessed."""
    monkeypatch.setattr("secrets.token_hex", lambda n: "0" * 2 * n)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    hidden_beside(tmp_path / "a").symlink_to(victim)
    writers: list[Callable] = [atomic_path, atomic_folder]
    for write in writers:
        with pytest.raises(WriteError), write(tmp_path / "a"):
            pass
    assert victim.read_text() == "precious"


def test_a_file_that_is_taken_for_left_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, calls = part_files._lock, []

    def late(descriptor: int) -> bool | None:
        calls.append(descriptor)
        if len(calls) == 1:
            monkeypatch.setattr(part_files, "_lock", lock)
            clear_left(tmp_path)
            assert names(tmp_path) == []
        return lock(descriptor)

    monkeypatch.setattr(part_files, "_lock", late)
    with atomic_path(tmp_path / "a") as part:
        part.write_text("whole")
    assert len(calls) == 1
    assert (tmp_path / "a").read_text() == "whole"
