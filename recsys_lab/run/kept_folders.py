"""Folders beside the prepared data that keep what a run has computed, for later runs."""

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import recsys_lab.evaluation
from recsys_lab.catalog.prepared_folders import has_sound_folder, hash_file, obtain_folder
from recsys_lab.readers.account import CatalogError
from recsys_lab.results.write_errors import may_fail

log = logging.getLogger(__name__)


def is_kept(folder: Path) -> bool:
    """Whether there is a sound folder that may be read."""
    try:
        return has_sound_folder(folder)
    except CatalogError:  # of another user, who does not share it
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
    except CatalogError as error:  # of another user, who does not share it
        log.debug("%s is not kept: %s", what, error)


@cache
def code_of_evaluation() -> list[str]:
    """Hashes of the files of the room `evaluation`."""
    [room] = recsys_lab.evaluation.__path__
    return [hash_file(path) for path in sorted(Path(room).glob("*.py"))]
