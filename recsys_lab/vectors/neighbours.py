"""The lists of all items, written to Parquet in bounded memory; a second start goes on."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl

from recsys_lab.results.files import atomic_path, write_text
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.index import SAMPLE, CellIndex, IndexPlan, build_index, has_library
from recsys_lab.vectors.search import NO_ROW, top_k

EXACT_ITEMS = 100_000  # up to here exact search takes less than a minute on two cores
SCHEMA = {"item": pl.String, "neighbour": pl.String, "rank": pl.Int32, "score": pl.Float32}
_BLOCK, _PLACES = 32_768, 2**24  # items of a part, and places of its lists, at the most
_MANIFEST, _PLAN = "manifest.json", "plan.npz"

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
Lists = tuple[np.ndarray, np.ndarray]  # rows (n, k) and scores (n, k), as of `top_k`


@dataclass(frozen=True)
class SearchOptions:
    """How the lists are searched.

    Attributes:
        exact: compare with every item, however many there are.
        min_recall: least share of the exact lists that an index has to find.
        probes: cells of the index that each item searches; None takes as many as needed.
    """

    exact: bool = False
    min_recall: float = 0.98
    probes: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_recall <= 1:
            raise VectorsError(f"min_recall must be from 0 to 1, got {self.min_recall:g}")
        if self.probes is not None and self.probes < 1:
            raise VectorsError(f"probes must be >= 1, got {self.probes}")

    def uses_index(self, num_items: int) -> bool:
        """Whether the lists of so many items are searched with an index."""
        return not self.exact and num_items > EXACT_ITEMS and has_library()


class Written(NamedTuple):
    """What `write_neighbours` did: items with lists, items without a score, rows of the file."""

    num_items: int
    num_unscored: int
    num_rows: int


class Search(Protocol):
    """Lists of items, by row: rows (n, k) and scores (n, k) as of `top_k`, without the item."""

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lists of items rows (n,)."""
        ...


def write_neighbours(
    embeddings: Embeddings,
    out: Path,
    k: int = 20,
    options: SearchOptions = SearchOptions(),
    progress: Progress = lambda done, total: None,
    nodes: Callable[..., Iterator[Lists]] | None = None,
) -> Written:
    """Write the k nearest neighbours of every item that can be scored.

    The file has a row for each neighbour: item, neighbour, rank (from 1), score, in the order of
    the items. Until it is complete, its parts lie in a hidden folder beside it; a second call with
    the same embeddings and options starts after the last of them, and ends with the same file.

    Args:
        embeddings: items with their queries and keys.
        out: the Parquet file; it is replaced.
        k: length of the lists.
        options: exact or with an index.
        progress: called with the number of items done, and of all.
        nodes: searches blocks of items on a cluster, as `ray_search.search_on_ray` does; None
            searches here.

    Raises:
        VectorsError: the recall of the index is too small, an argument cannot be used, or another
            process writes the file.
    """
    check_list_length(k)
    if out.is_dir():
        raise VectorsError(f"{out} is a folder: name a file, such as {out / 'neighbours.parquet'}")
    rows = np.flatnonzero(embeddings.scored)
    k = min(k, max(1, len(rows) - 1))  # there are no more neighbours
    parts = _Parts(out, _identity(embeddings, k, options))
    if parts.resume():
        log.info("going on after %s parts of an earlier start", len(parts.done()))
    blocks = [(parts.path(n), block) for n, block in _blocks(rows, k)]
    todo = [(path, block) for path, block in blocks if not path.exists()]
    if todo:
        done = len(rows) - sum(len(block) for _, block in todo)
        found = _search_blocks(embeddings, k, options, parts, nodes, [b for _, b in todo])
        for (path, block), lists in zip(todo, found, strict=True):
            frame = _frame(embeddings, block, *lists)
            parts.check()
            with atomic_path(path) as part:
                frame.write_parquet(part)
            done += len(block)
            progress(done, len(rows))
    parts.check()
    parts.join([path for path, _ in blocks])
    num_rows = pl.scan_parquet(out).select(pl.len()).collect().item()
    return Written(len(rows), len(embeddings) - len(rows), num_rows)


def check_list_length(k: int) -> None:
    """Refuse a length that is not positive."""
    if k < 1:
        raise VectorsError(f"k must be >= 1, got {k}")


def _search_blocks(
    embeddings: Embeddings,
    k: int,
    options: SearchOptions,
    parts: "_Parts",
    nodes: Callable[..., Iterator[Lists]] | None,
    blocks: list[np.ndarray],
) -> Iterator[Lists]:
    """The lists of each block, here or on the nodes of a cluster."""
    search = open_search(embeddings, k, options, parts)
    if nodes is None:
        return map(search, blocks)
    return nodes(embeddings, k, parts.read_plan(), blocks)


