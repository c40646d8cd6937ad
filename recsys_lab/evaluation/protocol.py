"""The evaluation protocol: AUC-ROC by slice and negative protocol, and ranking, as one table row.

Undefined metrics are None, never 0, 1 or one half.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from recsys_lab.evaluation.metrics import auc_roc
from recsys_lab.evaluation.rank_counts import rank_targets
from recsys_lab.evaluation.ranking import Rank, RankingResult, evaluate_ranking
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.evaluation.slices import EvaluationPairs, count_slices
from recsys_lab.results.metric_names import SLICES

Metrics = dict[str, float | int | None]


@dataclass(frozen=True)
class PairScores:
    """Scores of the evaluation pairs, NaN where the scorer cannot score a pair.

    Attributes:
        positives: (P,) float64.
        negatives: (M,) float64 for each negative protocol.
    """

    positives: np.ndarray
    negatives: dict[str, np.ndarray]

    def imputed(self, protocol: str) -> tuple[np.ndarray, np.ndarray]:
        """(P,) and (M,) scores of the positives and of a protocol's negatives, all of them numbers.

        The unscored take the median of all scored pairs of the protocol, positive and negative, in
        every slice: the article's rule for gensim's unseen pairs. NaN where no pair is scored.
        """
        both = np.concatenate([self.positives, self.negatives[protocol]])
        missing = np.isnan(both)
        if missing.any() and not missing.all():
            both[missing] = np.median(both[~missing])
        return both[: len(self.positives)], both[len(self.positives) :]


def score_evaluation_pairs(scorer: Scorer, pairs: EvaluationPairs) -> PairScores:
    """Score the positives and every protocol's negatives once, in one call.

    Degree-matched negatives have the heads of the positives, so a scorer that prepares each head
    does so once.
    """
    parts = [pairs.positives, *pairs.negatives.values()]
    every = np.concatenate(parts)
    scores = np.asarray(scorer.score_pairs(every[:, 0], every[:, 1]), np.float64)
    if scores.shape != (len(every),):
        raise ValueError(f"score_pairs must return ({len(every)},), got {scores.shape}")
    positives, *negatives = np.split(scores, np.cumsum([len(part) for part in parts[:-1]]))
    return PairScores(positives, dict(zip(pairs.negatives, negatives, strict=True)))


@dataclass(frozen=True)
class Judgement:
    """Scores and ranks of the evaluation pairs, computed once for metrics and intervals.

    Attributes:
        pairs: the evaluation pairs.
        scores: of the positives and of every protocol's negatives.
        ranking: of the held-out ends among the whole catalogue.
    """

    pairs: EvaluationPairs
    scores: PairScores
    ranking: RankingResult

    def metrics(self) -> Metrics:
        """The whole protocol as one flat table row.

        Returns:
            The keys of `auc_metrics` and `RankingResult.metrics`, and `pairs/<slice>`, the number
            of positives.
        """
        counts = {f"pairs/{name}": count for name, count in count_slices(self.pairs).items()}
        return {**counts, **auc_metrics(self.pairs, self.scores), **self.ranking.metrics()}


def judge(
    scorer: Scorer,
    pairs: EvaluationPairs,
    ks: Sequence[int] = (10, 50),
    max_scores: float = 4e9,
    seed: int = 0,
    progress: Callable[[int], None] = lambda ranked: None,
    rank: Rank = rank_targets,
) -> Judgement:
    """Score the evaluation pairs and rank over the full catalogue, each once."""
    scores = score_evaluation_pairs(scorer, pairs)
    ranking = evaluate_ranking(scorer, pairs, ks, max_scores, seed, progress, rank)
    return Judgement(pairs, scores, ranking)


def evaluate_auc(scorer: Scorer, pairs: EvaluationPairs) -> dict[str, float | None]:
    """Score the evaluation pairs; returns their `auc_metrics`."""
    return auc_metrics(pairs, score_evaluation_pairs(scorer, pairs))


def auc_metrics(pairs: EvaluationPairs, scores: PairScores) -> dict[str, float | None]:
    """AUC-ROC for every negative protocol and slice, and the scorer's coverage.

    Positives and negatives of a slice both come from that slice. Pairs that the scorer cannot
    score take the median score of the protocol, in every slice: read the coverage beside them.

    Returns:
        `auc/<protocol>/<slice>`, None where a class is empty or no pair of it is scored
        (`scores_by_slice`);
        `coverage/<slice>`, the share of the slice's positives that are scored, None where empty.
    """
    metrics: dict[str, float | None] = {}
    for protocol in pairs.negatives:
        found = scores_by_slice(pairs, scores, protocol)
        for name in SLICES:
            metrics[f"auc/{protocol}/{name}"] = auc_roc(*found[name]) if name in found else None
    scored = ~np.isnan(scores.positives)
    for name, mask in pairs.masks().items():
        metrics[f"coverage/{name}"] = float(scored[mask].mean()) if mask.any() else None
    return metrics


def scores_by_slice(
    pairs: EvaluationPairs, scores: PairScores, protocol: str, parts: Iterable[str] = SLICES
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Positive and negative scores of every slice that has both, unscored pairs imputed.

    A slice has both if at least one positive and one negative of it are scored: the AUC of a class
    of imputed constants would measure the constant.
    """
    of_positives, of_negatives = pairs.masks(), pairs.masks(protocol)
    scored = ~np.isnan(scores.positives), ~np.isnan(scores.negatives[protocol])
    positives, negatives = scores.imputed(protocol)
    return {
        name: (positives[of_positives[name]], negatives[of_negatives[name]])
        for name in parts
        if scored[0][of_positives[name]].any() and scored[1][of_negatives[name]].any()
    }
