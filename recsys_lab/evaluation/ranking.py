"""Filtered ranking over the full catalogue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recsys_lab.evaluation.list_metrics import (
    Row,
    f1_scores,
    list_bounds,
    list_metric_names,
    list_values,
    mean_over_queries,
)
from recsys_lab.evaluation.metrics import ranking_metric_names, ranking_values
from recsys_lab.evaluation.rank_counts import Targets, rank_targets
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.evaluation.shown_lists import ShownLists
from recsys_lab.evaluation.slices import EvaluationPairs, slice_masks

Rank = Callable[[Scorer, Targets, ShownLists | None, Callable[[int], None]], np.ndarray]


@dataclass(frozen=True)
class RankingResult:
    """The rank of each target among the whole catalogue.

    Attributes:
        query: (R,) what was queried; ascending.
        target: (R,) its held-out item.
        rank: (R,) float64 from 1, fractional where scores tie.
        seen: (E,) bool of the ends of pairs, for the slices: `EvaluationPairs.seen_ends`.
        ks: cut-offs of the metrics.
        num_query_items: distinct queries with a target; more than were ranked if sampled.
        lists: what the queries were shown, where they are no items. The targets of a query are then
            candidates of each other, and its metrics are those of one list.
    """

    query: np.ndarray
    target: np.ndarray
    rank: np.ndarray
    seen: np.ndarray
    ks: tuple[int, ...]
    num_query_items: int
    lists: ShownLists | None = None

    @property
    def ends(self) -> np.ndarray:
        """(R, 2) places of query and target among the ends."""
        first_item = 0 if self.lists is None else len(self.seen) - self.lists.num_items
        return np.stack([self.query, self.target + first_item], axis=1)

    def values(self, metric: str, part: str = "all") -> np.ndarray:
        """(r,) what each (query, target) of a slice contributes to a metric: `ranking_values`.

        A list of a slice has the targets of the slice alone; their ranks are those among all.
        """
        return self._values(metric, self.slices()[part])

    def mean(self, metric: str) -> float:
        """A metric over all (query, target); NaN where there are none."""
        values = self.values(metric)
        if self.lists is not None and len(values):
            return mean_over_queries(values, self.query)
        return float(values.mean()) if len(values) else float("nan")

    def slices(self) -> dict[str, np.ndarray]:
        """(R,) bool for each slice."""
        return slice_masks(self.seen, self.ends)

    def shares(self, part: str) -> np.ndarray:
        """(r,) weight of each (query, target) of a slice: the targets of a list share one."""
        query = self.query[self.slices()[part]]
        if self.lists is None:
            return np.ones(len(query))
        _, sizes = list_bounds(query)
        return 1.0 / np.repeat(sizes, sizes)

    def metrics(self) -> Row:
        """Every metric in every slice, None where a slice is empty.

        Keys are `<metric>/<slice>` for every metric of `RANKING_METRICS`, or of `LIST_METRICS` with
        `f1@k`, `catalog_coverage@k/all` and `novelty@k/all`; `queries/<slice>` (the number of
        (query, target) ranked), and `query_items/ranked` and `query_items/total`, which differ
        where the queries were sampled.
        """
        row = self.means(self._values)
        row |= {f"queries/{part}": int(mask.sum()) for part, mask in self.slices().items()}
        row["query_items/ranked"] = len(np.unique(self.query))
        row["query_items/total"] = self.num_query_items
        return row if self.lists is None else row | self.lists.metrics(self.ks)

    def means(self, values: Callable[[str, np.ndarray], np.ndarray]) -> Row:
        """`<metric>/<slice>` given a metric's values in a slice, by its name and its mask (R,)."""
        are_lists, row = self.lists is not None, Row()
        for part, mask in self.slices().items():
            for name in list_metric_names(self.ks) if are_lists else ranking_metric_names(self.ks):
                found = values(name, mask) if mask.any() else None
                if found is None:
                    row[f"{name}/{part}"] = None
                elif are_lists:
                    row[f"{name}/{part}"] = mean_over_queries(found, self.query[mask])
                else:
                    row[f"{name}/{part}"] = float(found.mean())
            if are_lists:
                row |= f1_scores(row, self.ks, part)
        return row

    def _values(self, metric: str, mask: np.ndarray) -> np.ndarray:
        if self.lists is None:
            return ranking_values(metric, self.rank[mask])
        return list_values(metric, self.rank[mask], self.query[mask])


def evaluate_ranking(
    scorer: Scorer,
    pairs: EvaluationPairs,
    ks: Sequence[int] = (10, 50),
    max_scores: float = 4e9,
    seed: int = 0,
    progress: Callable[[int], None] = lambda ranked: None,
    rank: Rank = rank_targets,
) -> RankingResult:
    """Rank the held-out item of each query among all items.

    Each end of a pair of items is the query of the other. The query itself and its other known
    neighbours, of any split, are no candidates. Of a query that is no item, all targets are
    candidates, other items known to it are not. Ties count at mid-rank. Candidates that cannot be
    scored come last and tie among themselves, so a query that cannot be scored has its targets at
    the middle of all candidates.

    Args:
        scorer: it is evaluated.
        pairs: evaluation pairs; their negatives are not used.
        ks: cut-offs of the metrics.
        max_scores: if the queries need more scores than this, a sample of the query items is
            ranked, each with all its targets.
        seed: of that sample.
        progress: called with the number of query items ranked since the last call.
        rank: ranks the targets, here or, as `ray_ranking.RayRanking`, on a cluster.

    Returns:
        The rank of every (query, target).
    """
    if min(ks, default=1) < 1:
        raise ValueError(f"ks must be >= 1, got {tuple(ks)}")
    query, target = pairs.to_rank()
    query_items = pairs.query_items
    ranked_items = query_items
    if len(query_items) > (most := most_queries(pairs, max_scores)):
        rng = np.random.default_rng(seed)
        ranked_items = np.sort(rng.choice(query_items, most, replace=False))
    kept = np.isin(query, ranked_items)
    order = np.lexsort((target[kept], query[kept]))
    query, target = query[kept][order], target[kept][order]
    lists = None if pairs.queries is None else ShownLists(pairs.queries.item_counts, ks)
    known = pairs.known.indptr, pairs.known.indices
    targets = Targets(pairs.num_items, known, ranked_items, query, target)
    return RankingResult(
        query=query,
        target=target,
        rank=rank(scorer, targets, lists, progress),
        seen=pairs.seen_ends,
        ks=tuple(ks),
        num_query_items=len(query_items),
        lists=lists,
    )


def most_queries(pairs: EvaluationPairs, max_scores: float) -> int:
    """Query items that are ranked at the most."""
    return max(int(max_scores // max(pairs.num_items, 1)), 1)
