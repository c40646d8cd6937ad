"""The test at the end of a run: model, item vectors and baselines, intervals and differences."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from recsys_lab.compute.checks import checked
from recsys_lab.compute.compiling import CLOCK
from recsys_lab.compute.counts import count_of
from recsys_lab.compute.parallel import map_in_threads
from recsys_lab.compute.ranges import CountOrZero, CutOffs, NumScores, Replicates
from recsys_lab.compute.ray_cluster import check_ray
from recsys_lab.evaluation.baselines import (
    MAX_CHOICE_ITEMS,
    MAX_EASE_ITEMS,
    MAX_LOCAL_EASE_ITEMS,
    Baseline,
    TrainingData,
)
from recsys_lab.evaluation.chance import compare_with_chance, random_order
from recsys_lab.evaluation.intervals import (
    Statistic,
    auc_statistic,
    bootstrap_intervals,
    ranking_difference,
    ranking_statistic,
)
from recsys_lab.evaluation.metrics import precision_recall
from recsys_lab.evaluation.mixtures import Mixture
from recsys_lab.evaluation.protocol import Judgement, judge, scores_by_slice
from recsys_lab.evaluation.query_baselines import QueryData, baselines_for
from recsys_lab.evaluation.rank_counts import rank_targets
from recsys_lab.evaluation.ranking import most_queries
from recsys_lab.evaluation.ray_ranking import OPTION, RayRanking
from recsys_lab.evaluation.scorers import (
    Scorer,
    VectorScorer,
    cosine_scorer,
    first_items,
    has_another_cosine,
)
from recsys_lab.evaluation.slices import EvaluationPairs
from recsys_lab.figures.one_run import precision_recall_panels, save_panels
from recsys_lab.results.metric_names import COMPARED_METRICS, CUT_OFF, ITEM_VECTORS, MAIN_METRICS
from recsys_lab.results.precision_recall import thin_curve, write_precision_recall
from recsys_lab.results.write_errors import may_fail
from recsys_lab.run.click_test import ClickTest
from recsys_lab.run.kept_baselines import KeptBaselines, kept_baselines
from recsys_lab.run.label_test import label_test
from recsys_lab.run.mixing import MIXTURE, mix
from recsys_lab.run.progress import Progress
from recsys_lab.run.run_data import RunData

log = logging.getLogger(__name__)

Metrics = dict[str, Any]

_CHANCE_MARGIN = 0.02  # popularity is expected this close to an AUC of one half
_MAX_VALIDATION_SCORES = 1e8  # of the comparison with chance
_SHARE_OF_CHANCE = 0.2  # of the candidates within the first k; more than that gets a warning
_COUNTS = ("pairs/", "queries/", "query_items/")


@checked
@dataclass(frozen=True)
class FinalTest:
    """The full protocol on the test pairs, for the model and for every baseline.

    Attributes:
        ks: cut-offs of the ranking metrics; 10 is measured, too, for tables and comparisons.
        max_scores: beyond this many scores, a sample of the queries is ranked.
        replicates: of the bootstrap over items behind the intervals; 0 leaves them out.
        mixture: baselines of queries; the model is also tested with the first that can be made.
        max_choice_items: of pair catalogues; parameters of baselines are chosen on validation where
            there are no more items. Beyond, RP3-beta is left out.
        max_ease_items: of pair catalogues; up to so many items EASE inverts a dense matrix, which
            takes 5.4 N² bytes and about N³ operations for each choice.
        max_local_ease_items: of pair catalogues; beyond `max_ease_items` and up to so many, EASE
            restores an item from the 200 closest ones alone, from 100 where there are more than
            `max_choice_items`. Beyond, it is left out.
        ray: address of a Ray cluster whose nodes rank the queries (`RayRanking`), where there are
            several blocks of them; None ranks here.
    """

    ks: CutOffs
    max_scores: NumScores
    replicates: Literal[0] | Replicates
    mixture: Sequence[str] = ()
    max_choice_items: CountOrZero = MAX_CHOICE_ITEMS
    max_ease_items: CountOrZero = MAX_EASE_ITEMS
    max_local_ease_items: CountOrZero = MAX_LOCAL_EASE_ITEMS
    ray: str | None = None

    def __post_init__(self) -> None:
        if self.ray is not None:
            check_ray(OPTION)

    def __call__(
        self,
        scorer: Scorer,
        data: RunData,
        folder: Path,
        seed: int,
        *,
        shows_progress: bool = False,
    ) -> Metrics:
        """Test a model; writes precision and recall into the run folder.

        Args:
            scorer: the model's, of all nodes.
            data: its test pairs are scored, its training pairs or events feed the baselines.
            folder: run folder.
            seed: of the sample of queries and of the bootstrap.
            shows_progress: whether a test of more than two seconds shows a bar.

        Returns:
            `test/<metric>`, `item_vectors/<metric>` of the plain vectors by their cosine where that
            is another score, `baseline/<name>/<metric>`, `count/test/...`, `label/<name>` of
            baselines that have one, `chance/<metric>` of a random order, `validation/...` as
            `compare_with_chance` has it, what `Findings.metrics` and `intervals` give; of logs that
            say what was shown also what `ClickTest` gives, and where labels are nodes what
            `label_test` gives.
        """
        pairs = data.evaluation_pairs("test")
        what = "pair" if pairs.queries is None else "held-out item"
        log.info("testing on %s", count_of(len(pairs.positives), what))
        CLOCK.begin("the test")
        known = self.known(data, seed)
        kept = self._kept(data, seed) if isinstance(known, TrainingData) else None
        made = scorer.parts if isinstance(scorer, Mixture) else {}
        tested = kept.judgements(pairs) if kept and kept.is_there() else {}
        table, findings = baselines_for(known), known.findings
        baselines = {} if tested else baseline_scorers(known, made)
        facts: Metrics = findings.metrics()
        most = min(self.max_scores, _MAX_VALIDATION_SCORES)
        if mixed := self.mixture and mix(
            scorer, baselines, table, self.mixture, data, known, most, seed
        ):
            baselines[f"baseline/{MIXTURE}"], of_mixture = mixed
            facts |= of_mixture
            label = table[str(facts["mixture/with"])].label
            table = table | {MIXTURE: Baseline(lambda data: None, f"model + {label}")}
        del known  # it holds large matrices
        clicks = ClickTest(data.clicks(), self.replicates, seed)
        count = 1 + len(baselines) + has_another_cosine(scorer)
        with _Steps(pairs, self, count, shows_progress) as steps:
            judged = {"test": steps.judge("test", data.asked(scorer, "test"), seed)}
            clicks.add("test", first_items(scorer, pairs.num_items))
            for name in list(baselines):
                clicks.add(name, baselines[name])
                tested[name] = steps.judge(name, baselines.pop(name), seed)
            judged |= tested
            if kept:
                kept.keep(tested, findings, folder)
            # a copy of all vectors, made when the baselines are gone
            if (cosine := cosine_scorer(scorer)) is not None:
                judged[ITEM_VECTORS] = steps.judge(ITEM_VECTORS, data.asked(cosine, "test"), seed)
            clicks.add(ITEM_VECTORS, cosine and first_items(cosine, pairs.num_items))
            del cosine
            metrics = facts | self._measure(data.asked(scorer, "val"), data, judged, table, seed)
            metrics |= clicks.end(table, folder)
            if isinstance(scorer, VectorScorer):  # labels have vectors
                metrics |= label_test(scorer, data, self.replicates, most, seed)
            if self.replicates:
                steps.say("intervals")
                metrics |= intervals(judged, metrics, table, self.replicates, seed)
        with may_fail("the curve of precision and recall"):
            save_precision_recall(judged["test"], folder)
        return metrics

    def known(self, data: RunData, seed: int) -> TrainingData | QueryData:
        """What the baselines may use, with what an earlier test found out about them."""
        known = data.for_baselines()
        if isinstance(known, QueryData):
            return known
        if (kept := self._kept(data, seed)) and kept.is_there():
            vars(known.findings).update(vars(kept.findings()))
        return replace(
            known,
            max_choice_items=self.max_choice_items,
            max_ease_items=self.max_ease_items,
            max_local_ease_items=self.max_local_ease_items,
        )

    def _kept(self, data: RunData, seed: int) -> KeptBaselines | None:
        """What an earlier run, or this one, keeps of the test of the baselines of pairs."""
        if data.folders is None:
            return None
        limits = self.max_choice_items, self.max_ease_items, self.max_local_ease_items
        return kept_baselines(data.folders, [*self.all_ks, self.max_scores, *limits, seed])

    @property
    def all_ks(self) -> list[int]:
        """Cut-offs that are measured, ascending."""
        return sorted({*self.ks, CUT_OFF})

    def _measure(
        self,
        scorer: Scorer,
        data: RunData,
        judged: Mapping[str, Judgement],
        table: Mapping[str, Baseline],
        seed: int,
    ) -> Metrics:
        """Metrics of all scorers, beside those of chance; warns where these are close.

        `scorer` is the model's for the queries of validation.
        """
        pairs, metrics = judged["test"].pairs, collect_metrics(judged, table)
        chance_of_order = random_order(judged["test"].ranking, pairs)
        self._warn_of_few_candidates(chance_of_order)
        metrics |= {f"chance/{name}": value for name, value in chance_of_order.items()}
        most = min(self.max_scores, _MAX_VALIDATION_SCORES)
        beside = compare_with_chance(scorer, data.evaluation_pairs("val"), most, seed)
        metrics |= {f"validation/{name}": value for name, value in beside.items()}
        chance = metrics.get("baseline/popularity/auc/degree_matched/all")
        if chance is not None and abs(chance - 0.5) > _CHANCE_MARGIN:
            log.warning(
                "popularity scores %.3f against degree-matched negatives, not .50: the graph is "
                "small or dense, so compare that AUC with it",
                chance,
            )
        return metrics

    def _warn_of_few_candidates(self, chance: Metrics) -> None:
        """Where a random order finds many of the targets, a hit says little."""
        rates = {f"HR@{k}": chance[f"hr@{k}/all"] for k in self.ks}
        if large := {n: r for n, r in rates.items() if r is not None and r > _SHARE_OF_CHANCE}:
            log.warning(
                "few items are ranked: a random order has %s; lower evaluation.ks, or compare with "
                "the row of the random order",
                ", ".join(f"{name} {rate:.2f}" for name, rate in large.items()),
            )


class _Steps:
    """The progress of a test, whose units are queries ranked."""

    def __init__(
        self, pairs: EvaluationPairs, options: FinalTest, num_scorers: int, is_shown: bool
    ) -> None:
        self._pairs, self._options = pairs, options
        self._on_ray = None if options.ray is None else RayRanking(options.ray)
        queries = min(len(pairs.query_items), most_queries(pairs, options.max_scores))
        self._progress = Progress("testing", queries * num_scorers, is_shown=is_shown)

    def __enter__(self) -> "_Steps":
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.close()
        if self._on_ray:
            self._on_ray.close()

    def judge(self, name: str, scorer: Scorer, seed: int) -> Judgement:
        """Test one of the scorers."""
        self.say("model" if name == "test" else name.rpartition("/")[2].replace("_", " "))
        ks, most, advance = self._options.all_ks, self._options.max_scores, self._progress.advance
        rank = self._on_ray or rank_targets
        return judge(scorer, self._pairs, ks, most, seed, advance, rank)

    def say(self, what: str) -> None:
        """Name what is done now."""
        self._progress.name(f"testing: {what}")


def intervals(
    judged: Mapping[str, Judgement],
    metrics: Metrics,
    table: Mapping[str, Baseline],
    replicates: int,
    seed: int,
) -> Metrics:
    """95 % intervals of the main metrics and of differences, by a bootstrap over items.

    The main metrics are AUC-ROC by negative protocol, HR@10, NDCG@10 and MRR: AUC of the seen pairs
    and ranking of all where most pairs are seen, else each of all pairs and of those with one cold
    end. An undefined metric has no interval. The differences are the model's ranking metrics less
    those of the best baseline on validation and of others that are compared (`Baseline.compared`),
    on the same queries.

    Args:
        judged: the model's and the baselines' judgements by name.
        metrics: their `collect_metrics`.
        table: the baselines.
        replicates: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        `interval/<name>/<metric>/<slice>/low` and `.../high`, by the names of `judged`, and
        `difference/<baseline>/<metric>/all/value`, `.../low` and `.../high`.
    """
    statistics: dict[str, Statistic] = {}
    for found in map_in_threads(lambda one: _statistics(*one, metrics), judged.items()):
        statistics |= found  # in threads: most of the time goes to sorting
    model = judged["test"].ranking
    kind = "seen" if _mostly_seen(metrics) else "cold"
    best = metrics.get("validation/best_baseline")
    for baseline, entry in table.items():
        is_compared = entry.compared == kind or baseline == best
        if not is_compared or (other := judged.get(f"baseline/{baseline}")) is None:
            continue
        for metric in COMPARED_METRICS if len(model.query) else ():
            difference = ranking_difference(model, other.ranking, metric)
            statistics[f"difference/{baseline}/{metric}/all"] = difference
    bootstrapped = bootstrap_intervals(statistics, len(model.seen), replicates, seed=seed)
    return {
        f"{name}/{bound}": getattr(interval, bound)
        for name, interval in bootstrapped.items()
        for bound in ("value", "low", "high")
        if bound != "value" or name.startswith("difference/")  # other values are in the metrics
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
        for metric in MAIN_METRICS:
            if metrics.get(f"{name}/{metric}/{part}") is not None:
                statistic = ranking_statistic(judgement.ranking, metric, part)
                found[f"interval/{name}/{metric}/{part}"] = statistic
    return found


def _mostly_seen(metrics: Metrics) -> bool:
    return bool(2 * metrics["count/test/seen"] >= metrics["count/test/all"])


def baseline_scorers(
    data: TrainingData | QueryData, made: Mapping[str, Scorer] = {}
) -> dict[str, Scorer]:
    """The baselines that these data allow, by their prefix in `metrics.json`.

    Those in `made` are not built again.
    """
    table = baselines_for(data)
    built = {
        name: made[name] if name in made else entry.build(data)
        for name, entry in reversed(table.items())
    }  # the largest first
    found = {f"baseline/{name}": scorer for name in table if (scorer := built[name]) is not None}
    if isinstance(data, TrainingData) and data.has_validation:
        values = data.findings.values
        for name, scorer in found.items():
            if (short := name.removeprefix("baseline/")) not in values:
                values[short] = data.quality(scorer)
    return found


def collect_metrics(judged: Mapping[str, Judgement], table: Mapping[str, Baseline]) -> Metrics:
    """The metrics of all scorers, the labels of those in the table, and the counts once."""
    rows = map_in_threads(Judgement.metrics, judged.values())  # mostly sorting
    metrics: Metrics = {
        f"label/{name}": entry.label
        for name, entry in table.items()
        if entry.label and f"baseline/{name}" in judged
    }
    for prefix, row in zip(judged, rows, strict=True):
        for name, value in row.items():
            if not name.startswith(_COUNTS):
                metrics[f"{prefix}/{name}"] = value
            elif prefix == "test":
                metrics[f"count/test/{name.removeprefix('pairs/')}"] = value
    return metrics


def save_precision_recall(judgement: Judgement, folder: Path) -> None:
    """Draw and write the curves of the first negative protocol, where any pair is scored."""
    protocol = next(iter(judgement.pairs.negatives))
    scores = scores_by_slice(judgement.pairs, judgement.scores, protocol)
    curves = {name: thin_curve(*precision_recall(*both)) for name, both in scores.items()}
    if not curves:
        return
    write_precision_recall(folder, curves)
    title = f"test pairs against {protocol.replace('_', '-')} negatives"
    path = folder / "figures" / "precision_recall.png"
    save_panels(precision_recall_panels(curves, title), path)
