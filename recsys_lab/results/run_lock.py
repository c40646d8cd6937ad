"""One process in a run folder at a time."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on every system
    fcntl = None  # type: ignore[assignment]

_NAME = ".lock"  # holds the process that has it
_held: set[Path] = set()  # of this process: closing a second handle would end the lock of the first


class FolderInUse(ValueError):
    """Another process works in a run folder."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run folder; the lock ends with the process.

    Raises:
        FolderInUse: another process has it.
    """
    path = folder.resolve() / _NAME
    if path in _held:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # A lock of the process and not of the open file: children do not inherit it.
        file = path.open("a+", encoding="utf-8")
    except OSError:  # what is written there next says why
        yield
        return
    with file:
        if not _lock(file.fileno()):
            file.seek(0)
            raise FolderInUse(
                f"another process ({file.read().strip()}) works in {folder}: wait until it has "
                "ended, or choose another folder with hydra.run.dir="
            )
        with suppress(OSError):
            file.truncate(0)
            file.write(f"{os.getpid()} on {platform.node()}\n")
            file.flush()
        _held.add(path)
        try:
            yield
        finally:
            _held.remove(path)
            with suppress(OSError):
                file.truncate(0)  # kept: another process may just have opened it


def is_in_use(folder: Path) -> bool:
    """Whether a process works in a run folder."""
    if folder.resolve() / _NAME in _held:
        return True
    try:
        with (folder / _NAME).open("r+") as file:
            return not _lock(file.fileno())
    except OSError:
        return False


def _lock(descriptor: int) -> bool:
    """Lock an open file; False if another process has. Without locks nobody is kept out."""
    if fcntl is None:
        return True
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
