"""Runs that another run was made of, such as the parts of a mixture, as its settings.

What they were is a setting; where they lie, and their seed, is none.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys_lab.results.run_folder import CONFIG, Run, find_run_folders, read_run

_USES = "model.start", "model.runs"  # keys that name the file or folder of a run

Facts = Callable[[Run], tuple[str, Mapping[str, Any]]]


def with_used_runs(
    flat: Mapping[str, Any], folders: Sequence[Path], facts: Facts
) -> dict[str, Any]:
    """A flat configuration with the experiments of used runs in place of their paths.

    A path at which there is no run stays as it is.

    Args:
        flat: of a run.
        folders: of the runs that use one another, that of this run the last; none of them is a
            used run. Used runs may have moved together with the last.
        facts: the label and the settings of a run.
    """
    found = dict(flat)
    for key in _USES:
        value = flat.get(key)
        paths = [value] if isinstance(value, str) else value
        if not isinstance(paths, list) or not paths:
            continue
        used = [run for path in paths for run in _runs_at(str(path), folders)]
        if used:
            labels, settings = zip(*map(facts, used), strict=True)
            found[key] = "+".join(sorted(labels))
            found[f"{key}.settings"] = _digest(sorted(map(_digest, settings)))
    return found


def _runs_at(path: str, folders: Sequence[Path]) -> list[Run]:
    """The run of a folder, or of a file in it, or the runs with vectors below a folder."""
    users = {folder.resolve() for folder in folders}
    place = Path(path)
    named = place, *place.parents[:2]
    beside = (folders[-1].parent / one.name for one in named)
    for one in (*named, *beside):
        if (one / CONFIG).is_file() and one.resolve() not in users:
            return [read_run(one)]
    below = [one for one in find_run_folders([place]) if one.resolve() not in users]
    return [run for run in map(read_run, below) if not run.is_mixture]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]
