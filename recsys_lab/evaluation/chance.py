"""What a random order scores, and whether a model is better than that."""

import numpy as np

from recsys_lab.evaluation.intervals import (
    Statistic,
    auc_statistic,
    bootstrap_intervals,
    ranking_statistic,
)
from recsys_lab.evaluation.list_metrics import expected_values, list_bounds
from recsys_lab.evaluation.metrics import ranking_values
from recsys_lab.evaluation.protocol import Metrics, score_evaluation_pairs, scores_by_slice
from recsys_lab.evaluation.ranking import RankingResult, evaluate_ranking
from recsys_lab.evaluation.sampling import draw_pairs
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.evaluation.slices import EvaluationPairs

RANKING_MEASURE = "ndcg@10"
_MAX_PAIRS = 4000  # of each kind
_MAX_QUERIES = 1000
_REPLICATES = 100


def random_order(ranking: RankingResult, pairs: EvaluationPairs) -> Metrics:
    """Every ranking metric in every slice, in expectation, if each query had a random order.

    A query with n candidates has its target at each of the ranks 1 .. n with the same chance.

    Returns:
        `<metric>/<slice>`, None where the slice is empty.
    """
    candidates = pairs.num_items - np.diff(pairs.known.indptr)[ranking.query]  # (R,) with target
    if ranking.lists is not None:  # whose targets are all candidates, and whose query is no item
        _, sizes = list_bounds(ranking.query)
        candidates += np.repeat(sizes, sizes)
    ranks = np.arange(1.0, pairs.num_items + 1)

    def expected(name: str, mask: np.ndarray) -> np.ndarray:
        if ranking.lists is not None:
            return expected_values(name, candidates[mask], ranking.query[mask])
        return (np.cumsum(ranking_values(name, ranks))[candidates - 1] / candidates)[mask]

    return ranking.means(expected)


def compare_with_chance(
    scorer: Scorer, pairs: EvaluationPairs, max_scores: float, seed: int
) -> dict[str, float | str | None]:
    """Measures on a sample of the pairs with 95 % intervals, beside the values of chance.

    The measures are AUC-ROC by negative protocol, of the seen pairs where most are, and NDCG@10.

    Args:
        scorer: it is compared.
        pairs: validation pairs.
        max_scores: fewer queries are ranked if the ranking needs more scores than this.
        seed: of the samples and of the bootstrap.

    Returns:
        `<measure>/value`, `/low`, `/high` and `/chance` of every measure that has a value, and
        `no_better_than`: "chance" if an interval reaches the value of chance, "popularity" if that
        is so against degree-matched negatives alone, else None.
    """
    sample = draw_pairs(pairs, _MAX_PAIRS, seed)
    scores = score_evaluation_pairs(scorer, sample)
    ends_seen = sample.slices(sample.positives)["seen"]
    part = "seen" if 2 * ends_seen.sum() >= len(ends_seen) else "all"
    statistics: dict[str, Statistic] = {
        f"auc/{protocol}/{part}": auc_statistic(sample, scores, protocol, part)
        for protocol in sample.negatives
        if part in scores_by_slice(sample, scores, protocol)
    }
    chance = dict.fromkeys(statistics, 0.5)
    if len(pairs.positives):
        most = min(_MAX_QUERIES * pairs.num_items, max_scores)
        ranking = evaluate_ranking(scorer, pairs, (10,), most, seed)
        name = f"{RANKING_MEASURE}/all"
        statistics[name] = ranking_statistic(ranking, RANKING_MEASURE)
        chance[name] = float(random_order(ranking, pairs)[name] or 0.0)
    found = bootstrap_intervals(statistics, len(pairs.seen_ends), _REPLICATES, seed)
    row: dict[str, float | str | None] = {}
    for name, interval in found.items():
        row |= {f"{name}/{bound}": getattr(interval, bound) for bound in ("value", "low", "high")}
        row[f"{name}/chance"] = chance[name]
    missed = [name for name, interval in found.items() if interval.low <= chance[name]]
    only_popularity = all(name.startswith("auc/degree_matched/") for name in missed)
    verdict = "popularity" if only_popularity else "chance"
    return row | {"no_better_than": verdict if missed else None}
