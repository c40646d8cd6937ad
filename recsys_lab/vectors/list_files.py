"""Files of lists of items, written in parts and in bounded memory; a second start goes on."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys_lab.results.files import atomic_path, write_text
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.search import NO_ROW
from recsys_lab.vectors.stored_lists import SCHEMA

_MANIFEST = "manifest.json"
_ROWS = 2**17  # of a row group, which is the least that is read

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
Lists = tuple[np.ndarray, np.ndarray]  # rows (n, k) and scores (n, k), as of `top_k`


class Parts:
    """The hidden folder of a file that is not complete.

    Args:
        out: the file.
        identity: what decides the lists, and how they are cut into parts.
    """

    def __init__(self, out: Path, identity: Mapping[str, Any]) -> None:
        self.out, self.identity = out, dict(identity)
        self.folder = out.with_name(f".{out.name}.parts")

    def resume(self) -> None:
        """Keep the parts of the same lists, and remove those of other lists."""
        if self._is_there():
            log.info("going on after %s parts of an earlier start", len(self.done()))
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        write_text(self.folder / _MANIFEST, json.dumps(self.identity, sort_keys=True))

    def check(self) -> None:
        """Refuse to go on in a folder that another process has removed or taken over."""
        if not self._is_there():
            raise VectorsError(
                f"another process writes {self.out}, too: start again when it has finished, or "
                "name another file"
            )

    def _is_there(self) -> bool:
        """Whether the folder holds parts of these lists."""
        try:
            found = json.loads((self.folder / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(found == self.identity)

    def path(self, number: int) -> Path:
        """The file of a part."""
        return self.folder / f"{number:06d}.parquet"

    def done(self) -> list[Path]:
        """The files that are there."""
        return sorted(self.folder.glob("[0-9]*.parquet"))

    def join(self, count: int) -> None:
        """Write the one file from so many parts, and remove the folder."""
        with atomic_path(self.out) as part:
            if count:
                joined = pl.scan_parquet([self.path(number) for number in range(count)])
                joined.sink_parquet(
                    part, compression="zstd", maintain_order=True, row_group_size=_ROWS
                )
            else:
                pl.DataFrame(schema=SCHEMA).write_parquet(part)
        shutil.rmtree(self.folder)


def write_lists(
    ids: pl.Series,
    blocks: list[np.ndarray],
    parts: Parts,
    search: Callable[[list[np.ndarray]], Iterator[Lists]],
    progress: Progress,
) -> int:
    """Write the lists of blocks of items, each block as a part; returns the rows of the file.

    The file has a row for each item of a list: item, neighbour, rank (from 1), score, in the order
    of the items. Until it is complete, its parts lie in a hidden folder beside it; a second call
    starts after the last of them, and ends with the same file.

    Args:
        ids: (N,) raw ids of all items.
        blocks: rows of the items.
        parts: of the file.
        search: gives the lists of some of the blocks.
        progress: called with the number of items done, and of all.

    Raises:
        VectorsError: another process writes the file.
    """
    parts.resume()
    total = sum(map(len, blocks))
    todo = [number for number in range(len(blocks)) if not parts.path(number).exists()]
    done = total - sum(len(blocks[number]) for number in todo)
    if todo:
        found = search([blocks[number] for number in todo])
        for number, lists in zip(todo, found, strict=True):
            frame = _frame(ids, blocks[number], *lists)
            parts.check()
            with atomic_path(parts.path(number)) as part:
                frame.write_parquet(part)
            done += len(blocks[number])
            progress(done, total)
    parts.check()
    parts.join(len(blocks))
    return int(pl.scan_parquet(parts.out).select(pl.len()).collect().item())


def blocks_of(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Rows (n,) in blocks of at most so many."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _frame(ids: pl.Series, items: np.ndarray, rows: np.ndarray, scores: np.ndarray) -> pl.DataFrame:
    """Lists (n, k) as a row for each neighbour."""
    found = rows != NO_ROW
    ranks = np.broadcast_to(np.arange(1, rows.shape[1] + 1, dtype=np.int32), rows.shape)
    return pl.DataFrame(
        {
            "item": ids.gather(np.repeat(items, found.sum(axis=1))),
            "neighbour": ids.gather(rows[found]),
            "rank": ranks[found],
            "score": scores[found],
        },
        schema=SCHEMA,
    )
