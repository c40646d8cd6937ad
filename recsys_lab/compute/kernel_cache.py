"""The cache of compiled kernels, one folder for each state of the sources.

numba checks only the file of a compiled function, not the files of the functions that it calls, so
after an update it would run compiled code with the old version of a helper. Each state of the
sources therefore has its own cache folder: in NUMBA_CACHE_DIR, or else beside the package or, where
that cannot be written, among the caches of the user.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numba
from numba.core import ir
from numba.core.caching import FunctionCache
from numba.core.compiler import Compiler

try:
    import fcntl
except ImportError:  # absent on some systems; then no cache is cleared
    fcntl = None  # type: ignore[assignment]

_PREFIX = "kernels-"
_LOCK = ".lock"  # every process that uses the folder holds it


def sources_digest(package: Path) -> str:
    """Digest of all files of a package that mention compiled functions."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if b"jit" in (source := path.read_bytes()):
            digest.update(source)
    return digest.hexdigest()[:16]


def _homes(package: Path) -> list[Path]:
    """Folders that may hold the caches, the first one first."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(given)]
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return [package / "__pycache__", caches / "recsys_lab"]


class KernelCache:
    """The cache folder of one state of a package's sources.

    Args:
        package: folder of the sources.

    Attributes:
        folder: None where it cannot be written; each process then compiles its own.
    """

    def __init__(self, package: Path) -> None:
        self.folder: Path | None = None
        self._lock: IO[bytes] | None = None
        name = f"{_PREFIX}{sources_digest(package)}"
        for home in _homes(package):
            try:
                folder = home.expanduser() / name
                folder.mkdir(parents=True, exist_ok=True)
                self._lock = (folder / _LOCK).open("ab")
                if fcntl:
                    fcntl.flock(self._lock, fcntl.LOCK_SH)
            except (OSError, RuntimeError):  # it cannot be written, or the user has no home
                continue
            self.folder = folder
            break

    def clear_others(self) -> None:
        """Delete the folders of other states of the sources that no running process uses."""
        if self.folder is None or fcntl is None:
            return
        for other in self.folder.parent.glob(f"{_PREFIX}*"):
            if other == self.folder:
                continue
            try:
                with (other / _LOCK).open("ab") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(other, ignore_errors=True)
            except OSError:  # in use, or it belongs to another user
                continue


class _Cache(FunctionCache):
    """numba's cache of a function, without which the kernels run, too.

    A disk may be full, or somebody may have damaged the folder.
    """

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code, if that is possible."""
        try:
            super().save_overload(sig, data)
        except OSError:
            self.disable()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Compiled code; None if there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # damaged files raise almost anything
            self.disable()
            return None


KERNEL_CACHE = KernelCache(Path(__file__).parents[1])


@contextmanager
def _shared_scopes() -> Iterator[None]:
    """Let the blocks of a function keep one scope when numba copies them.

    Where numba makes a function part of its caller, it copies each block twice, with all variables
    of the function. For the training kernels that took two thirds of the time of compiling. Only
    one of these scopes is read afterwards.
    """
    scopes: Any = ir.Scope
    before = vars(scopes).get("__deepcopy__")
    scopes.__deepcopy__ = lambda scope, memo: scope
    try:
        yield
    finally:
        if before is None:
            del scopes.__deepcopy__
        else:  # of a compilation around this one
            scopes.__deepcopy__ = before


class _QuickCompiler(Compiler):
    """numba's compiler with shared scopes; numba runs it in one thread at a time."""

    def compile_extra(self, func: Any) -> Any:
        """Compile a Python function."""
        with _shared_scopes():
            return super().compile_extra(func)


def jit(*signature: Any, **options: Any) -> Callable[[Any], Any]:
    """`numba.njit` without the interpreter lock, cached in the folder for these sources."""
    settings: Any = numba.config
    compiler: Any = numba.njit

    def compile_lazily(function: Any) -> Any:
        compiled = compiler(nogil=True, pipeline_class=_QuickCompiler, **options)(function)
        before = settings.CACHE_DIR
        if KERNEL_CACHE.folder is not None:
            settings.CACHE_DIR = str(KERNEL_CACHE.folder)
            with suppress(OSError, RuntimeError):  # of numba, where it cannot write there
                compiled._cache = _Cache(function)
            settings.CACHE_DIR = before
        for types in signature:
            compiled.compile(types)
        if signature:
            compiled.disable_compile()
        return compiled

    return compile_lazily
