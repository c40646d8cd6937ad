"""The test at the end of a run: the model and every baseline, with intervals and differences."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from recsys_lab.catalog.split import HeldOut, Split
from recsys_lab.evaluation.baselines import BASELINES
from recsys_lab.evaluation.intervals import (
    Interval,
    Statistic,
    auc_statistic,
    bootstrap_interval,
    ranking_difference,
    ranking_statistic,
)
from recsys_lab.evaluation.metrics import precision_recall
from recsys_lab.evaluation.protocol import Judgement, judge, scores_by_slice
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.evaluation.slices import EvaluationPairs, count_slices
from recsys_lab.figures.run import draw_precision_recall
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.precision_recall import write_precision_recall

log = logging.getLogger(__name__)

_BLIND = 0.02  # popularity is expected this close to one half
Metrics = dict[str, Any]

RANKING_METRICS = ("hr@10", "ndcg@10", "mrr")  # those that get an interval
COMPARED_METRICS = ("hr@10", "ndcg@10")
COMPARED_BASELINES = ("adamic_adar", "walk_proximity")
COMPARED_IF_COLD = ("content",)  # what knows nothing but pairs cannot rank a cold item
_COUNTS = ("pairs/", "queries/", "query_items/")


@dataclass(frozen=True)
class FinalTest:
    """The full protocol on the test pairs, for the model and for every baseline.

    Attributes:
        ks: cut-offs of the ranking metrics.
        max_scores: beyond this many scores, a sample of the queries is ranked.
        replicates: of the bootstrap over items behind the intervals; 0 leaves them out.
    """

    ks: Sequence[int]
    max_scores: float
    replicates: int

    def __post_init__(self) -> None:
        if self.replicates < 0 or self.replicates == 1:
            raise ValueError(f"evaluation.replicates must be 0 or >= 2, got {self.replicates}")
        if not self.ks or min(self.ks) < 1:
            raise ValueError(f"evaluation.ks must be cut-offs >= 1, got {list(self.ks)}")

    def __call__(
        self,
        scorer: Scorer,
        split: Split,
        folder: Path,
        seed: int,
        others: Mapping[str, Scorer] | None = None,
    ) -> Metrics:
        """Test a model; writes precision and recall into the run folder.

        Args:
            scorer: the model's.
            split: its test pairs are judged on, its training pairs feed the baselines.
            folder: run folder.
            seed: of the sample of queries and of the bootstrap.
            others: baselines by name, beside those over the training graph.

        Returns:
            `test/<metric>`, `baseline/<name>/<metric>`, `count/test/...`, and what `intervals` and
            `differences` give.
        """
        pairs = evaluation_pairs(split.test, split)
        log.info("testing on %d pairs", len(pairs.positives))
        judged = {}
        more = {f"baseline/{name}": one for name, one in (others or {}).items()}
        for name, one in {"test": scorer, **_baselines(split), **more}.items():
            judged[name] = judge(one, pairs, self.ks, self.max_scores, seed)
        metrics = _metrics(judged)
        blind = metrics.get("baseline/popularity/auc/degree_matched/all")
        if blind is not None and abs(blind - 0.5) > _BLIND:
            log.warning(
                "popularity scores %.3f against degree-matched negatives, not .50: the graph is "
                "small or dense, so read that AUC beside it",
                blind,
            )
        if self.replicates:
            metrics |= intervals(judged, self.replicates, seed)
            metrics |= differences(judged, self.replicates, seed)
        _keep_precision_recall(judged["test"], folder)
        return metrics


def evaluation_pairs(held: HeldOut, split: Split) -> EvaluationPairs:
    """The held-out pairs of one part with what the protocol needs to judge them."""
    known, num_items = split.known, split.num_items
    ends = np.concatenate([known.heads, known.tails]), np.concatenate([known.tails, known.heads])
    ones = np.ones(2 * len(known), np.int8)
    matrix = sparse.csr_matrix((ones, ends), shape=(num_items, num_items))
    matrix.sum_duplicates()
    return EvaluationPairs(num_items, held.pairs.ids, held.negatives, matrix, split.seen)


def intervals(judged: Mapping[str, Judgement], replicates: int, seed: int) -> Metrics:
    """95 % intervals of the main metrics by a bootstrap over items.

    The main metrics are AUC-ROC by negative protocol, HR@10, NDCG@10 and MRR: AUC of the seen pairs
    and ranking of all where most pairs are seen, else each of all pairs and of those with one cold
    end. What has no value has no interval.

    Returns:
        `interval/<name>/<metric>/<slice>/low` and `.../high`, by the names of `judged`.
    """
    row: Metrics = {}
    for name, judgement in judged.items():
        for metric, statistic in _statistics(judgement):
            interval = bootstrap_interval(
                statistic, judgement.pairs.num_items, replicates, seed=seed
            )
            row[f"interval/{name}/{metric}/low"] = interval.low
            row[f"interval/{name}/{metric}/high"] = interval.high
    return row


def differences(judged: Mapping[str, Judgement], replicates: int, seed: int) -> Metrics:
    """The model's ranking metrics less those of the strong baselines, on the same queries.

    The strong baselines are those over the graph, or the content baseline where most pairs have a
    cold end.

    Returns:
        `difference/<baseline>/<metric>/all/value`, `.../low` and `.../high`.
    """
    row: Metrics = {}
    model = judged["test"].ranking
    mostly_seen = _mostly_seen(judged["test"].pairs)
    for baseline in COMPARED_BASELINES if mostly_seen else COMPARED_IF_COLD:
        if f"baseline/{baseline}" not in judged:
            continue
        other = judged[f"baseline/{baseline}"].ranking
        for metric in COMPARED_METRICS if len(model.query) else ():
            interval: Interval = bootstrap_interval(
                ranking_difference(model, other, metric), len(model.seen), replicates, seed=seed
            )
            for bound in ("value", "low", "high"):
                row[f"difference/{baseline}/{metric}/all/{bound}"] = getattr(interval, bound)
    return row


def _statistics(judgement: Judgement) -> Iterator[tuple[str, Statistic]]:
    """Main metrics that have a value, each as a function of item weights."""
    pairs = judgement.pairs
    mostly_seen = _mostly_seen(pairs)
    auc_slices = ("seen",) if mostly_seen else ("all", "one_cold")
    ranking_slices = ("all",) if mostly_seen else ("all", "one_cold")
    for protocol in pairs.negatives:
        scored = scores_by_slice(pairs, judgement.scores, protocol)
        for part in auc_slices:
            if part in scored:
                statistic = auc_statistic(pairs, judgement.scores, protocol, part)
                yield f"auc/{protocol}/{part}", statistic
    ranked = judgement.ranking.slices()
    for part in ranking_slices:
        for metric in RANKING_METRICS if ranked[part].any() else ():
            yield f"{metric}/{part}", ranking_statistic(judgement.ranking, metric, part)


def _mostly_seen(pairs: EvaluationPairs) -> bool:
    counts = count_slices(pairs)
    return 2 * counts["seen"] >= counts["all"]


def _baselines(split: Split) -> dict[str, Scorer]:
    """The baselines over the training graph, by their prefix in `metrics.json`."""
    train = split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    adjacency = sparse.csr_matrix(graph.adjacency)
    return {f"baseline/{name}": build(adjacency) for name, build in BASELINES.items()}


def _metrics(judged: Mapping[str, Judgement]) -> Metrics:
    """The metrics of all scorers, and the counts once."""
    metrics: Metrics = {}
    for prefix, judgement in judged.items():
        for name, value in judgement.metrics().items():
            if not name.startswith(_COUNTS):
                metrics[f"{prefix}/{name}"] = value
            elif prefix == "test":
                metrics[f"count/test/{name.removeprefix('pairs/')}"] = value
    return metrics


def _keep_precision_recall(judgement: Judgement, folder: Path) -> None:
    """Draw and store the curves of the first negative protocol, where any pair is scored."""
    protocol = next(iter(judgement.pairs.negatives))
    scores = scores_by_slice(judgement.pairs, judgement.scores, protocol)
    curves = {name: precision_recall(*both) for name, both in scores.items()}
    if not curves:
        return
    write_precision_recall(folder, curves)
    draw_precision_recall(
        curves,
        folder / "figures" / "precision_recall.png",
        title=f"test pairs against {protocol.replace('_', '-')} negatives",
    )
