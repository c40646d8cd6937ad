"""What EASE ranks for every item, kept beside the prepared data for later runs."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from recsys_lab.catalog.prepared_folders import hash_file, key_of
from recsys_lab.data.teacher_batches import RankedItems
from recsys_lab.run import teacher
from recsys_lab.run.kept_folders import code_of_tests, is_kept, keep
from recsys_lab.run.run_data import RunData

log = logging.getLogger(__name__)

FOLDER = "teachers"  # among prepared data
_ARRAYS = "ranked.npz"


def kept_ranking(data: RunData, num_ranked: int) -> RankedItems:
    """What `rank_by_ease` gives, from an earlier run on the same data if there was one."""
    if data.folders is None:
        return teacher.rank_by_ease(data, num_ranked)
    folder = _folder(data.folders, num_ranked)
    if is_kept(folder):
        log.info("prepared data re-used: %s", folder)
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            return RankedItems(*(arrays[name] for name in RankedItems._fields))
    ranked = teacher.rank_by_ease(data, num_ranked)

    def write(part: Path) -> dict[str, Any]:
        np.savez(part / _ARRAYS, **ranked._asdict())
        return {"num_ranked": num_ranked}

    keep(folder, write, "what the teacher ranks")
    return ranked


def _folder(data: tuple[Path, Path], num_ranked: int) -> Path:
    """Its name is decided by the prepared data and by the code that ranks."""
    code = [*code_of_tests(), hash_file(teacher.__file__)]
    key = key_of(*(folder.name for folder in data), num_ranked, code)
    return data[1].parents[1] / FOLDER / key