def open_search(
    embeddings: Embeddings, k: int, options: SearchOptions, parts: "_Parts | None" = None
) -> Search:
    """Exact search, or an index whose recall suffices: that of the parts, if they have one."""
    if not options.uses_index(len(embeddings)):
        if not options.exact and len(embeddings) > EXACT_ITEMS:
            log.info("searching exactly, since faiss is not installed: the extra `index` is faster")
        return search_by(embeddings, k, None)
    plan = parts.read_plan() if parts else None
    queries, keys, allowed = embeddings.queries, embeddings.keys, embeddings.scored
    if plan is not None:
        _log_recall(plan, min(SAMPLE, int(allowed.sum())))
        return search_by(embeddings, k, plan)
    index = build_index(queries, keys, allowed, k, options.min_recall, options.probes)
    if parts:
        parts.write_plan(index.plan)
    _log_recall(index.plan, min(SAMPLE, int(allowed.sum())))
    return lambda rows: index.top_k(queries[rows], k, rows)


def search_by(embeddings: Embeddings, k: int, plan: IndexPlan | None) -> Search:
    """Search by the index of a plan, or exactly without one."""
    queries, keys, allowed = embeddings.queries, embeddings.keys, embeddings.scored
    if plan is None:
        return lambda rows: top_k(queries[rows], keys, k, allowed, rows)
    index = CellIndex.build(keys, allowed, plan)
    return lambda rows: index.top_k(queries[rows], k, rows)


def _log_recall(plan: IndexPlan, sample: int) -> None:
    log.info(
        "index of %s cells, %s searched for each item: it finds %.4f of the exact neighbours "
        "of a sample of %s items",
        f"{len(plan.centers):,}",
        plan.probes,
        plan.recall,
        f"{sample:,}",
    )


class _Parts:
    """The hidden folder of a file that is not complete."""

    def __init__(self, out: Path, identity: dict[str, Any]) -> None:
        self.out, self.identity = out, identity
        self.folder = out.with_name(f".{out.name}.parts")

    def resume(self) -> bool:
        """Whether parts of the same lists are there; those of other lists are removed."""
        if self._is_there():
            return True
        shutil.rmtree(self.folder, ignore_errors=True)
        write_text(self.folder / _MANIFEST, json.dumps(self.identity, sort_keys=True))
        return False

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
        return self.folder / f"{number:06d}.parquet"

    def done(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.parquet"))

    def read_plan(self) -> IndexPlan | None:
        path = self.folder / _PLAN
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as kept:
            probes, recall = int(kept["probes"]), float(kept["recall"])
            return IndexPlan(kept["centers"], kept["hubs"], probes, recall)

    def write_plan(self, plan: IndexPlan) -> None:
        with atomic_path(self.folder / _PLAN) as part, part.open("wb") as file:
            np.savez(file, **plan.__dict__)

    def join(self, paths: list[Path]) -> None:
        """Write the one file and remove the folder."""
        with atomic_path(self.out) as part:
            if paths:
                joined = pl.scan_parquet(paths)
                joined.sink_parquet(part, compression="zstd", maintain_order=True)
            else:
                pl.DataFrame(schema=SCHEMA).write_parquet(part)
        shutil.rmtree(self.folder)


def _identity(embeddings: Embeddings, k: int, options: SearchOptions) -> dict[str, Any]:
    """What decides the lists, and how they are cut into parts."""
    state = embeddings.path.stat()
    chosen = asdict(options) if options.uses_index(len(embeddings)) else {"exact": True}
    file = {"path": str(embeddings.path.resolve()), "size": state.st_size}
    return {"k": k, "block": _block(k), "file": file | {"modified": state.st_mtime_ns}} | chosen


def _block(k: int) -> int:
    """Items of a part: long lists take memory too."""
    return max(1, min(_BLOCK, _PLACES // k))


def _blocks(rows: np.ndarray, k: int) -> Iterator[tuple[int, np.ndarray]]:
    for number, start in enumerate(range(0, len(rows), _block(k))):
        yield number, rows[start : start + _block(k)]


def _frame(
    embeddings: Embeddings, items: np.ndarray, rows: np.ndarray, scores: np.ndarray
) -> pl.DataFrame:
    """Lists (n, k) as a row for each neighbour."""
    found = rows != NO_ROW
    ranks = np.broadcast_to(np.arange(1, rows.shape[1] + 1, dtype=np.int32), rows.shape)
    return pl.DataFrame(
        {
            "item": embeddings.ids.gather(np.repeat(items, found.sum(axis=1))),
            "neighbour": embeddings.ids.gather(rows[found]),
            "rank": ranks[found],
            "score": scores[found],
        },
        schema=SCHEMA,
    )
