"""Compiled functions follow every edit, also one of a helper in another file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HELPER = """
from numba import njit

@njit(cache=True)
def constant():
    return {value}
"""
CALLER = """
from numba import njit
from pack.helper import constant

@njit(cache=True)
def ask():
    return constant()
"""
PROGRAM = """
import sys
from pathlib import Path
from recsys_lab.kernel_cache import choose_kernel_cache
choose_kernel_cache(Path("pack").resolve())
from pack.caller import ask
print(ask(), sum(ask.stats.cache_hits.values()))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "helper.py").write_text(HELPER.format(value=1))
    (folder / "caller.py").write_text(CALLER)
    return folder


def ask(package: Path, **environment: str) -> list[int]:
    """What the compiled function returns in a new process, and whether it came from the cache."""
    clean = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=package.parent,
        env=clean | {"PYTHONPATH": str(package.parent)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(word) for word in done.stdout.split()]


def test_an_edited_helper_is_compiled_anew_and_the_old_code_cleared(package: Path) -> None:
    assert ask(package) == [1, 0]
    assert ask(package) == [1, 1]
    (package / "helper.py").write_text(HELPER.format(value=2))
    assert ask(package) == [2, 0]
    assert ask(package) == [2, 1]
    assert len(list((package / "__pycache__").glob("kernels-*"))) == 1


def test_a_folder_that_the_user_names_is_respected(package: Path, tmp_path: Path) -> None:
    assert ask(package, NUMBA_CACHE_DIR=str(tmp_path / "mine")) == [1, 0]
    assert list((tmp_path / "mine").rglob("*.nbi"))
    assert not list(package.rglob("kernels-*"))


def test_the_folder_of_a_parent_process_is_not_taken_for_the_users(
    package: Path, tmp_path: Path
) -> None:
    parent = tmp_path / "kernels-0123"
    assert ask(package, NUMBA_CACHE_DIR=str(parent)) == [1, 0]
    assert not parent.exists()
