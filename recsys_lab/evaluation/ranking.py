"""Filtered ranking over the full catalogue, in bounded memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import run_parts
from recsys_lab.evaluation.metrics import ranking_metric_names, ranking_values
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.evaluation.slices import EvaluationPairs, slice_masks

CHUNK_BYTES = 128 * 2**20  # of float32 scores held at a time
CHUNK_ROWS = 64  # but as many rows: products of fewer take longer to read the vectors


@dataclass(frozen=True)
class RankingResult:
    """The rank of each target among the whole catalogue.

    Attributes:
        query: (R,) item that was queried; ascending.
        target: (R,) its held-out neighbour.
        rank: (R,) float64 from 1, fractional where scores tie.
        seen: (N,) bool, for the slices.
        ks: cut-offs of the metrics.
        num_query_items: distinct items with a target; more than were ranked if sampled.
    """

    query: np.ndarray
    target: np.ndarray
    rank: np.ndarray
    seen: np.ndarray
    ks: tuple[int, ...]
    num_query_items: int

    def values(self, metric: str) -> np.ndarray:
        """(R,) what each (query, target) contributes to a metric: `ranking_values`."""
        return ranking_values(metric, self.rank)

    def slices(self) -> dict[str, np.ndarray]:
        """(R,) bool for each slice."""
        return slice_masks(self.seen, np.stack([self.query, self.target], axis=1))

    def metrics(self) -> dict[str, float | int | None]:
        """Every metric in every slice, None where a slice is empty.

        Keys are `<metric>/<slice>` for every metric of `RANKING_METRICS`, `queries/<slice>` (the
        number of (query, target) ranked), and `query_items/ranked` and `query_items/total`,
        which differ where the queries were sampled.
        """
        names = ranking_metric_names(self.ks)
        values = {name: self.values(name) for name in names}
        row: dict[str, float | int | None] = {}
        for part, mask in self.slices().items():
            for name in names:
                row[f"{name}/{part}"] = float(values[name][mask].mean()) if mask.any() else None
            row[f"queries/{part}"] = int(mask.sum())
        row["query_items/ranked"] = len(np.unique(self.query))
        row["query_items/total"] = self.num_query_items
        return row


def evaluate_ranking(
    scorer: Scorer,
    pairs: EvaluationPairs,
    ks: Sequence[int] = (10, 50),
    max_scores: float = 4e9,
    seed: int = 0,
    progress: Callable[[int], None] = lambda ranked: None,
) -> RankingResult:
    """Rank each end of each positive among all items, with the other end as the query.

    The query itself and its other known neighbours, of any split, are no candidates. Ties count at
    mid-rank. Candidates that cannot be scored come last and tie among themselves, so a query
    that cannot be scored has its targets at the middle of all candidates.

    Args:
        scorer: it is evaluated.
        pairs: evaluation pairs; their negatives are not used.
        ks: cut-offs of the metrics.
        max_scores: if the queries need more scores than this, a sample of the query items is
            ranked, each with all its targets.
        seed: of that sample.
        progress: called with the number of query items ranked since the last call.

    Returns:
        The rank of every (query, target).
    """
    if min(ks, default=1) < 1:
        raise ValueError(f"ks must be >= 1, got {tuple(ks)}")
    query = np.concatenate([pairs.positives[:, 0], pairs.positives[:, 1]])
    target = np.concatenate([pairs.positives[:, 1], pairs.positives[:, 0]])
    query_items = np.unique(query)
    ranked_items = query_items
    if len(query_items) > (most := most_queries(pairs, max_scores)):
        rng = np.random.default_rng(seed)
        ranked_items = np.sort(rng.choice(query_items, most, replace=False))
    kept = np.isin(query, ranked_items)
    order = np.lexsort((target[kept], query[kept]))
    query, target = query[kept][order], target[kept][order]
    return RankingResult(
        query=query,
        target=target,
        rank=_rank_in_chunks(scorer, pairs, ranked_items, query, target, progress),
        seen=pairs.seen,
        ks=tuple(ks),
        num_query_items=len(query_items),
    )


def most_queries(pairs: EvaluationPairs, max_scores: float) -> int:
    """Query items that are ranked at the most."""
    return max(int(max_scores // max(pairs.num_items, 1)), 1)


def _rank_in_chunks(
    scorer: Scorer,
    pairs: EvaluationPairs,
    items: np.ndarray,
    query: np.ndarray,
    target: np.ndarray,
    progress: Callable[[int], None],
) -> np.ndarray:
    """Ranks of the targets, for queries sorted as the items are."""
    ranks = np.empty(len(query))
    bounds = np.append(np.searchsorted(query, items), len(query))  # targets of items[u]
    indptr, indices = pairs.known.indptr, pairs.known.indices

    def rank_chunk(chunk: slice) -> None:
        rows = np.ascontiguousarray(scorer.score_rows(items[chunk]), np.float32)  # (chunk, N)
        expected = len(items[chunk]), pairs.num_items
        if rows.shape != expected:
            raise ValueError(f"score_rows must return {expected}, got {rows.shape}")
        starts = bounds[chunk.start : chunk.stop + 1]

        def rank_part(low: int, high: int) -> None:
            part, ends = slice(low, high), starts[low : high + 1]
            _rank_rows(rows[part], items[chunk][part], ends, target, indptr, indices, ranks)

        run_parts(rank_part, len(rows))

    size = max(CHUNK_ROWS, CHUNK_BYTES // (4 * max(pairs.num_items, 1)))
    for start in range(0, len(items), size):
        rank_chunk(slice(start, start + size))
        progress(len(items[start : start + size]))
    return ranks


@jit()
def _rank_rows(rows, items, bounds, target, indptr, indices, ranks):  # type: ignore[no-untyped-def]
    """Write the filtered mid-rank of target[bounds[u]:bounds[u + 1]] within rows[u].

    Counts over the whole row, then subtracts the filtered items: a plain count is vectorised, and
    a row has few known neighbours. The target is one of them, so it never counts itself.
    """
    for u in range(len(items)):
        row, item = rows[u], items[u]
        neighbors = indices[indptr[item] : indptr[item + 1]]
        for t in range(bounds[u], bounds[u + 1]):
            score = row[target[t]]
            better, level = _count(row, score)
            for neighbor in neighbors:
                better -= _above(row[neighbor], score)
                level -= _same(row[neighbor], score)
            better -= _above(row[item], score)
            level -= _same(row[item], score)
            ranks[t] = 1.0 + better + 0.5 * level


@jit()
def _count(row, score):  # type: ignore[no-untyped-def]
    """Number of entries above score, and at the same level."""
    above, same = 0, 0
    if np.isnan(score):
        for value in row:
            same += np.isnan(value)
        above = len(row) - same
    else:
        for value in row:
            above += value > score
            same += value == score
    return above, same


@jit()
def _above(value, score):  # type: ignore[no-untyped-def]
    """Whether value ranks before score; NaN ranks last."""
    return not np.isnan(value) if np.isnan(score) else value > score


@jit()
def _same(value, score):  # type: ignore[no-untyped-def]
    """Whether value ties with score; NaN ties with NaN."""
    return np.isnan(value) if np.isnan(score) else value == score
