"""Runs that another run was made of, such as the parts of a mixture, as its settings.

What they were is a setting; where they lie, and their seed, is none.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recsys_lab.results.run_folder import CONFIG, Run, find_run_folders, read_run

_USES = "model.start", "model.runs"  # keys that name the file or folder of a run

Facts = Callable[[Run], tuple[str, Mapping[str, Any]]]


def with_used_runs(flat: Mapping[str, Any], folder: Path, facts: Facts) -> dict[str, Any]:
    """A flat configuration with the experiments of used runs in place of their paths.

    A path at which there is no run stays as it is.

    Args:
        flat: of a run.
        folder: of that run; used runs may have moved together with it.
        facts: the label and the settings of a run.
    """
    found = dict(flat)
    for key in _USES:
        value = flat.get(key)
        paths = [value] if isinstance(value, str) else value
        if not isinstance(paths, list) or not paths:
            continue
        used = [run for path in paths for run in _runs_at(str(path), folder)]
        if used:
            labels, settings = zip(*map(facts, used), strict=True)
            found[key] = "+".join(sorted(labels))
            found[f"{key}.settings"] = _digest(sorted(map(_digest, settings)))
    return found


def _runs_at(path: str, folder: Path) -> list[Run]:
    """The run of a folder, or of a file in it, or the runs below a folder."""
    place = Path(path)
    named = place, *place.parents[:2]
    beside = (folder.parent / one.name for one in named)
    for one in (*named, *beside):
        if one != folder and (one / CONFIG).is_file():
            return [read_run(one)]
    return [read_run(one) for one in find_run_folders([place])]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]
