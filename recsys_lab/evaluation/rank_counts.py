"""Ranks of targets among all items, by counting those before them, in bounded memory."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from threading import Lock
from typing import Any

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import even_bounds, map_in_threads, run_blocks, run_parts
from recsys_lab.compute.threads import num_threads, torch_in_threads
from recsys_lab.evaluation.device_ranks import rank_rows
from recsys_lab.evaluation.scorers import ListedScorer, QueryScorer, Scorer, TileScorer
from recsys_lab.evaluation.shown_lists import ShownLists

CHUNK_BYTES = 128 * 2**20  # of float32 scores held at a time
CHUNK_ROWS = 64  # but as many rows: products of fewer take longer to read the vectors
TILE_QUERIES, TILE_ITEMS = 512, 2048  # 4 MB of scores: they stay in the caches
QUERY_TILES = 8  # for which the vectors of some items are gathered once
_PIECES_PER_THREAD = 8  # of queries; those of hubs take longer


@dataclass(frozen=True)
class Targets:
    """What is to be ranked.

    Attributes:
        num_items: N.
        known: rows of the known pairs, which are no candidates: bounds, and items of each query.
        items: (Q,) the queries, ascending.
        query: (R,) of each target, ascending.
        target: (R,) ascending within a query.
    """

    num_items: int
    known: tuple[np.ndarray, np.ndarray]
    items: np.ndarray
    query: np.ndarray
    target: np.ndarray

    @cached_property
    def bounds(self) -> np.ndarray:
        """(Q + 1,) the targets of items[u] are those from bounds[u] to bounds[u + 1]."""
        return np.append(np.searchsorted(self.query, self.items), len(self.query))

    def part(self, low: int, high: int) -> "Targets":
        """Those of some of the queries alone."""
        rows = slice(self.bounds[low], self.bounds[high])
        return replace(
            self, items=self.items[low:high], query=self.query[rows], target=self.target[rows]
        )


def rank_targets(
    scorer: Scorer,
    targets: Targets,
    lists: ShownLists | None,
    progress: Callable[[int], None],
) -> np.ndarray:
    """(R,) filtered mid-ranks.

    Args:
        scorer: it scores the rows of the queries, or tiles or lists of them where it can.
        targets: of the queries.
        lists: counts what is shown. Of these the targets of a query are candidates of each other.
        progress: called with the number of queries ranked since the last call.
    """
    if lists is None and isinstance(scorer, QueryScorer) and scorer.on_gpu:
        return _rank_on_gpu(scorer, targets, progress)
    counts = np.zeros((len(targets.query), 2), np.int64)  # before each target, and level with it
    if lists is None and isinstance(scorer, TileScorer) and scorer.in_tiles:
        _count_in_tiles(scorer, targets, counts, progress)
    elif lists is None and isinstance(scorer, ListedScorer):
        _count_in_lists(scorer, targets, counts, progress)
    else:
        _count_in_rows(scorer, targets, counts, lists, progress)
    return 1.0 + counts[:, 0] + 0.5 * counts[:, 1]


def rows_at_a_time(num_items: int) -> int:
    """Queries whose whole rows of scores are held at a time."""
    return max(CHUNK_ROWS, CHUNK_BYTES // (4 * max(num_items, 1)))


def _rank_on_gpu(
    scorer: QueryScorer, targets: Targets, progress: Callable[[int], None]
) -> np.ndarray:
    """By whole rows that stay on the GPU."""
    ranks = np.empty(len(targets.query))
    size = rows_at_a_time(targets.num_items)
    for start in range(0, len(targets.items), size):
        asked = targets.items[start : start + size]
        bounds = targets.bounds[start : start + len(asked) + 1]
        rows = scorer.device_rows(asked)
        ranks[bounds[0] : bounds[-1]] = rank_rows(
            rows, asked, bounds, targets.target, *targets.known
        )
        progress(len(asked))
    return ranks


@dataclass(frozen=True)
class _QueryTile:
    """Some queries with what a tile of scores takes of them.

    Attributes:
        asked: (Q,) the queries.
        rows: the places of their targets in a block of such tiles.
        bounds: (Q + 1,) of the targets of each query, from 0.
        side: `TileScorer.queries_side`.
        scores: (R,) float32 of the targets, by the same product as all others.
    """

    asked: np.ndarray
    rows: slice
    bounds: np.ndarray
    side: Any
    scores: np.ndarray


def _count_in_tiles(
    scorer: TileScorer, targets: Targets, counts: np.ndarray, progress: Callable[[int], None]
) -> None:
    """Without rows: the scores of the targets first, then tile by tile of the catalogue.

    Each thread makes and counts tiles of its own, which stay in its cache.
    """
    num_items, lock = targets.num_items, Lock()

    def count(low: int, high: int) -> None:
        own = np.zeros_like(block)
        for first in range(low * TILE_ITEMS, min(high * TILE_ITEMS, num_items), TILE_ITEMS):
            items = scorer.items_side(np.arange(first, min(first + TILE_ITEMS, num_items)))
            for one in tiles:
                tile = scorer.score_tile(one.side, items)
                _count_candidates(
                    tile, first, one.asked, one.bounds, one.scores, *targets.known, False,
                    own[one.rows],
                )  # fmt: skip
        with lock:
            np.add(block, own, out=block)

    with torch_in_threads():
        for start in range(0, len(targets.items), TILE_QUERIES * QUERY_TILES):
            stop = min(start + TILE_QUERIES * QUERY_TILES, len(targets.items))
            block = counts[targets.bounds[start] : targets.bounds[stop]]
            tiles = map_in_threads(
                partial(_query_tile, scorer, targets, targets.bounds[start]),
                range(start, stop, TILE_QUERIES),
            )
            run_parts(count, -(-num_items // TILE_ITEMS))
            progress(stop - start)


def _query_tile(scorer: TileScorer, targets: Targets, first_row: int, start: int) -> _QueryTile:
    asked = targets.items[start : start + TILE_QUERIES]
    bounds = targets.bounds[start : start + len(asked) + 1]
    rows, side = slice(bounds[0], bounds[-1]), scorer.queries_side(asked)
    scores = np.empty(bounds[-1] - bounds[0], np.float32)
    row = np.searchsorted(asked, targets.query[rows])
    held, column = np.unique(targets.target[rows], return_inverse=True)
    for first in range(0, len(held), TILE_ITEMS):
        tile = scorer.score_tile(side, scorer.items_side(held[first : first + TILE_ITEMS]))
        inside = np.flatnonzero((column >= first) & (column < first + TILE_ITEMS))
        scores[inside] = tile[row[inside], column[inside] - first]
    own = slice(bounds[0] - first_row, bounds[-1] - first_row)
    return _QueryTile(asked, own, bounds - bounds[0], side, scores)


def _count_in_lists(
    scorer: ListedScorer, targets: Targets, counts: np.ndarray, progress: Callable[[int], None]
) -> None:
    """By the items with another score than 0; the others are level with each other."""
    num_items, most = targets.num_items, CHUNK_BYTES // (8 * max(targets.num_items, 1))
    lock = Lock()

    def count(low: int, high: int) -> None:
        asked, bounds = targets.items[low:high], targets.bounds[low : high + 1]
        _count_listed(
            *scorer.list_scores(asked), num_items, asked, bounds, targets.target, *targets.known,
            counts,
        )  # fmt: skip
        with lock:
            progress(high - low)

    pieces = max(_PIECES_PER_THREAD * num_threads(), -(-len(targets.items) // max(most, 1)))
    run_blocks(count, even_bounds(len(targets.items), pieces))


def _count_in_rows(
    scorer: Scorer,
    targets: Targets,
    counts: np.ndarray,
    lists: ShownLists | None,
    progress: Callable[[int], None],
) -> None:
    """By whole rows, a few at a time; counts what is shown in lists."""
    num_items, known, target = targets.num_items, targets.known, targets.target
    size = rows_at_a_time(num_items)
    scores = np.empty(len(targets.query), np.float32)
    for start in range(0, len(targets.items), size):
        asked = targets.items[start : start + size]
        bounds = targets.bounds[start : start + len(asked) + 1]
        rows = np.ascontiguousarray(scorer.score_rows(asked), np.float32)  # (asked, N)
        if rows.shape != (len(asked), num_items):
            expected = len(asked), num_items
            raise ValueError(f"score_rows must return {expected}, got {rows.shape}")
        block = slice(bounds[0], bounds[-1])
        row = np.searchsorted(asked, targets.query[block])
        scores[block] = rows[row, target[block]]
        _count_tile(rows, 0, asked, bounds, scores, *known, lists is not None, counts)
        if lists is not None:
            _add_lists(lists, rows, asked, bounds, target, *known)
        progress(len(asked))


def _count_tile(
    tile: np.ndarray, first: int, asked: np.ndarray, bounds: np.ndarray, *others: object
) -> None:
    """`_count_candidates` on several threads."""

    def count(low: int, high: int) -> None:
        part = slice(low, high)
        _count_candidates(tile[part], first, asked[part], bounds[low : high + 1], *others)

    run_parts(count, len(asked))


def _add_lists(
    lists: ShownLists, rows: np.ndarray, asked: np.ndarray, bounds: np.ndarray, *others: np.ndarray
) -> None:
    """`ShownLists.add` on several threads."""
    run_parts(
        lambda low, high: lists.add(
            rows[low:high], asked[low:high], bounds[low : high + 1], *others
        ),
        len(asked),
    )


@jit()
def _count_candidates(tile, first, items, bounds, scores, indptr, indices, are_lists, counts):  # type: ignore[no-untyped-def]
    """Add to counts[t] the candidates before and level with the targets of each item.

    The tile (items, n) holds the scores of the items from `first` on. Counts all of them, then
    subtracts the filtered ones: a plain count is vectorised, and an item has few known ones. The
    targets are among them, so none counts itself; of lists, the other targets are added again, in
    the only tile. Of pairs of items, the query itself is subtracted.
    """
    stop = first + tile.shape[1]
    for u in range(len(items)):
        row, item = tile[u], items[u]
        known = indices[indptr[item] : indptr[item + 1]]
        known = known[np.searchsorted(known, first) : np.searchsorted(known, stop)]
        for t in range(bounds[u], bounds[u + 1]):
            score = scores[t]
            above, same = _count(row, score)
            for other in known:
                above -= _above(row[other - first], score)
                same -= _same(row[other - first], score)
            if are_lists:
                for s in range(bounds[u], bounds[u + 1]):
                    if s != t:
                        above += _above(scores[s], score)
                        same += _same(scores[s], score)
            elif first <= item < stop:
                above -= _above(row[item - first], score)
                same -= _same(row[item - first], score)
            counts[t, 0] += above
            counts[t, 1] += same


@jit()
def _count_listed(ends, listed, values, num_items, items, bounds, target, indptr, indices, counts):  # type: ignore[no-untyped-def]
    """The same for pairs of items, by lists of scores (`ListedScorer`); all others are 0."""
    row = np.zeros(num_items, np.float32)
    for u in range(len(items)):
        own, item = values[ends[u] : ends[u + 1]], items[u]
        for k in range(ends[u], ends[u + 1]):
            row[listed[k]] = values[k]
        others = num_items - len(own)
        for t in range(bounds[u], bounds[u + 1]):
            score = row[target[t]]
            above, same = _count(own, score)
            above += others * _above(np.float32(0), score) - _above(row[item], score)
            same += others * _same(np.float32(0), score) - _same(row[item], score)
            for k in range(indptr[item], indptr[item + 1]):
                above -= _above(row[indices[k]], score)
                same -= _same(row[indices[k]], score)
            counts[t, 0] += above
            counts[t, 1] += same
        for k in range(ends[u], ends[u + 1]):
            row[listed[k]] = 0


@jit()
def _count(row, score):  # type: ignore[no-untyped-def]
    """Number of entries above score, and at the same level; loops over places are vectorised."""
    above, same = 0, 0
    if np.isnan(score):
        for k in range(len(row)):
            same += np.isnan(row[k])
        above = len(row) - same
    else:
        for k in range(len(row)):
            above += row[k] > score
            same += row[k] == score
    return above, same


@jit()
def _above(value, score):  # type: ignore[no-untyped-def]
    """Whether value ranks before score; NaN ranks last."""
    return not np.isnan(value) if np.isnan(score) else value > score


@jit()
def _same(value, score):  # type: ignore[no-untyped-def]
    """Whether value ties with score; NaN ties with NaN."""
    return np.isnan(value) if np.isnan(score) else value == score
