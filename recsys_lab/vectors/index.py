"""An index of the keys for catalogues too large to search exactly: cells of keys, by faiss.

The largest inner products of unlike norms have two sources, and each has its part here:

- keys in the direction of the query: k-means on the directions of the keys gives cells, and a query
  searches the cells whose centers have the largest inner products with it (faiss, IVF-Flat);
- keys of many lists (hubs), which popularity lifts in every direction: the keys that the mean query
  ranks highest are searched by every query, exactly.

What the index finds is measured on a sample of queries, against exact search, before it is used.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.threads import num_threads
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.search import NO_ROW, insert, top_k

SAMPLE = 1000  # queries that recall is measured on
_MEAN_OF = 10_000  # queries whose mean ranks the hubs
_HUB_SHARE, _MIN_HUBS = 0.0025, 1000
_POINTS_PER_CELL, _ITERATIONS = 32, 6  # of k-means; more change recall by less than .001
_FIRST_PROBES = 8
_MOST_PROBES = 8  # share of the cells, one in so many; with more, exact search is as fast
_ADDED = 65_536  # keys at a time


@dataclass(frozen=True)
class IndexPlan:
    """What defines an index of given keys; small enough to keep.

    Attributes:
        centers: (C, E) unit vectors of the cells.
        hubs: (H,) rows of the keys that every query searches.
        probes: cells that a query searches.
        recall: share of the exact lists that it finds; NaN if not measured.
    """

    centers: np.ndarray
    hubs: np.ndarray
    probes: int
    recall: float = float("nan")


@dataclass(frozen=True)
class CellIndex:
    """Keys in cells; `lists` searches them as `top_k` does, but not all of them."""

    plan: IndexPlan
    hub_keys: np.ndarray  # (H, E)
    cells: Any  # faiss.IndexIVFFlat of all other keys

    @classmethod
    def build(cls, keys: np.ndarray, allowed: np.ndarray, plan: IndexPlan) -> "CellIndex":
        """Put the allowed keys (N, E) into the cells of a plan."""
        import faiss

        faiss.omp_set_num_threads(num_threads())
        dim = keys.shape[1]
        coarse = faiss.IndexFlatIP(dim)
        coarse.add(plan.centers)
        cells = faiss.IndexIVFFlat(coarse, dim, len(plan.centers), faiss.METRIC_INNER_PRODUCT)
        others = allowed.copy()
        others[plan.hubs] = False
        for rows in _blocks(np.flatnonzero(others)):
            cells.add_with_ids(np.ascontiguousarray(keys[rows]), rows)
        return cls(plan, keys[plan.hubs], cells)

    def top_k(
        self, queries: np.ndarray, k: int, exclude: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows (Q, k) and scores (Q, k), as of `search.top_k`."""
        places, scores = top_k(queries, self.hub_keys, k + 1)  # one may be excluded
        rows = np.where(places == NO_ROW, NO_ROW, self.plan.hubs[places])
        found, found_scores = self._search_cells(queries, k + 1)
        best = np.full((len(queries), k), NO_ROW, np.int32)
        best_scores = np.full((len(queries), k), np.nan, np.float32)
        for given, values in ((rows, scores), (found, found_scores)):
            _merge_lists(given, values, exclude, best, best_scores)
        return best, best_scores

    def _search_cells(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Lists from the cells; queries of one cell follow each other, so its keys stay cached."""
        queries = np.ascontiguousarray(queries)
        products, cells = self.cells.quantizer.search(queries, self.plan.probes)
        order = np.argsort(cells[:, 0], kind="stable")
        self.cells.nprobe = self.plan.probes
        scores, rows = self.cells.search_preassigned(
            queries[order], k, cells[order], products[order]
        )
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return rows[back], scores[back]


def has_library() -> bool:
    """Whether faiss is installed."""
    return importlib.util.find_spec("faiss") is not None


def plan_index(
    queries: np.ndarray, keys: np.ndarray, allowed: np.ndarray, seed: int = 0
) -> IndexPlan:
    """Centers of cells and hubs for the allowed keys, which need not be measured yet."""
    import faiss

    faiss.omp_set_num_threads(num_threads())
    rng, rows = np.random.default_rng(seed), np.flatnonzero(allowed)
    num_cells = max(1, round(3 * len(rows) ** 0.5))
    points = keys[_some(rng, rows, num_cells * _POINTS_PER_CELL)]  # a copy
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-30)
    means = faiss.Kmeans(
        keys.shape[1],
        num_cells,
        niter=_ITERATIONS,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=_POINTS_PER_CELL,
        seed=seed,
    )
    means.train(points)
    mean = queries[_some(rng, rows, _MEAN_OF)].mean(axis=0, keepdims=True)
    num_hubs = min(len(rows), max(_MIN_HUBS, round(_HUB_SHARE * len(rows))))
    hubs = np.sort(top_k(mean, keys, num_hubs, allowed)[0][0])
    centers = np.asarray(means.centroids, np.float32)
    return IndexPlan(centers, hubs.astype(np.int64), min(_FIRST_PROBES, num_cells))


def build_index(
    queries: np.ndarray,
    keys: np.ndarray,
    allowed: np.ndarray,
    k: int,
    min_recall: float,
    probes: int | None = None,
) -> CellIndex:
    """An index whose recall is measured and large enough.

    Args:
        queries: (N, E) float32 of the items.
        keys: (N, E) float32 of the items.
        allowed: (N,) bool, the items that are searched and found.
        k: length of the lists that recall is measured on.
        min_recall: least recall.
        probes: cells that a query searches; if left out, 8, and twice as many until the recall is
            large enough.

    Raises:
        VectorsError: the recall is too small.
    """
    plan = plan_index(queries, keys, allowed)
    num_cells = len(plan.centers)
    if probes is not None:
        plan = replace(plan, probes=min(probes, num_cells))
    index = CellIndex.build(keys, allowed, plan)
    rows = _some(np.random.default_rng(1), np.flatnonzero(allowed), SAMPLE)
    exact = top_k(queries[rows], keys, k, allowed, rows)[1]
    while True:
        found = index.top_k(queries[rows], k, rows)[1]
        recall = measured_recall(found, exact)
        index = replace(index, plan=replace(index.plan, recall=recall))
        if recall >= min_recall:
            return index
        more = 2 * index.plan.probes
        if probes is not None or more > max(_FIRST_PROBES, num_cells // _MOST_PROBES):
            raise VectorsError(refusal(index.plan, min_recall))
        index = replace(index, plan=replace(index.plan, probes=more))


def refusal(plan: IndexPlan, min_recall: float) -> str:
    """Why an index is not used, and what to do."""
    return (
        f"the index finds {plan.recall:.4f} of the exact neighbours with {plan.probes} of its "
        f"{len(plan.centers):,} cells searched, less than {min_recall:g}: search exactly "
        "(--exact), search more cells (--probes), or accept less (--min-recall)"
    )


def measured_recall(found: np.ndarray, exact: np.ndarray) -> float:
    """Share of the exact lists that is found, from the scores (Q, k) of both.

    A neighbour counts where its score reaches the last of the exact list, so that equal scores can
    stand for each other. Scores of two libraries differ in their last digits.
    """
    last = np.fmin.reduce(exact, axis=1, keepdims=True)  # (Q, 1); NaN if the list is empty
    slack = 1e-5 * np.maximum(1.0, np.abs(last))
    wanted = np.count_nonzero(~np.isnan(exact))
    return np.count_nonzero(found >= last - slack) / wanted if wanted else 1.0


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), _ADDED):
        yield rows[start : start + _ADDED]


def _some(rng: np.random.Generator, rows: np.ndarray, count: int) -> np.ndarray:
    """A sample of rows, ascending; all of them if there are no more than count."""
    return rows if len(rows) <= count else np.sort(rng.choice(rows, count, replace=False))


@jit()
def _merge_lists(rows, scores, exclude, best_rows, best_scores):  # type: ignore[no-untyped-def]
    """Put lists (Q, n) of rows into the best lists (Q, k); negative rows are none."""
    for q in range(len(rows)):
        for place in range(rows.shape[1]):
            item = rows[q, place]
            if item >= 0 and item != exclude[q]:
                insert(scores[q, place], item, best_rows[q], best_scores[q])
