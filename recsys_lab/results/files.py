"""Files that are complete or absent."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys_lab.results.part_files import moved_aside, part_file, part_folder
from recsys_lab.results.write_errors import writing


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A hidden path beside the target; what is written there replaces the target at the end.

    The file is synced before it is renamed, so `path` never holds a partial file. An error inside
    the block leaves the target as it was and removes the partial file. Missing folders are made.

    Raises:
        WriteError: the path cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with part_file(path) as part:
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A hidden folder beside the target; it replaces the target at the end, as `atomic_path` does.

    Its files, not those of folders within, are synced before it is renamed.

    Raises:
        WriteError: the folder cannot be written, or there is a file of its name.
    """
    with writing(path):
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        with part_folder(path) as part:
            yield part
            for file_path in filter(Path.is_file, part.iterdir()):
                with file_path.open("rb") as file:
                    os.fsync(file.fileno())
            if path.exists():
                with moved_aside(path):
                    part.rename(path)
            else:
                part.rename(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8", newline="")
