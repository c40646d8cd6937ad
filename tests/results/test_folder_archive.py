"""Folders as one file: what is packed comes out, and nothing else."""

import io
import tarfile
from pathlib import Path

import pytest

from recsys_lab.results import folder_archive
from recsys_lab.results.folder_archive import pack, pieces_of, unpack
from recsys_lab.results.part_files import hidden_beside


def contents(folder: Path) -> dict[str, bytes | None]:
    found = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*"))}
    return {name: p.read_bytes() if p.is_file() else None for name, p in found.items()}


def run_folder(folder: Path) -> dict[str, bytes | None]:
    """A folder with what a run has; returns what is to be brought."""
    for name in ("checkpoints/last.ckpt", ".hydra/config.yaml", "train.log"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 99)
    (folder / "empty").mkdir()
    wanted = contents(folder)
    (folder / ".lock").write_text("1 on here")
    hidden_beside(folder / "metrics.json").write_text("half")
    (folder / "link").symlink_to("/etc/passwd")
    return wanted


def test_a_folder_is_brought_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_archive, "PIECE", 1000)
    wanted, archive, there = run_folder(tmp_path / "run"), tmp_path / "x.tar", tmp_path / "there"
    assert pack(tmp_path / "run", archive) == archive.stat().st_size
    there.mkdir()
    (there / "earlier").touch()
    pieces = list(pieces_of(archive))
    assert len(pieces) > 3
    unpack(pieces, there)
    assert contents(there) == wanted
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "there", "x.tar"]


def archive_of(entry: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as file:
        file.addfile(tarfile.TarInfo("./fine"))
        file.addfile(entry, io.BytesIO(bytes(entry.size)))
    return packed.getvalue()


def entry(name: str, **values: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in values.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize(
    "packed",
    [
        archive_of(entry("../out")),
        archive_of(entry("link", type=tarfile.SYMTYPE, linkname="fine")),
        archive_of(entry("hard", type=tarfile.LNKTYPE, linkname="fine")),
        archive_of(entry("device", type=tarfile.CHRTYPE)),
        archive_of(entry("cut", size=5000))[:2000],
        b"no archive at all",
    ],
    ids=["outside", "link", "hard link", "device", "cut", "other"],
)
def test_a_bad_archive_leaves_the_folder_as_it_was(packed: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    folder.mkdir(parents=True)
    (folder / "kept").touch()
    with pytest.raises(ValueError, match="cannot be used"):
        unpack([packed], folder)
    assert contents(tmp_path) == {"deep": None, "deep/run": None, "deep/run/kept": b""}
