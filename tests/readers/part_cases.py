"""A file cut into parts, as large catalogues come."""

import gzip
from pathlib import Path


def cut(path: Path, folder: Path, count: int) -> Path:
    """Cut a packed file of lines into so many parts, every second one packed."""
    folder.mkdir()
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    size = -(-len(lines) // count)
    for k in range(count):
        data = b"".join(lines[k * size : (k + 1) * size])
        packed = gzip.compress(data, 1) if k % 2 else data
        (folder / f"part-{k:05d}.json").write_bytes(packed)
    return folder
