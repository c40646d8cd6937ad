"""A folder as one file, to bring it to another machine."""

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from recsys_lab.results.files import atomic_folder, atomic_path
from recsys_lab.results.part_files import is_part

PIECE = 32 * 2**20  # bytes that are sent at a time
_LOCK = ".lock"  # of the process that works in a run folder


def pack(folder: Path, archive: Path) -> int:
    """Write the files of a folder into an archive; returns its size in bytes."""

    def chosen(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        name = Path(entry.name).name
        is_left_out = name == _LOCK or is_part(name) or not (entry.isreg() or entry.isdir())
        return None if is_left_out else entry

    with atomic_path(archive) as part:
        with tarfile.open(part, "w") as file:
            file.add(folder, arcname=".", filter=chosen)
        return part.stat().st_size


def read_piece(archive: Path, offset: int) -> bytes:
    """The piece of an archive at an offset."""
    with archive.open("rb") as file:
        file.seek(offset)
        return file.read(PIECE)


def pieces_of(archive: Path) -> Iterator[bytes]:
    """The pieces of an archive in order."""
    for offset in range(0, archive.stat().st_size, PIECE):
        yield read_piece(archive, offset)


def unpack(pieces: Iterable[bytes], folder: Path) -> None:
    """Make a folder of the pieces of an archive; it replaces the one that was there, at the end.

    Raises:
        ValueError: the archive is damaged, or holds anything but files and folders within it.
    """
    archive = folder.with_name(f".{folder.name}.tar")
    try:
        with atomic_path(archive) as part, part.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        with atomic_folder(folder) as part:
            _extract(archive, part)
    finally:
        archive.unlink(missing_ok=True)


def _extract(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive, "r:") as file:
            for entry in file:
                if not (entry.isreg() or entry.isdir()):
                    raise ValueError(f"it holds {entry.name}, which is no file")
                file.extract(entry, folder, filter="data")
    except (tarfile.TarError, ValueError) as error:
        raise ValueError(f"the archive of {folder} cannot be used: {error}") from error
