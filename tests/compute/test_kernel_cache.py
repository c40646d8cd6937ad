"""Compiled functions follow every edit, also one of a helper in another file."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import ir
from numba.core.event import Listener, install_listener

from recsys_lab.compute import kernel_cache
from tests.run_cases import ROOT

HELPER = """
from recsys_lab.compute.kernel_cache import jit

@jit()
def constant():
    return {value}
"""
CALLER = """
from recsys_lab.compute.kernel_cache import jit
from pack.helper import constant

@jit()
def ask():
    return constant()
"""
PROGRAM = """
import sys
from pathlib import Path
from recsys_lab.compute import kernel_cache
kernel_cache.KERNEL_CACHE = kernel_cache.KernelCache(Path("pack").resolve())
from pack.caller import ask
print(ask(), sum(ask.stats.cache_hits.values()), flush=True)
if sys.argv[1:] == ["clear"]:
    kernel_cache.KERNEL_CACHE.clear_others()
if sys.argv[1:] == ["wait"]:
    sys.stdin.read()
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "helper.py").write_text(HELPER.format(value=1))
    (folder / "caller.py").write_text(CALLER)
    return folder


def start(package: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=package.parent,
        env=clean | {"PYTHONPATH": f"{package.parent}{os.pathsep}{ROOT}"} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(package: Path, *arguments: str, **environment: str) -> list[int]:
    """What the compiled function returns in a new process, and whether it came from the cache."""
    process = start(package, *arguments, **environment)
    out, _ = process.communicate()
    assert process.returncode == 0
    return [int(word) for word in out.split()]


def folders(home: Path) -> int:
    return len(list(home.glob("kernels-*")))


def test_an_edited_helper_is_compiled_anew(package: Path) -> None:
    assert ask(package) == [1, 0]
    assert ask(package) == [1, 1]
    (package / "helper.py").write_text(HELPER.format(value=2))
    assert ask(package) == [2, 0]
    assert ask(package) == [2, 1]


def test_old_code_is_cleared_on_request_and_never_under_a_running_process(package: Path) -> None:
    old = start(package, "wait")
    assert old.stdout is not None
    assert old.stdout.readline() == "1 0\n"
    (package / "helper.py").write_text(HELPER.format(value=2))
    assert ask(package, "clear") == [2, 0]
    assert folders(package / "__pycache__") == 2
    old.communicate("")
    assert ask(package) == [2, 1]  # importing clears nothing
    assert folders(package / "__pycache__") == 2
    assert ask(package, "clear") == [2, 1]
    assert folders(package / "__pycache__") == 1


def test_a_folder_that_the_user_names_is_respected(package: Path, tmp_path: Path) -> None:
    assert ask(package, NUMBA_CACHE_DIR=str(tmp_path / "mine")) == [1, 0]
    assert list((tmp_path / "mine").rglob("*.nbi"))
    assert not folders(package / "__pycache__")


def test_the_caches_of_the_user_stand_in_for_a_package_that_cannot_be_written(
    package: Path, tmp_path: Path
) -> None:
    (package / "__pycache__").write_text("")  # in place of the folder
    caches = {"XDG_CACHE_HOME": str(tmp_path / "caches"), "PYTHONDONTWRITEBYTECODE": "1"}
    assert ask(package, **caches) == [1, 0]
    assert ask(package, **caches) == [1, 1]
    assert folders(tmp_path / "caches" / "recsys_lab") == 1
    assert ask(package, "clear", HOME="/dev/null", XDG_CACHE_HOME="") == [1, 0]


def test_importing_the_package_does_nothing(tmp_path: Path) -> None:
    """Neither in the environment nor on the disk, and no library comes with it."""
    program = (
        "import os, sys; before = dict(os.environ), set(sys.modules); import recsys_lab;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before[1]};"
        "print(dict(os.environ) == before[0], sorted(new))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True ['recsys_lab']\n"


def test_kernels_run_where_nothing_can_be_kept(package: Path) -> None:
    """A file stands where the folder should be; then the files of a cache are damaged."""
    home = package.parent / "cache"
    home.write_text("")
    assert start(package, NUMBA_CACHE_DIR=str(home)).communicate()[0] == "1 0\n"
    home.unlink()
    for _ in range(2):
        kept = start(package, NUMBA_CACHE_DIR=str(home)).communicate()[0]
    assert kept == "1 1\n"
    for path in home.rglob("*.nb?"):
        path.write_bytes(path.read_bytes()[:-40])
    assert start(package, NUMBA_CACHE_DIR=str(home)).communicate()[0] == "1 0\n"


def test_a_full_disk_stops_no_kernel(package: Path) -> None:
    """No file may grow beyond 1 kB, as on a full disk."""
    limited = PROGRAM.replace(
        "import sys\n",
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n",
        1,
    )
    path = f"{package.parent}{os.pathsep}{ROOT}"
    environment = os.environ | {"PYTHONPATH": path, "NUMBA_CACHE_DIR": "cache"}
    command = [sys.executable, "-B", "-c", limited]
    done = subprocess.run(
        command, cwd=package.parent, env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("1 0\n", "")


class Watch(Listener):
    """Whether scopes are shared, at each step of compiling."""

    def __init__(self) -> None:
        self.seen: set[bool] = set()

    def on_start(self, event: object) -> None:
        self.seen.add("__deepcopy__" in vars(ir.Scope))

    def on_end(self, event: object) -> None:
        pass


def test_compiling_a_piece_into_its_caller_leaves_numba_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernel_cache.KERNEL_CACHE, "folder", None)
    watch = Watch()

    @kernel_cache.jit(inline="always")
    def piece(values: np.ndarray) -> float:
        total = 0.0
        for value in values:
            total += value
        return total

    @kernel_cache.jit()
    def caller(values: np.ndarray) -> float:
        return piece(values) + 2 * piece(values[1:])

    with install_listener("numba:run_pass", watch):
        assert caller(np.array([1.0, 2.0, 4.0])) == 19.0
    assert watch.seen == {True}
    assert "__deepcopy__" not in vars(ir.Scope)
