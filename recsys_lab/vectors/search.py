"""Exact top-k search by inner product, in blocks of bounded memory."""

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import even_bounds, run_blocks
from recsys_lab.compute.threads import num_threads

NO_ROW = -1  # fills a list that has fewer than k rows; its score is NaN
_MAX_QUERIES = 1024  # of a block; more do not make the product faster
_SCORES_PER_BLOCK = 2**23  # 32 MB of float32
_MIN_KEYS, _MAX_KEYS = 2**12, 2**16  # of a block
_CHUNK = 128  # scores whose maximum is compared with the smallest score of a list


def top_k(
    queries: np.ndarray,
    keys: np.ndarray,
    k: int,
    allowed: np.ndarray | None = None,
    exclude: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k keys with the largest inner products with each query.

    Equal scores are ordered by row, the smaller first. A score of NaN is never returned.

    Args:
        queries: (Q, E) float32.
        keys: (N, E) float32.
        k: length of the lists; it may be larger than N.
        allowed: (N,) bool, the rows that may be returned; all if left out.
        exclude: (Q,) the row that each query must not get, its own in most cases; NO_ROW for none.

    Returns:
        rows (Q, k) int32 and scores (Q, k) float32, descending; NO_ROW and NaN where there are
        fewer than k.

    Raises:
        ValueError: k is below 1, or shapes disagree.
    """
    check_search(queries, keys, k, allowed, exclude)
    allowed = np.ones(len(keys), np.bool_) if allowed is None else allowed
    exclude = np.full(len(queries), NO_ROW) if exclude is None else exclude
    best = empty_lists(len(queries), k)
    size = block_of_keys(len(queries))
    buffer = np.empty(min(len(queries), _MAX_QUERIES) * min(size, len(keys)), np.float32)
    for low in range(0, len(queries), _MAX_QUERIES):
        block = slice(low, low + _MAX_QUERIES)
        parts = best[0][block], best[1][block]
        for start in range(0, len(keys), size):
            rows, vectors = _allowed_keys(keys, allowed, start, start + size)
            scores = buffer[: len(parts[0]) * len(rows)].reshape(len(parts[0]), len(rows))
            np.matmul(queries[block], vectors.T, out=scores)
            merge_scores(scores, rows, allowed, exclude[block], parts)
    return finish_lists(best)


def check_search(
    queries: np.ndarray,
    keys: np.ndarray,
    k: int,
    allowed: np.ndarray | None,
    exclude: np.ndarray | None,
) -> None:
    """Refuse arguments whose shapes disagree."""
    if k < 1:
        raise ValueError(f"k must be >= 1, got {k}")
    if queries.ndim != 2 or keys.ndim != 2 or queries.shape[1] != keys.shape[1]:
        raise ValueError(f"queries {queries.shape} and keys {keys.shape} must be (Q, E) and (N, E)")
    if allowed is not None and allowed.shape != (len(keys),):
        raise ValueError(f"allowed must be ({len(keys)},), got {allowed.shape}")
    if exclude is not None and exclude.shape != (len(queries),):
        raise ValueError(f"exclude must be ({len(queries)},), got {exclude.shape}")


def block_of_keys(num_queries: int) -> int:
    """Keys of a block, so that its scores stay in the caches."""
    size = _SCORES_PER_BLOCK // max(1, min(num_queries, _MAX_QUERIES))
    return min(max(size, _MIN_KEYS), _MAX_KEYS)


def empty_lists(num_queries: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Lists that `merge_scores` fills: rows and scores (Q, k)."""
    shape = num_queries, k
    return np.full(shape, NO_ROW, np.int32), np.full(shape, -np.inf, np.float32)


def finish_lists(best: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The lists, with NaN where there is no row."""
    best[1][best[0] == NO_ROW] = np.nan
    return best


def merge_scores(
    scores: np.ndarray,
    rows: np.ndarray,
    allowed: np.ndarray,
    exclude: np.ndarray,
    best: tuple[np.ndarray, np.ndarray],
) -> None:
    """Put the scores (Q, M) of the keys rows (M,), ascending, into the lists `best` (Q, k)."""

    def merge(low: int, high: int) -> None:
        part = slice(low, high)
        _merge(scores[part], rows, allowed, exclude[part], best[0][part], best[1][part])

    run_blocks(merge, even_bounds(len(scores), 2 * num_threads()))


def _allowed_keys(
    keys: np.ndarray, allowed: np.ndarray, start: int, stop: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (M,) and vectors (M, E) of a block; where few are allowed, of these alone."""
    vectors, chosen = keys[start:stop], allowed[start:stop]
    if 2 * np.count_nonzero(chosen) > len(chosen):
        return np.arange(start, start + len(vectors), dtype=np.int32), vectors
    return (start + np.flatnonzero(chosen)).astype(np.int32), vectors[chosen]


@jit()
def _merge(scores, rows, allowed, exclude, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """See `merge_scores`; a chunk whose largest score is too small is passed over."""
    num_keys = len(rows)
    for q in range(len(scores)):
        row = scores[q]
        found_rows, found_scores = best_rows[q], best_scores[q]
        least = found_scores[-1]
        for start in range(0, num_keys, _CHUNK):
            chunk = row[start : start + _CHUNK]
            if not _any_reaches(chunk, least):
                continue
            for m in range(len(chunk)):
                item = rows[start + m]
                if chunk[m] >= least and allowed[item] and item != exclude[q]:
                    insert(chunk[m], item, found_rows, found_scores)
                    least = found_scores[-1]


@jit(inline="always")
def _any_reaches(scores, least):  # type: ignore[no-untyped-def]
    """Whether a score is at least so large; without branches, so in vector registers."""
    count = np.int32(0)
    for m in range(len(scores)):
        count += np.int32(scores[m] >= least)
    return count > 0


@jit(inline="always")
def insert(score, item, rows, scores):  # type: ignore[no-untyped-def]
    """Insert an item into a list that descends by score and ascends by row where scores tie."""
    last = len(rows) - 1
    if rows[last] >= 0 and (score < scores[last] or (score == scores[last] and item > rows[last])):
        return
    place = last
    while place > 0:
        before = place - 1
        if rows[before] >= 0 and (
            scores[before] > score or (scores[before] == score and rows[before] < item)
        ):
            break
        rows[place], scores[place] = rows[before], scores[before]
        place = before
    rows[place], scores[place] = item, score
