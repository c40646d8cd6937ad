"""Errors of writing, as one sentence: which path, why, and what to do."""

import errno
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

Options = Mapping[Path, str]  # folder -> the option that names another one

_REASONS = {  # error -> why a path is refused, and what to do about it
    errno.ENOSPC: ("its disk is full", "free some space there"),
    errno.EDQUOT: ("your quota of its disk is used up", "delete some of your files there"),
    errno.EFBIG: ("the file would be larger than the limit", "raise the limit (ulimit -f)"),
    errno.EROFS: ("its file system is read-only", "mount it for writing"),
    errno.EACCES: ("permission is denied", "have its owner permit you to write there"),
    errno.EPERM: ("the operation is not permitted", "have its owner permit you to write there"),
    errno.ENAMETOOLONG: ("its name is too long", "shorten it"),
    errno.EEXIST: ("a file has this name", "move that file away"),
    errno.EISDIR: ("a folder has this name", "move that folder away"),
    errno.ENOENT: ("its folder is missing", "make it"),
    errno.EIO: ("its disk reports an error", "look after that disk"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n)"),
}
_NO_FOLDER = (errno.ENOTDIR, errno.EEXIST)  # a file stands where a folder is needed
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OF_WRITING = (*_NO_ROOM, errno.EROFS)
_TEXTS = {os.strerror(code).lower(): code for code in _NO_ROOM}
_IN_TEXT = re.compile(r"\(os error (\d+)\)")  # of libraries in Rust
_OWN = "recsys_lab_"  # in the names of temporary folders of this project
_LEFT = 1 << 16  # bytes: a disk with less is full


class WriteError(OSError):
    """A path cannot be written; its text is one sentence with the remedy.

    `errno` is that of the system, or None, and `filename` the path.
    """

    def __str__(self) -> str:
        return explain(self)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of writing a path, of whatever library, into a `WriteError`.

    The paths beside it with its name inside, and those below it, count as the path. Errors about
    other paths, such as a file that is read meanwhile, stay as they are.

    Raises:
        WriteError: the path cannot be written.
    """
    try:
        yield
    except WriteError:
        raise
    except Exception as error:
        found = _write_error(error, path)
        if found is None:
            raise
        raise found from error


@contextmanager
def may_fail(what: str) -> Iterator[None]:
    """Go on without a file that cannot be written, with a warning.

    Args:
        what: is missing then, such as "a figure".
    """
    try:
        yield
    except WriteError as error:
        log.warning("%s is left out: %s", what, error)


def explain(error: OSError, options: Options | None = None) -> str:
    """An error of the system in one sentence.

    Args:
        error: of writing.
        options: what the sentence offers as a remedy for paths in these folders.
    """
    code, name = error.errno, error.filename
    if name is None and code == errno.ENOSPC:
        name = _full_folder(options or {})
    said = str(error.strerror or error.args).lower()
    reason, remedy = _REASONS.get(code or 0, (said, "choose another path"))
    verb = "write" if isinstance(error, WriteError) or code in _OF_WRITING else "use"
    if not isinstance(name, str | bytes):
        return f"cannot {verb} a file: {reason if code != errno.ENOENT else said}; {remedy}"
    path = Path(os.fsdecode(name))
    barrier = _barrier(path)
    if code in _NO_FOLDER and not path.name.startswith("."):
        subject = "it" if barrier == path else barrier
        reason, remedy = f"{subject} is a file, not a folder", "move that file away"
    elif code in (errno.EACCES, errno.EPERM) and barrier != path:
        reason += f" in {barrier}"
    option = _option(path, options or {})
    return f"cannot {verb} {path}: {reason}; {remedy}{f', or {option}' if option else ''}"


def _option(path: Path, options: Options) -> str:
    place = Path(os.path.abspath(path))
    for folder, option in options.items():
        if place.is_relative_to(os.path.abspath(folder)):
            return f"choose another place with {option}"
    spare = Path(os.path.abspath(_temporary()))
    if place == spare or any(place.is_relative_to(spare / x) for x in place.parts if _OWN in x):
        return "name another folder for temporary files by the environment variable TMPDIR"
    return ""


def _barrier(path: Path) -> Path:
    """The path itself, or the nearest folder or file above it that exists."""
    for place in (path, *path.parents):
        try:
            if place.exists():
                return place
        except OSError:
            continue
    return path


def _write_error(error: Exception, path: Path) -> WriteError | None:
    """The error about the path; None where it is another one."""
    code = _code(error)
    if code is None and _says_little(error) and _is_full(path):
        code = errno.ENOSPC
    if not isinstance(error, OSError):
        if code not in _NO_ROOM:
            return None
        return WriteError(code, os.strerror(code), str(_place(path, code)))
    name = error.filename if isinstance(error.filename, str | bytes) else None
    if name is not None and not _belongs(Path(os.fsdecode(name)), path):
        return None
    place = Path(os.fsdecode(name)) if code in _NO_FOLDER and name else _place(path, code)
    return WriteError(code, error.strerror or str(error), str(place))


def _says_little(error: Exception) -> bool:
    """Whether it is of a kind that libraries raise for errors of writing, without their number."""
    is_of_polars = type(error).__module__.partition(".")[0] == "polars"
    return is_of_polars or isinstance(error, OSError | RuntimeError)


def _code(error: BaseException | None) -> int | None:
    """The number of the system's error that an error is or comes from."""
    if error is None:
        return None
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    if found := _IN_TEXT.search(text):
        return int(found[1])
    for phrase, code in _TEXTS.items():
        if phrase in text.lower():
            return code
    return _code(error.__cause__ or error.__context__)


def _belongs(name: Path, path: Path) -> bool:
    """Whether a name is the path, lies above or below it, or is its partial file."""
    name, path = Path(os.path.abspath(name)), Path(os.path.abspath(path))
    if name in (path, *path.parents) or name.is_relative_to(path):
        return True
    beside = [x for x in (name, *name.parents) if x.parent == path.parent]
    return any(path.name in x.name for x in beside)


def _place(path: Path, code: int | None) -> Path:
    """The path; of a full disk the folder of temporary files, if only that one is full."""
    spare = _temporary()
    if code == errno.ENOSPC and not _is_full(path) and _is_full(spare):
        return spare
    return path


def _full_folder(options: Options) -> str | None:
    """Which of the usual folders is full, where an error does not say."""
    places = (*options, Path.cwd(), _temporary())
    return next((str(place) for place in places if _is_full(place)), None)


def _temporary() -> Path:
    """The folder of temporary files, which may be absent or full."""
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        return Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108 - named, not used


def _is_full(path: Path) -> bool:
    try:
        state = os.statvfs(_barrier(path))
    except OSError:
        return False
    return state.f_bavail * state.f_frsize < _LEFT or (state.f_files > 0 and state.f_favail == 0)
