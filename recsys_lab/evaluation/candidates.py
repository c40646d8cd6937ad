"""Candidates of a sample of queries with the scores of several scorers, to fit a mixture on.

The candidates of a query are its held-out targets, the best items of every scorer, and a random
sample of the other items, weighted to stand for all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys_lab.evaluation.ranking import most_queries
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.evaluation.slices import EvaluationPairs

_CHUNK_BYTES = 128 * 2**20  # of the scores that are held at a time
_MAX_QUERIES = 4000
_BEST, _RANDOM = 100, 100  # candidates of a query: the best of each scorer, and of the rest


@dataclass(frozen=True)
class Candidates:
    """Candidates (C,) of queries (Q,), query by query.

    Attributes:
        queries: (Q,) ascending.
        bounds: (Q + 1,) the candidates of queries[u] are those from bounds[u] to bounds[u + 1].
        items: (C,).
        is_target: (C,) bool; other known items of the query are no candidates.
        weights: (C,) float32, how many items a candidate stands for: 1, more for random ones.
        scores: (C, K) float32, NaN where there is no score.
        best: (Q, K) float32, the best score of an item that is not known, NaN where there is none.
    """

    queries: np.ndarray
    bounds: np.ndarray
    items: np.ndarray
    is_target: np.ndarray
    weights: np.ndarray
    scores: np.ndarray
    best: np.ndarray

    @cached_property
    def places(self) -> np.ndarray:
        """(C,) place of the query of each candidate."""
        return np.repeat(np.arange(len(self.queries)), np.diff(self.bounds))

    @cached_property
    def targets(self) -> np.ndarray:
        """(T,) the candidates that are targets."""
        return np.flatnonzero(self.is_target)

    def folds(self, count: int, seed: int) -> np.ndarray:
        """(T,) fold of each target; a pair has the same one from both of its ends."""
        ends = np.stack([self.queries[self.places[self.targets]], self.items[self.targets]], axis=1)
        _, pair = np.unique(np.sort(ends, axis=1), axis=0, return_inverse=True)
        fold = np.random.default_rng(seed).permutation(pair.max(initial=-1) + 1) % count
        return fold[pair.reshape(-1)]

    def ranks(self, scores: np.ndarray) -> np.ndarray:
        """(T,) estimated mid-ranks of the targets among all that are none; NaN ranks last."""
        found = np.where(np.isnan(scores), -np.inf, scores)
        weights = np.where(self.is_target, 0.0, self.weights)
        ranks = np.empty(len(self.targets))
        owner = self.places[self.targets]
        for n, (target, place) in enumerate(zip(self.targets, owner, strict=True)):
            part = slice(self.bounds[place], self.bounds[place + 1])
            others, counts = found[part], weights[part]
            above = counts[others > found[target]].sum()
            ranks[n] = 1 + above + counts[others == found[target]].sum() / 2
        return ranks


def find_candidates(
    scorers: Mapping[str, Scorer],
    pairs: EvaluationPairs,
    max_scores: float,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Candidates:
    """The candidates of a sample of the queries of pairs, at most 4,000.

    Args:
        scorers: by name.
        pairs: of validation.
        max_scores: fewer queries are taken if each scorer needs more scores than that.
        seed: of the sample and of the random candidates.
        progress: called with the number of queries done, and of all.
    """
    rng = np.random.default_rng(seed)
    query, target = pairs.to_rank()
    queries = np.unique(query)
    if len(queries) > (most := min(most_queries(pairs, max_scores), _MAX_QUERIES)):
        queries = np.sort(rng.choice(queries, most, replace=False))
    order = np.argsort(query, kind="stable")
    query, target = query[order], target[order]
    size = max(1, _CHUNK_BYTES // (4 * pairs.num_items * len(scorers)))
    items, scores, flags, weights, best = [], [], [], [], []
    for start in range(0, len(queries), size):
        asked = queries[start : start + size]
        rows = np.stack([scorer.score_rows(asked) for scorer in scorers.values()])  # (K, q, N)
        for u, one in enumerate(asked):
            held = target[np.searchsorted(query, one) : np.searchsorted(query, one, "right")]
            known = pairs.known.indices[pairs.known.indptr[one] : pairs.known.indptr[one + 1]]
            excluded = known if pairs.queries is not None else np.append(known, one)
            some, counts, tops = _candidates_of(rows[:, u], held, excluded, rng)
            items.append(some)
            flags.append(np.isin(some, held))
            scores.append(rows[:, u, some].T)
            weights.append(counts)
            best.append(tops)
        progress(min(start + size, len(queries)), len(queries))
    return Candidates(
        queries=queries,
        bounds=np.append(0, np.cumsum([len(some) for some in items])),
        items=np.concatenate(items),
        is_target=np.concatenate(flags),
        weights=np.concatenate(weights).astype(np.float32),
        scores=np.concatenate(scores).astype(np.float32),
        best=np.stack(best),
    )


def _candidates_of(
    rows: np.ndarray, targets: np.ndarray, excluded: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The candidates of a query, given its scores (K, N); their weights; the best scores (K,)."""
    num_items = rows.shape[1]
    found = [targets]
    tops = np.full(len(rows), np.nan, np.float32)
    for k, row in enumerate(rows):
        scores = np.where(np.isnan(row), -np.inf, row)
        scores[excluded] = -np.inf
        count = min(_BEST, num_items)
        top = np.argpartition(scores, num_items - count)[num_items - count :]
        top = top[np.isfinite(scores[top])]
        found.append(top)
        if len(top):
            tops[k] = scores[top].max()
    chosen = np.unique(np.concatenate(found))
    is_left = np.ones(num_items, bool)
    is_left[excluded] = is_left[chosen] = False
    rest = np.flatnonzero(is_left)
    some = rng.choice(rest, min(_RANDOM, len(rest)), replace=False, shuffle=False)
    weights = np.ones(len(chosen) + len(some))
    weights[len(chosen) :] = len(rest) / max(1, len(some))
    return np.append(chosen, some), weights, tops
