"""Folders beside the prepared data that keep what a run has computed, for later runs."""

import importlib.metadata
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import recsys_lab
from recsys_lab.catalog.prepared_folders import has_sound_folder, hash_file, obtain_folder
from recsys_lab.readers.account import CatalogError
from recsys_lab.results.write_errors import may_fail
from recsys_lab.run import run_data

log = logging.getLogger(__name__)

_ROOMS = "catalog", "compute", "evaluation", "graph"
_LIBRARIES = "numba", "numpy", "scipy", "torch"


def is_kept(folder: Path) -> bool:
    """Whether there is a sound folder that may be read."""
    try:
        return has_sound_folder(folder)
    except (CatalogError, OSError):  # another user's, or removed or replaced meanwhile
        return False


def keep(folder: Path, write: Callable[[Path], dict[str, Any]], what: str) -> None:
    """Write a folder if it is not there and can be written.

    Args:
        folder: its final name.
        write: fills a folder, and gives its manifest.
        what: is kept, such as "the test of the baselines".
    """
    try:
        with may_fail(f"{what} for later runs"):
            obtain_folder(folder, write)
    except (CatalogError, OSError) as error:  # as above
        log.debug("%s is not kept: %s", what, error)


@cache
def code_of_tests() -> list[str]:
    """Hashes of the code that decides what baselines are made of and what a test of them gives.

    It is in whole rooms of the project; of libraries it is their versions.
    """
    folder = Path(recsys_lab.__path__[0])
    files = [path for room in _ROOMS for path in sorted((folder / room).glob("*.py"))]
    versions = [importlib.metadata.version(library) for library in _LIBRARIES]
    return [hash_file(path) for path in (*files, Path(run_data.__file__))] + versions
