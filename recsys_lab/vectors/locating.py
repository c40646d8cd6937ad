"""Where the embeddings of a run are, and what is wrong where there are none."""

from pathlib import Path
from typing import Any

from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.store import FOLDER, INFO, ITEMS, read_info


def locate_embeddings(path: Path) -> tuple[Path, dict[str, Any]]:
    """The Parquet file of the items, and the contents of `embeddings.json` beside it.

    Args:
        path: a run folder, its folder `embeddings`, or a Parquet file.

    Raises:
        VectorsError: there are none, or they cannot be read.
    """
    if path.is_dir():
        folder = next((x for x in (path / FOLDER, path) if (x / ITEMS).is_file()), None)
        if folder is None:
            raise VectorsError(_absent(path))
        return folder / ITEMS, read_info(folder)
    if not path.is_file():
        raise VectorsError(f"there is no run folder and no file {path}")
    described = path.name == ITEMS and (path.parent / INFO).is_file()
    return path, read_info(path.parent) if described else {}


def _absent(path: Path) -> str:
    if any((path / name).is_dir() for name in ("checkpoints", ".hydra")):
        if not (path / "metrics.json").is_file():
            return (
                f"{path} has no embeddings, since its run did not finish: repeat its command with "
                f"ckpt_path={path / 'checkpoints' / 'last.ckpt'}, or name another run"
            )
        return f"{path} has no embeddings: write them with python -m recsys_lab embed {path}"
    return f"{path} is not the folder of a run: name a folder such as outputs/train/runs/..."
