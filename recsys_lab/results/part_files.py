"""Hidden files that become others when they are complete, and those that killed processes left.

A process holds a lock on what it writes, and the lock ends with the process. So what is not locked
was left by a process that was killed. A shared disk may not pass on the locks of other machines:
their files count as left only after a day without a change. The names cannot be guessed, so nobody
can put a link to another file in their place.
"""

import hashlib
import logging
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on every system
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

_DAY = 24 * 3600.0
_PART, _FORMER = "part", "former"
# `.NAME.<machine>-<random>.part`; earlier versions wrote no machine.
_LEFT = re.compile(r"\.(?P<name>.+)\.(?P<machine>[0-9a-f]{8}-)?[0-9a-z_]{8,16}\.(part|former)")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SHOWN = 3


def hidden_beside(path: Path, kind: str = _PART) -> Path:
    """A hidden name beside a path that nobody else has or can guess."""
    return path.with_name(f".{path.name}.{_machine()}{secrets.token_hex(8)}.{kind}")


def is_part(name: str) -> bool:
    """Whether a name is one of a hidden file or folder that is being written or was left."""
    return _LEFT.fullmatch(name) is not None


def _machine() -> str:
    """Names this machine since its last start: the processes that see each other's locks."""
    try:
        boot = _BOOT_ID.read_text()
    except OSError:  # not Linux
        boot = platform.node()
    return f"{hashlib.sha256(boot.encode()).hexdigest()[:8]}-"


@contextmanager
def part_file(path: Path) -> Iterator[Path]:
    """A new and empty hidden file beside a path; removed at the end if it is still there."""

    def make(part: Path) -> int:
        return os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)

    with _locked_part(path, make) as part:
        try:
            yield part
        finally:
            with suppress(OSError):
                part.unlink()


@contextmanager
def part_folder(path: Path) -> Iterator[Path]:
    """A new hidden folder beside a path; removed at the end if it is still there."""

    def make(part: Path) -> int:
        part.mkdir()
        return _open_folder(part)

    with _locked_part(path, make) as part:
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _locked_part(path: Path, make: Callable[[Path], int]) -> Iterator[Path]:
    while True:
        part = hidden_beside(path)
        try:
            descriptor = make(part)
        except FileNotFoundError:
            if path.parent.is_dir():
                continue  # removed between making and opening
            raise
        _lock(descriptor)
        if _is_at(descriptor, part):  # not taken for one that was left, before it was locked
            break
        os.close(descriptor)
    try:
        yield part
    finally:
        os.close(descriptor)


@contextmanager
def moved_aside(path: Path) -> Iterator[Path]:
    """A folder under a hidden name; put back after an error, else removed."""
    former, descriptor = hidden_beside(path, _FORMER), _open_folder(path)
    try:
        _lock(descriptor)
        path.rename(former)
        yield former
    except BaseException:
        if former.exists() and not path.exists():
            former.rename(path)
        raise
    finally:
        shutil.rmtree(former, ignore_errors=True)
        os.close(descriptor)


def clear_left(folder: Path) -> None:
    """Remove what killed processes left in a folder and in the folders right below it.

    A folder that was moved aside for one that never came is put back. One line of the log tells.
    """
    removed = [path for path in _named_as_left(folder) if remove_left(path)]
    if removed:
        shown = ", ".join(str(path.relative_to(folder)) for path in removed[:_SHOWN])
        more = f" and {len(removed) - _SHOWN} more" if len(removed) > _SHOWN else ""
        log.info("removed what a killed process left in %s: %s%s", folder, shown, more)


def left_in(folder: Path) -> list[Path]:
    """What killed processes left in a folder and in the folders right below it."""
    found = []
    for path in _named_as_left(folder):
        with _taken(path) as is_left:
            found += [path] * is_left
    return found


def _named_as_left(folder: Path) -> list[Path]:
    found = [*folder.glob(".*"), *folder.glob("*/.*")]
    return sorted(path for path in found if _LEFT.fullmatch(path.name))


def remove_left(path: Path) -> bool:
    """Remove a file or folder that was left; whether that was done."""
    match = _LEFT.fullmatch(path.name)
    try:
        with _taken(path) as is_left:
            if not is_left or match is None:
                return False
            final = path.with_name(match["name"])
            if path.name.endswith(_FORMER) and not final.exists():
                path.rename(final)
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError:
        return False
    return True


@contextmanager
def _taken(path: Path) -> Iterator[bool]:
    """Lock a hidden path; whether a process that is dead left it."""
    match = _LEFT.fullmatch(path.name)
    try:
        is_folder = path.is_dir()
        descriptor = _open_folder(path) if is_folder else os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:  # a link, or of another user
        yield False
        return
    try:
        locked = _lock(descriptor)
        is_dead = locked and match is not None and match["machine"] == _machine()
        yield locked is not False and bool(is_dead or time.time() - changed(path) > _DAY)
    finally:
        os.close(descriptor)


def changed(path: Path) -> float:
    """When a file, or anything in a folder, was changed last."""
    return max(one.lstat().st_mtime for one in [path, *path.rglob("*")])


def _open_folder(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _lock(descriptor: int) -> bool | None:
    """Lock an open file or folder until it is closed.

    Returns:
        whether that was done: False if another process has the lock, None where there are no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
