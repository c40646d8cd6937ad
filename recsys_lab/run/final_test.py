"""The test at the end of a run: the model and every baseline, with intervals and differences."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from recsys_lab.catalog.split import HeldOut, Split
from recsys_lab.compute.parallel import map_in_threads
from recsys_lab.evaluation.baselines import BASELINES
from recsys_lab.evaluation.intervals import (
    Statistic,
    auc_statistic,
    bootstrap_intervals,
    ranking_difference,
    ranking_statistic,
)
from recsys_lab.evaluation.metrics import precision_recall
from recsys_lab.evaluation.protocol import Judgement, judge, scores_by_slice
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.evaluation.slices import EvaluationPairs
from recsys_lab.figures.one_run import draw_precision_recall
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.results.precision_recall import thin_curve, write_precision_recall

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
            `test/<metric>`, `baseline/<name>/<metric>`, `count/test/...`, and what `intervals`
            gives.
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
            metrics |= intervals(judged, metrics, self.replicates, seed)
        _keep_precision_recall(judged["test"], folder)
        return metrics


def evaluation_pairs(held: HeldOut, split: Split) -> EvaluationPairs:
    """The held-out pairs of one part with what the protocol needs to judge them."""
    pairs = split.known
    known = ItemGraph.from_pairs(pairs.heads, pairs.tails, pairs.weights, split.num_items)
    ones = np.ones(len(known.indices), np.int8)  # what counts is which entries are stored
    matrix = sparse.csr_matrix((ones, known.indices, known.indptr), shape=(len(known),) * 2)
    return EvaluationPairs(split.num_items, held.pairs.ids, held.negatives, matrix, split.seen)


def intervals(
    judged: Mapping[str, Judgement], metrics: Metrics, replicates: int, seed: int
) -> Metrics:
    """95 % intervals of the main metrics and of differences, by a bootstrap over items.

    The main metrics are AUC-ROC by negative protocol, HR@10, NDCG@10 and MRR: AUC of the seen pairs
    and ranking of all where most pairs are seen, else each of all pairs and of those with one cold
    end. What has no value has no interval. The differences are the model's ranking metrics less
    those of the strong baselines, on the same queries.

    Args:
        judged: the model's and the baselines' judgements by name.
        metrics: what `_metrics` gave for them.
        replicates: of the bootstrap.
        seed: of the bootstrap.

    The strong baselines are those over the graph, or the content baseline where most pairs have a
    cold end.

    Returns:
        `interval/<name>/<metric>/<slice>/low` and `.../high`, by the names of `judged`, and
        `difference/<baseline>/<metric>/all/value`, `.../low` and `.../high`.
    """
    statistics: dict[str, Statistic] = {}
    for name, judgement in judged.items():
        statistics |= _statistics(name, judgement, metrics)
    model = judged["test"].ranking
    for baseline in COMPARED_BASELINES if _mostly_seen(metrics) else COMPARED_IF_COLD:
        if f"baseline/{baseline}" not in judged:
            continue
        other = judged[f"baseline/{baseline}"].ranking
        for metric in COMPARED_METRICS if len(model.query) else ():
            difference = ranking_difference(model, other, metric)
            statistics[f"difference/{baseline}/{metric}/all"] = difference
    found = bootstrap_intervals(statistics, len(model.seen), replicates, seed=seed)
    return {
        f"{name}/{bound}": getattr(interval, bound)
        for name, interval in found.items()
        for bound in ("value", "low", "high")
        if bound != "value" or name.startswith("difference/")  # others stand in the metrics
    }


def _statistics(name: str, judgement: Judgement, metrics: Metrics) -> dict[str, Statistic]:
    """Main metrics that have a value, each as a function of item weights."""
    pairs = judgement.pairs
    mostly_seen = _mostly_seen(metrics)
    found: dict[str, Statistic] = {}
    for protocol in pairs.negatives:
        for part in ("seen",) if mostly_seen else ("all", "one_cold"):
            metric = f"auc/{protocol}/{part}"
            if metrics[f"{name}/{metric}"] is not None:
                statistic = auc_statistic(pairs, judgement.scores, protocol, part)
                found[f"interval/{name}/{metric}"] = statistic
    for part in ("all",) if mostly_seen else ("all", "one_cold"):
        for metric in RANKING_METRICS:
            if metrics[f"{name}/{metric}/{part}"] is not None:
                statistic = ranking_statistic(judgement.ranking, metric, part)
                found[f"interval/{name}/{metric}/{part}"] = statistic
    return found


def _mostly_seen(metrics: Metrics) -> bool:
    return bool(2 * metrics["count/test/seen"] >= metrics["count/test/all"])


def _baselines(split: Split) -> dict[str, Scorer]:
    """The baselines over the training graph, by their prefix in `metrics.json`."""
    train = split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    adjacency = sparse.csr_matrix(graph.adjacency)
    return {f"baseline/{name}": build(adjacency) for name, build in BASELINES.items()}


def _metrics(judged: Mapping[str, Judgement]) -> Metrics:
    """The metrics of all scorers, and the counts once."""
    rows = map_in_threads(Judgement.metrics, judged.values())  # mostly sorting
    metrics: Metrics = {}
    for prefix, row in zip(judged, rows, strict=True):
        for name, value in row.items():
            if not name.startswith(_COUNTS):
                metrics[f"{prefix}/{name}"] = value
            elif prefix == "test":
                metrics[f"count/test/{name.removeprefix('pairs/')}"] = value
    return metrics


def _keep_precision_recall(judgement: Judgement, folder: Path) -> None:
    """Draw and store the curves of the first negative protocol, where any pair is scored."""
    protocol = next(iter(judgement.pairs.negatives))
    scores = scores_by_slice(judgement.pairs, judgement.scores, protocol)
    curves = {name: thin_curve(*precision_recall(*both)) for name, both in scores.items()}
    if not curves:
        return
    write_precision_recall(folder, curves)
    draw_precision_recall(
        curves,
        folder / "figures" / "precision_recall.png",
        title=f"test pairs against {protocol.replace('_', '-')} negatives",
    )
