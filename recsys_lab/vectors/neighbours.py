"""The lists of all items, written to Parquet in bounded memory; a second start goes on."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from recsys_lab.results.files import atomic_path
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.index import SAMPLE, CellIndex, IndexPlan, build_index, has_library
from recsys_lab.vectors.list_files import Lists, Parts, Progress, blocks_of, write_lists
from recsys_lab.vectors.listed_items import check_length
from recsys_lab.vectors.search import top_k

EXACT_ITEMS = 100_000  # up to here exact search takes less than a minute on two cores
_BLOCK, _PLACES = 32_768, 2**24  # items of a part, and places of its lists, at the most
_PLAN = "plan.npz"  # beside the parts

log = logging.getLogger(__name__)


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

    The file is that of `list_files.write_lists`: a second call with the same embeddings and
    options goes on where an earlier one was stopped. Lists that a run has in place of vectors are
    copied.

    Args:
        embeddings: items with their queries and keys, or with lists.
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
    if embeddings.lists is not None:
        check_length(embeddings, k)
    rows = np.flatnonzero(embeddings.scored)
    k = min(k, max(1, len(rows) - 1))  # there are no more neighbours
    if embeddings.lists is not None:
        num_rows = embeddings.lists.write(out, k)
    else:
        parts = Parts(out, _identity(embeddings, k, options))
        num_rows = write_lists(
            embeddings.ids,
            blocks_of(rows, _block(k)),
            parts,
            lambda blocks: _search_blocks(embeddings, k, options, parts, nodes, blocks),
            progress,
        )
    return Written(len(rows), len(embeddings) - len(rows), num_rows)


def check_list_length(k: int) -> None:
    """Refuse a length that is not positive."""
    if k < 1:
        raise VectorsError(f"k must be >= 1, got {k}")


def _search_blocks(
    embeddings: Embeddings,
    k: int,
    options: SearchOptions,
    parts: Parts,
    nodes: Callable[..., Iterator[Lists]] | None,
    blocks: list[np.ndarray],
) -> Iterator[Lists]:
    """The lists of each block, here or on the nodes of a cluster."""
    search = open_search(embeddings, k, options, parts)
    if nodes is None:
        return map(search, blocks)
    return nodes(embeddings, k, _read_plan(parts), blocks)


def open_search(
    embeddings: Embeddings, k: int, options: SearchOptions, parts: Parts | None = None
) -> Search:
    """Exact search, or an index whose recall suffices: that of the parts, if they have one."""
    if not options.uses_index(len(embeddings)):
        if not options.exact and len(embeddings) > EXACT_ITEMS:
            log.info("searching exactly, since faiss is not installed: the extra `index` is faster")
        return search_by(embeddings, k, None)
    plan = _read_plan(parts) if parts else None
    queries, keys, allowed = embeddings.queries, embeddings.keys, embeddings.scored
    if plan is not None:
        _log_recall(plan, min(SAMPLE, int(allowed.sum())))
        return search_by(embeddings, k, plan)
    index = build_index(queries, keys, allowed, k, options.min_recall, options.probes)
    if parts:
        _write_plan(parts, index.plan)
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


def _read_plan(parts: Parts) -> IndexPlan | None:
    """The plan that an earlier start has left beside the parts."""
    path = parts.folder / _PLAN
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as kept:
        return IndexPlan(kept["centers"], kept["hubs"], int(kept["probes"]), float(kept["recall"]))


def _write_plan(parts: Parts, plan: IndexPlan) -> None:
    with atomic_path(parts.folder / _PLAN) as part, part.open("wb") as file:
        np.savez(file, **plan.__dict__)


def _identity(embeddings: Embeddings, k: int, options: SearchOptions) -> dict[str, Any]:
    """What decides the lists, and how they are cut into parts."""
    state = embeddings.path.stat()
    chosen = asdict(options) if options.uses_index(len(embeddings)) else {"exact": True}
    file = {"path": str(embeddings.path.resolve()), "size": state.st_size}
    return {"k": k, "block": _block(k), "file": file | {"modified": state.st_mtime_ns}} | chosen


def _block(k: int) -> int:
    """Items of a part: long lists take memory too."""
    return max(1, min(_BLOCK, _PLACES // k))
