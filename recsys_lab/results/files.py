"""Files that are complete or absent."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from recsys_lab.results.write_errors import writing


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A hidden path beside the target; what is written there replaces the target at the end.

    The file is synced before it is renamed, so `path` never holds a partial file. An error inside
    the block leaves the target as it was and removes the partial file. Missing folders are made.

    Raises:
        WriteError: the path cannot be written.
    """
    part = path.with_name(f".{path.name}.{uuid4().hex[:12]}.part")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A hidden folder beside the target; it replaces the target at the end, as `atomic_path` does.

    Its files, not those of folders within, are synced before it is renamed.

    Raises:
        WriteError: the folder cannot be written, or there is a file of its name.
    """
    part, former = (
        path.with_name(f".{path.name}.{uuid4().hex[:12]}.{kind}") for kind in ("part", "former")
    )
    try:
        with writing(path):
            if path.exists() and not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
            path.parent.mkdir(parents=True, exist_ok=True)
            part.mkdir()
            yield part
            for file_path in part.iterdir():
                with file_path.open("rb") as file:
                    os.fsync(file.fileno())
            if path.exists():
                path.rename(former)
            part.rename(path)
    except BaseException:
        if former.exists() and not path.exists():
            former.rename(path)
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8", newline="")
