"""Baselines of queries that have a history, such as users: what they know, and their table."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count, CountOrZero, PartialShare, Positive, Share
from recsys_lab.evaluation.baseline_choice import Choice, Findings, best_choice
from recsys_lab.evaluation.baselines import BASELINES, Baseline, TrainingData
from recsys_lab.evaluation.histories import Histories, HistoryWeights, before_each
from recsys_lab.evaluation.history_scorers import HistoryScorer, SameForAll
from recsys_lab.evaluation.item_similarities import ease_weights, nearest_items, next_item_weights
from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.slices import EvaluationPairs

if TYPE_CHECKING:  # it stands beside the scorer of vectors
    from recsys_lab.evaluation.scorers import Scorer

log = logging.getLogger(__name__)

_PENALTIES = (20.0, 50.0, 200.0, 1000.0)  # of EASE and of SLIST, to choose from
_SHARES = (0.5, 0.2, 0.8)  # of SLIST, likewise, with the best penalty
_MAX_CHOICE_ITEMS = 4000  # the matrix of more takes seconds for each choice
_PARAMETERS = "penalty", "share"  # of SLIST; EASE has the first alone
_USUAL_PENALTY = 50.0
_USUAL_OF_SLIST = 20.0, 0.5
_MAX_CHOICE_SCORES = 2e7  # of each penalty
_REPEATED_DECAY = 0.99  # of an event to the next; of groceries better than 1 and than 0.9
_RECENT = 0.1  # share of the time of training that is recent
_LONGEST_BEFORE = 20  # events before an event that count in SLIST
_LONGEST = 1000  # latest events of a query that count in the similarity of items


@checked
@dataclass(frozen=True)
class BaselineOptions:
    """What the baselines of queries are made with.

    Attributes:
        nearest: neighbours of an item in item-kNN.
        ease_penalty: on squared weights of EASE; None chooses by NDCG@10 on validation where there
            are few items, and takes 50 where there are many.
        slist_penalty: likewise of SLIST, where it is 20 for many items.
        slist_share: of the symmetric part in SLIST; None chooses, and takes 0.5 for many items.
        query_exponent: a query of n items counts n ** -exponent in EASE and SLIST; at 0 it counts
            by its items, at 0.5 all queries count alike in the squared matrix.
        refit: whether similarities of items are made of the events of training and validation in
            the test, with the parameters that validation chose for those of training alone.
        max_dense_items: EASE and SLIST, which need a dense matrix of the items, are left out where
            there are more; that of 25,000 has 2.5 GB, and its inverse takes minutes.
    """

    nearest: Count
    ease_penalty: Positive | None
    slist_penalty: Positive | None
    slist_share: PartialShare | None
    query_exponent: Share
    refit: bool
    max_dense_items: CountOrZero


OPTIONS = BaselineOptions(100, None, None, None, 0.0, False, 25_000)


@dataclass(frozen=True)
class QueryData:
    """What a baseline of queries may use.

    Attributes:
        train: training events of every query.
        histories: what is known of each query when it asks; of the part that is tested.
        weights: what an event of a history weighs.
        options: of the baselines.
        validation: histories and pairs of validation, to choose by; None chooses nothing.
        repeats: whether items of the history are candidates.
        before_test: events of training and validation of every query, where similarities of items
            are made of these (`options.refit`).
        ordered: whether the events of a history have an order.
        tried: NDCG@10 on validation by baseline and parameters, which are tried once.
        findings: parameters, and baselines that are left out.
    """

    train: Histories
    histories: Histories
    weights: HistoryWeights = field(default_factory=HistoryWeights)
    options: BaselineOptions = OPTIONS
    validation: tuple[Histories, EvaluationPairs] | None = None
    repeats: bool = False
    before_test: Histories | None = None
    ordered: bool = True
    tried: dict[str, dict[Choice, float]] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)

    @cached_property
    def for_validation(self) -> "QueryData | None":
        """What the baselines of validation may use, which choices are made with."""
        if self.validation is None:
            return None
        return replace(self, histories=self.validation[0], before_test=None)

    @property
    def known(self) -> Histories:
        """The events that similarities of items are made of."""
        return self.train if self.before_test is None else self.before_test

    @cached_property
    def matrix(self) -> sparse.csr_matrix:
        """(Q, N) float32, 1 where a query has an item among its latest known events."""
        found = HistoryWeights(decay=1, last=_LONGEST)(self.known)
        found.data[:] = 1.0
        return found

    @cached_property
    def nearest(self) -> sparse.csr_matrix:
        """(N, N) cosines of the nearest items: `nearest_items`."""
        return nearest_items(self.matrix, self.options.nearest)

    @cached_property
    def counted(self) -> sparse.csr_matrix:
        """`matrix` with the weight that a query has by its number of items."""
        sizes = np.diff(self.matrix.indptr)
        by_size = (np.maximum(sizes, 1) ** -self.options.query_exponent).astype(np.float32)
        by_size /= np.sqrt((by_size**2 * sizes).sum() / sizes.sum())  # as many squares as before
        return sparse.csr_matrix(sparse.diags(by_size) @ self.matrix)


def _popularity(data: QueryData) -> "Scorer | None":
    return SameForAll(data.train.matrix().sum(axis=0).A1)


def _recency(data: QueryData) -> "Scorer | None":
    times = data.train.times
    if times is None or not len(times) or times.min() == times.max():
        data.findings.leave_out("recency", "of recent popularity", "events have no time")
        return None
    since = times.max() - _RECENT * (times.max() - times.min())
    recent = data.train.items[times >= since]
    return SameForAll(np.bincount(recent, minlength=data.train.num_items))


def _repeated(data: QueryData) -> "Scorer | None":
    """The items that a query had most often, unless these are no candidates."""
    if not data.repeats:
        return None
    same = sparse.eye(data.train.num_items, dtype=np.float32, format="csr")
    return HistoryScorer(HistoryWeights(decay=_REPEATED_DECAY)(data.histories), same)


def _last_item(data: QueryData) -> "Scorer | None":
    if not data.ordered:
        data.findings.leave_out(
            "last_item", "of the last item's neighbours", "events have no order"
        )
        return None
    return HistoryScorer(HistoryWeights(decay=1, last=1)(data.histories), data.nearest)


def _item_knn(data: QueryData) -> "Scorer | None":
    return HistoryScorer(data.weights(data.histories), data.nearest)


def _ease(data: QueryData) -> "Scorer | None":
    if _is_too_large("ease", data):
        return None
    penalty = data.options.ease_penalty
    if penalty is None:
        choices = [(x,) for x in _PENALTIES]
        (penalty,) = _best("EASE", data, choices, _ease_similarity) or (_USUAL_PENALTY,)
    data.findings.parameters["ease"] = {"penalty": penalty}
    return HistoryScorer(data.weights(data.histories), _ease_similarity(data, penalty))


def _ease_similarity(data: QueryData, penalty: float) -> np.ndarray:
    return ease_weights(data.counted, penalty)


def _next_item(data: QueryData) -> "Scorer | None":
    if data.weights.decay == 1:
        data.findings.leave_out("slist", "SLIST", "the order of a history does not count")
        return None
    if _is_too_large("slist", data):
        return None
    penalty, share = data.options.slist_penalty, data.options.slist_share
    if penalty is None or share is None:
        penalties = _PENALTIES if penalty is None else (penalty,)
        shares = _SHARES if share is None else (share,)
        choices = [(x, shares[0]) for x in penalties]
        found = _best("SLIST", data, choices, _slist_similarity)
        if found and len(shares) > 1:
            choices = [(found[0], x) for x in shares]
            found = _best("SLIST", data, choices, _slist_similarity)
        usual = _USUAL_OF_SLIST
        penalty, share = found or (penalty or usual[0], usual[1] if share is None else share)
    data.findings.parameters["slist"] = {"penalty": penalty, "share": share}
    return HistoryScorer(data.weights(data.histories), _slist_similarity(data, penalty, share))


def _slist_similarity(data: QueryData, penalty: float, share: float) -> np.ndarray:
    before = before_each(data.known, data.weights.decay, _LONGEST_BEFORE)
    return next_item_weights(data.counted, *before, penalty=penalty, share=share)


def _best(
    name: str,
    data: QueryData,
    choices: Sequence[Choice],
    similarity: Callable[..., np.ndarray],
) -> Choice | None:
    """The parameters that rank validation best; None where that would take long."""
    asked = data.for_validation
    if asked is None or data.validation is None or data.train.num_items > _MAX_CHOICE_ITEMS:
        return None
    weights, pairs = asked.weights(asked.histories), data.validation[1]

    def value_of(choice: Choice) -> float:
        scorer = HistoryScorer(weights, similarity(asked, *choice))
        return evaluate_ranking(scorer, pairs, (10,), _MAX_CHOICE_SCORES).mean("ndcg@10")

    names, tried = _PARAMETERS[: len(choices[0])], data.tried.setdefault(name, {})
    return best_choice(name, names, choices, value_of, tried)


def _is_too_large(name: str, data: QueryData) -> bool:
    """Whether a dense matrix of the items is too large; this, and one that takes long, is said."""
    num_items, most = data.train.num_items, data.options.max_dense_items
    if num_items > most:
        data.findings.leave_out(
            name,
            QUERY_BASELINES[name].label,
            f"its dense matrix of {num_items:,} items is too large, the most is {most:,} "
            "(baselines.max_dense_items)",
        )
    elif num_items > _MAX_CHOICE_ITEMS:
        label = QUERY_BASELINES[name].label
        log.info("%s: solving for a dense matrix of %s items", label, f"{num_items:,}")
    return num_items > most


# Scorers beside the model in the final test of queries that are no items, as `BASELINES`.
QUERY_BASELINES: dict[str, Baseline] = {
    "popularity": Baseline(_popularity, same_for_all=True),
    "recency": Baseline(_recency, "recent popularity", same_for_all=True),
    "repeated": Baseline(_repeated, "own most frequent", "seen"),
    "last_item": Baseline(_last_item, "last item's neighbours"),
    "item_knn": Baseline(_item_knn, "item-kNN", "seen"),
    "ease": Baseline(_ease, "EASE", "seen"),
    "slist": Baseline(_next_item, "SLIST", "seen"),
}


def baselines_for(data: TrainingData | QueryData) -> dict[str, Baseline]:
    """The table of the baselines that take these data."""
    return BASELINES if isinstance(data, TrainingData) else QUERY_BASELINES
