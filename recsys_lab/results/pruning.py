"""What can be removed below a folder: unfinished runs, prepared data without a run, and litter.

Nothing else is ever named: a run is a folder with a configuration in `.hydra/`, prepared data one
with a manifest under the name that its contents give, and litter has the names of `part_files`.
"""

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from recsys_lab.results.part_files import changed, left_in, remove_left
from recsys_lab.results.prepared_users import users_of
from recsys_lab.results.run_folder import NOT_TESTED, find_run_folders, read_run
from recsys_lab.results.run_lock import alone_in, is_in_use

RUN = "unfinished run"
PREPARED = "prepared data without a run"
LITTER = "left by a killed process"
_PREPARED = re.compile(r"[0-9a-f]{20}")  # name of a folder of prepared data
_KINDS = "catalogs", "splits", "baselines", "teachers"
_NAMED = re.compile(rf"(?:{'|'.join(_KINDS)})/([0-9a-f]{{20}})")  # in the log of a run
_HOUR = 3600.0
_UNLISTED = "a run in another folder may use it, which would prepare it again"


@dataclass(frozen=True)
class Prunable:
    """Something that can be removed.

    Attributes:
        path: a file or folder.
        kind: RUN, PREPARED or LITTER.
        size: bytes.
        reason: more about it, such as why a run has not finished.
    """

    path: Path
    kind: str
    size: int
    reason: str = ""


def find_prunable(folder: Path, hours: float) -> list[Prunable]:
    """What can be removed below a folder; nothing that was changed within some hours.

    Runs that a live process works in, trials of a search, and folders that hold other runs, are
    left out. Prepared data counts as that of a run if the log of a run there names it, or if it
    lists a run that is there, wherever that is.
    """
    runs = find_run_folders([folder])
    before = time.time() - hours * _HOUR
    found = [*_unfinished(runs, before), *_prepared(folder, runs, before)]
    places = [*runs, *(path.parent for path in _prepared_folders(folder))]
    litter = {path for place in places for path in left_in(place)}
    gone = {one.path for one in found}
    for path in sorted(litter):
        if not gone & set(path.parents) and changed(path) < before:
            found.append(Prunable(path, LITTER, _size(path)))
    return found


def remove(one: Prunable) -> bool:
    """Remove it, unless that has changed meanwhile; whether that was done."""
    if one.kind == LITTER:
        return remove_left(one.path)
    if one.kind == PREPARED:
        shutil.rmtree(one.path)
        return True
    try:
        with alone_in(one.path):
            if not read_run(one.path).problem:
                return False
            shutil.rmtree(one.path)
    except ValueError:  # a process works in it
        return False
    return True


def _unfinished(runs: Sequence[Path], before: float) -> Iterator[Prunable]:
    for folder in runs:
        holds_others = any(folder in other.parents for other in runs)
        if (folder / "metrics.json").exists() or holds_others or folder.is_symlink():
            continue
        problem = read_run(folder).problem
        is_trial = problem.startswith(NOT_TESTED)
        if not is_trial and not is_in_use(folder) and changed(folder) < before:
            yield Prunable(folder, RUN, _size(folder), problem)


def _prepared(folder: Path, runs: Sequence[Path], before: float) -> Iterator[Prunable]:
    """Prepared data of no run; unfinished runs count."""
    named: set[str] = set()
    for run in runs:
        for log in run.glob("*.log"):
            with suppress(OSError):
                named |= set(_NAMED.findall(log.read_text(encoding="utf-8", errors="replace")))
    for path in _prepared_folders(folder):
        users = users_of(path)
        if path.name not in named and not users and changed(path) < before:
            reason = _UNLISTED if users is None else ""
            yield Prunable(path, PREPARED, _size(path), reason)


def _prepared_folders(folder: Path) -> list[Path]:
    manifests = [path for kind in _KINDS for path in folder.rglob(f"{kind}/*/manifest.json")]
    folders = [path.parent for path in manifests if _PREPARED.fullmatch(path.parent.name)]
    return sorted(path for path in folders if not path.is_symlink())


def _size(path: Path) -> int:
    """Bytes on the disk; a file with several names counts once."""
    sizes = {}
    for one in [path, *path.rglob("*")]:
        with suppress(OSError):
            state = one.lstat()
            sizes[state.st_dev, state.st_ino] = state.st_blocks * 512
    return sum(sizes.values())
