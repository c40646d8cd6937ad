import errno
import logging
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from recsys_lab.results import write_errors
from recsys_lab.results.curve import CurveFile, read_curve
from recsys_lab.results.files import atomic_folder, atomic_path, write_text
from recsys_lab.results.run_log import RunLog
from recsys_lab.results.write_errors import WriteError, explain, may_fail, writing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(device: str = "/dev/full") -> None:
    """What the system says when a disk is full; the error has no file name."""
    with open(device, "w") as file:
        file.write("x" * 10)


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "its disk is full; free some space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "your quota of its disk is used up; delete"),
        (OSError(errno.EFBIG, "File too large"), "would be larger than the limit; raise the limit"),
        (OSError(errno.EROFS, "Read-only file system"), "its file system is read-only; mount it"),
        (PermissionError(errno.EACCES, "Permission denied"), "permission is denied in .*; have"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "its name is too long; shorten it"),
        (pl.exceptions.ComputeError("IO error: x (os error 28)"), "its disk is full; free"),
        (RuntimeError("write error in x: 3 != 9 (No space left on device)"), "its disk is full"),
    ],
)
def test_errors_of_all_libraries_are_one_sentence(
    tmp_path: Path, raised: Exception, reason: str
) -> None:
    path = tmp_path / "a.txt"
    with (
        pytest.raises(WriteError, match=rf"^cannot write {path}: .*{reason}") as found,
        writing(path),
    ):
        raise raised
    assert "\n" not in str(found.value)
    assert str(pickle.loads(pickle.dumps(found.value))) == str(found.value)  # noqa: S301 - our own


def test_a_full_disk_leaves_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    for write, name in ((atomic_path, "a.txt"), (atomic_folder, "b")):
        with pytest.raises(WriteError, match=rf"/{name}: its disk is full"), write(tmp_path / name):
            fill()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    barrier = tmp_path / "barrier"
    barrier.write_text("")
    for path in (barrier / "a.txt", barrier / "deep" / "a.txt"):
        with pytest.raises(WriteError, match=r"barrier.*: .* is a file, not a folder; move that"):
            write_text(path, "")
    with pytest.raises(WriteError, match=r"barrier: it is a file, not"), atomic_folder(barrier):
        pass
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match=r"folder: a folder has this name; move that folder"):
        write_text(tmp_path / "folder", "")
    with pytest.raises(WriteError, match="its name is too long; shorten it"):
        write_text(tmp_path / ("x" * 300), "")
    assert names(tmp_path) == ["barrier", "folder"]


def test_errors_about_other_files_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), writing(tmp_path / "a"):
        (tmp_path / "other").read_text()
    with pytest.raises(ValueError, match="another matter"), writing(tmp_path / "a"):
        raise ValueError("another matter")


def test_the_remedy_is_the_option_of_the_place(tmp_path: Path) -> None:
    error = WriteError(errno.ENOSPC, "No space left on device", str(tmp_path / "run" / "a"))
    options = {tmp_path / "run": "hydra.run.dir=", tmp_path: "prepared_dir="}
    assert explain(error, options).endswith("or choose another place with hydra.run.dir=")
    assert explain(error, {tmp_path: "prepared_dir="}).endswith("place with prepared_dir=")
    assert explain(error).endswith("free some space there")


def test_a_full_folder_of_temporary_files_is_not_taken_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = tmp_path / "spare"
    monkeypatch.setattr(write_errors, "_temporary", lambda: spare)
    monkeypatch.setattr(write_errors, "_is_full", lambda path: path == spare)
    full = pytest.raises(WriteError, match=f"cannot write {spare}: its disk is full")
    with full as found, writing(tmp_path / "prepared"):
        fill()
    assert str(found.value).endswith("temporary files by the environment variable TMPDIR")
    own = OSError(errno.ENOSPC, "No space left on device", str(spare / "recsys_lab_x" / "a.gz"))
    assert "TMPDIR" in explain(own)
    with pytest.raises(OSError, match="No space") as other, writing(tmp_path / "prepared"):
        raise own
    assert not isinstance(other.value, WriteError)


def test_a_row_of_a_curve_is_whole_or_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curve = CurveFile(tmp_path, ["uniform"])
    curve.append({"step": 1})  # without a first line: only the size matters here
    curve.rows = [{"step": 1, "epoch": 0}]
    curve.rewrite()
    before = read_curve(tmp_path)

    class Torn:
        """Writes half of what it should, as on a full disk."""

        def __init__(self, file: object, columns: object) -> None:
            self.file = file

        def writerow(self, row: object) -> None:
            self.file.write("2,0")  # type: ignore[attr-defined]
            self.file.flush()  # type: ignore[attr-defined]
            fill()

    with monkeypatch.context() as patched:
        patched.setattr("recsys_lab.results.curve.csv.DictWriter", Torn)
        with pytest.raises(WriteError, match=r"curve\.csv: its disk is full"):
            curve.append({"step": 2, "epoch": 0})
    assert read_curve(tmp_path) == before
    assert [row["step"] for row in curve.rows] == [1, 2]
    curve.rewrite()
    assert [row["step"] for row in read_curve(tmp_path)] == [1, 2]


def test_what_may_fail_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "figures").write_text("")
    with may_fail("the figure"):
        write_text(tmp_path / "figures" / "a.png", "")
    assert caplog.messages[0].startswith(f"the figure is left out: cannot write {tmp_path}")


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("a run")
    yield logger
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()


def test_a_log_that_cannot_be_written_says_so_once(
    tmp_path: Path, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.log").mkdir()
    os.symlink("/dev/full", tmp_path / "full.log")
    for name, reason in (("train.log", "a folder has this name"), ("full.log", "its disk is full")):
        handler = RunLog(str(tmp_path / name))
        logger.addHandler(handler)
        for _ in range(3):
            logger.warning("a line")
            handler.flush()
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert err.startswith(f"cannot write {tmp_path / name}: {reason}; ")
        assert err.endswith("the run goes on without its log\n")
        logger.removeHandler(handler)
        handler.close()
