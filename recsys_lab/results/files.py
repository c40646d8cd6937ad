"""Text files that are complete or absent."""

import os
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write beside the target, sync and rename, making the folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
