"""Compiled kernels, kept apart for every state of the sources.

numba looks at the file of a function alone, not at those it calls into, and after an update would
go on running compiled code that contains the old version of a helper. So each state of the sources
has a cache folder of its own, beside the package or in NUMBA_CACHE_DIR.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numba

try:
    import fcntl
except ImportError:  # not on every system; then no cache is cleared
    fcntl = None  # type: ignore[assignment]

_PREFIX = "kernels-"
_LOCK = ".lock"  # held by every process that uses the folder


def sources_digest(package: Path) -> str:
    """Digest of all files of a package that have to do with compiled functions."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if b"jit" in (source := path.read_bytes()):
            digest.update(source)
    return digest.hexdigest()[:16]


class KernelCache:
    """The cache folder of one state of a package's sources.

    Args:
        package: folder of the sources.

    Attributes:
        folder: None where it cannot be written; numba then follows its own rules.
    """

    def __init__(self, package: Path) -> None:
        given = os.environ.get("NUMBA_CACHE_DIR")
        self._home = Path(given) if given else package / "__pycache__"
        self.folder: Path | None = self._home / f"{_PREFIX}{sources_digest(package)}"
        self._lock: IO[bytes] | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / _LOCK).open("ab")
            if fcntl:
                fcntl.flock(self._lock, fcntl.LOCK_SH)
        except OSError:
            self.folder = None

    def clear_others(self) -> None:
        """Delete the folders of other states of the sources that no running process uses."""
        for other in self._home.glob(f"{_PREFIX}*") if fcntl else ():
            if other == self.folder:
                continue
            try:
                with (other / _LOCK).open("ab") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(other, ignore_errors=True)
            except OSError:  # in use, or not ours to delete
                continue


KERNEL_CACHE = KernelCache(Path(__file__).parents[1])


def jit(*signature: Any, **options: Any) -> Callable[[Any], Any]:
    """`numba.njit` without the interpreter lock, cached in the folder for these sources."""
    settings: Any = numba.config
    compiler: Any = numba.njit

    def compile_lazily(function: Any) -> Any:
        before = settings.CACHE_DIR
        if KERNEL_CACHE.folder is not None:
            settings.CACHE_DIR = str(KERNEL_CACHE.folder)
        try:
            return compiler(*signature, cache=True, nogil=True, **options)(function)
        finally:
            settings.CACHE_DIR = before

    return compile_lazily
