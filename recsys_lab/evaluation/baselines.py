"""Baselines that need no training: their table, and those over the graph of the training pairs.

The latter take the symmetric (N, N) CSR matrix of the training pairs. They score every pair: an
item without training pairs has no common neighbours and no walks, which is a score of 0, not a
missing one. No N x N matrix and no power of the whole graph is ever formed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from scipy import sparse

from recsys_lab.compute.checks import checked
from recsys_lab.compute.parallel import run_parts
from recsys_lab.compute.ranges import Count, CountOrZero, Exponent, Positive
from recsys_lab.evaluation.baseline_choice import Choice, Findings, best_choice
from recsys_lab.evaluation.baseline_kernels import (
    list_common,
    list_walks,
    sum_common_pairs,
    walk_pairs,
)
from recsys_lab.evaluation.content import ContentSimilarity

if TYPE_CHECKING:  # they stand beside the scorer of vectors, which imports torch
    from recsys_lab.evaluation.scorers import Listed, Scorer
    from recsys_lab.evaluation.slices import EvaluationPairs

# Unless others are chosen; see `FinalTest`
MAX_CHOICE_ITEMS, MAX_EASE_ITEMS, MAX_LOCAL_EASE_ITEMS = 50_000, 4_000, 50_000
_CHOICE_QUERIES = 1000  # of validation
# What is tried on validation, the usual ones first
_WALK_CHOICES = (2.0, 0.7), (2.0, 0.6), (4.0, 0.8), (1.0, 0.8)
_RP3_CHOICES = (0.8, 0.5), (0.6, 0.5)
_EASE_PARAMETERS = "penalty", "row_exponent", "column_exponent"
_EASE_CHOICES = (8.0, 0.5, 0.0), (16.0, 0.25, 0.25)
_EASE_NEIGHBOURS = 200, 100  # up to `max_choice_items`, where there is no dense matrix; beyond


class Popularity:
    """Product of the two items' degrees (numbers of training pairs): preferential attachment.

    An item of degree 0 counts as a power of two small enough that its pairs score below all
    pairs without such an item; among themselves they still follow the other end. Products of
    integers and powers of two are exact, so equal products tie exactly.
    """

    in_tiles = True

    def __init__(self, pairs: sparse.csr_matrix) -> None:
        degree = np.diff(checked_pairs(pairs).indptr).astype(np.float64)
        floor = 0.5 ** np.ceil(np.log2(max(degree.max(initial=0.0), 1.0)) + 1.0)
        self.degree = np.where(degree > 0, degree, floor)  # (N,)

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) float64."""
        return self.degree[heads] * self.degree[tails]

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) float32."""
        return self.score_tile(self.queries_side(queries), self.degree.astype(np.float32))

    def queries_side(self, queries: np.ndarray) -> np.ndarray:
        """(Q,) float32."""
        return self.degree[queries].astype(np.float32)

    items_side = queries_side

    def score_tile(self, queries: np.ndarray, items: np.ndarray) -> np.ndarray:
        """(Q, n) float32."""
        return queries[:, None] * items


class GraphBaseline:
    """Spreads pairs and rows over threads; compiled kernels score the parts.

    Attributes:
        kernels: of pairs and of lists, chosen by the subclass.
        inputs: what both kernels take first, set by the subclass.
    """

    kernels: "tuple[Callable[..., Any], ...]"
    inputs: tuple[Any, ...]

    def __init__(self, pairs: sparse.csr_matrix) -> None:
        matrix = checked_pairs(pairs)
        self.num_items = matrix.shape[0]
        self.indptr, self.indices, self.weights = matrix.indptr, matrix.indices, matrix.data
        self.degree = np.diff(matrix.indptr)  # (N,)

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) float64; the same bits for (i, j) as for (j, i)."""
        heads, tails = self._hub_first(np.asarray(heads), np.asarray(tails))
        order = np.argsort(heads, kind="stable")  # kernels prepare adjacent equal heads once
        scores = np.empty(len(order))

        def score_part(low: int, high: int) -> None:
            places = order[low:high]
            out = np.empty(len(places))
            self.kernels[0](*self.inputs, heads[places], tails[places], out)
            scores[places] = out

        run_parts(score_part, len(order))
        return scores

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) float32."""
        queries = np.asarray(queries)
        rows = np.zeros((len(queries), self.num_items), np.float32)  # (Q, N)

        def score_part(low: int, high: int) -> None:
            bounds, items, scores = self.list_scores(queries[low:high])
            rows[np.repeat(np.arange(low, high), np.diff(bounds)), items] = scores

        run_parts(score_part, len(queries))
        return rows

    def list_scores(self, queries: np.ndarray) -> "Listed":
        """See `ListedScorer`."""
        found: Listed = self.kernels[1](*self.inputs, queries)
        return found

    def _hub_first(self, heads: np.ndarray, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The end of larger degree first: few heads to prepare, and tails with few neighbours."""
        difference = self.degree[heads] - self.degree[tails]
        swap = (difference < 0) | ((difference == 0) & (heads > tails))
        return np.where(swap, tails, heads), np.where(swap, heads, tails)


class CommonNeighbors(GraphBaseline):
    """Number of common neighbours, weights ignored."""

    kernels = sum_common_pairs, list_common

    def __init__(self, pairs: sparse.csr_matrix) -> None:
        super().__init__(pairs)
        self.inputs = self.indptr, self.indices, np.ones(self.num_items)


class AdamicAdar(GraphBaseline):
    """Sum over common neighbours of 1 / log(degree) (Adamic and Adar, 2003)."""

    kernels = sum_common_pairs, list_common

    def __init__(self, pairs: sparse.csr_matrix) -> None:
        super().__init__(pairs)
        # a neighbour of two items has degree 2 or more; the others never count
        values = np.where(self.degree >= 2, 1.0 / np.log(np.maximum(self.degree, 2)), 0.0)
        self.inputs = self.indptr, self.indices, values


class ResourceAllocation(GraphBaseline):
    """Sum over common neighbours of 1 / degree (Zhou, Lü and Zhang, 2009)."""

    kernels = sum_common_pairs, list_common

    def __init__(self, pairs: sparse.csr_matrix) -> None:
        super().__init__(pairs)
        self.inputs = self.indptr, self.indices, 1.0 / np.maximum(self.degree, 1)


class _Walks(GraphBaseline):
    """Weighted sums over walks on the graph, times a function of the two ends."""

    kernels = walk_pairs, list_walks

    def _strength(self, weights: np.ndarray) -> np.ndarray:
        """(N,) float64 sum of the weights of each item's pairs."""
        shape = (self.num_items, self.num_items)
        return sparse.csr_matrix((weights, self.indices, self.indptr), shape) @ np.ones(shape[0])


class WalkProximity(_Walks):
    """How often short walks from one item reach the other; walks through hubs count less.

    score = M_ij (1 / s_i ** exponent + 1 / s_j ** exponent), where M is the sum over t from 1 to
    `steps` of growth ** (t - 1) W (H W) ** (t - 1), W the weights, s the sums of its rows and m
    their mean, and H the diagonal of (m / s) ** hub_exponent / m. With both exponents 1 that is
    R_ij + R_ji, where R = P + growth P² + ... is made of powers of the transition matrix P.

    Args:
        pairs: (N, N) symmetric CSR.
        steps: length of the longest walk, in steps.
        growth: factor for each further step of a walk.
        exponent: of the strengths s of the two ends.
        hub_exponent: of the strengths of the items on the way.
    """

    @checked
    def __init__(
        self,
        pairs: sparse.csr_matrix,
        steps: Count = 3,
        growth: Positive = 2.0,
        exponent: Exponent = 0.7,
        hub_exponent: Exponent = 0.75,
    ) -> None:
        super().__init__(pairs)
        strength = self._strength(self.weights)
        mean = strength.sum() / max(np.count_nonzero(strength), 1)
        by_hub = _power(strength, -hub_exponent) * mean ** (hub_exponent - 1) if mean else strength
        by_strength = _power(strength, -exponent)
        onward = _power(by_hub, -1.0)  # undoes the factor of the first item
        graph = self.indptr, self.indices, self.weights, by_hub
        ends = onward * by_strength, onward, by_strength
        self.inputs = graph, growth ** np.arange(steps, dtype=np.float64), ends


class RP3Beta(_Walks):
    """Probability of three steps from i to j, less for popular items (Paudel et al., 2016).

    The transition probabilities are raised to `alpha`, and those of three steps divided by
    s_j ** beta, s the sum of the weights of an item's pairs: M_ij / (s_i ** alpha s_j ** beta) with
    a symmetric M. The score is M_ij / (s_i s_j) ** beta, which ranks the items for i alike.

    Args:
        pairs: (N, N) symmetric CSR.
        alpha: exponent of transition probabilities.
        beta: exponent of popularity.
    """

    @checked
    def __init__(
        self, pairs: sparse.csr_matrix, alpha: Exponent = 0.8, beta: Exponent = 0.5
    ) -> None:
        super().__init__(pairs)
        strength = self._strength(self.weights)
        raised, by_strength = _power(strength, alpha), _power(strength, -beta)
        weights = _power(self.weights, alpha).astype(np.float32)  # as of the other walks
        graph = self.indptr, self.indices, weights, _power(strength, -alpha)
        ends = np.zeros(self.num_items), raised * by_strength, by_strength
        self.inputs = graph, np.array([0.0, 0.0, 1.0]), ends


def _power(values: np.ndarray, exponent: float) -> np.ndarray:
    """(N,) float64 power of what is positive; the rest is 0."""
    values = values.astype(np.float64)
    found = np.zeros(len(values))
    np.power(values, exponent, out=found, where=values > 0)
    return found


@dataclass(frozen=True)
class TrainingData:
    """What a baseline may use.

    Attributes:
        pairs: (N, N) symmetric CSR of the training pairs, their weights as entries.
        labels: (N, V) CSR of the items' side information, stored where an item has a label; V is 0
            where there is none.
        validation: pairs to choose parameters by; None chooses nothing.
        max_choice_items: beyond, nothing is chosen, and RP3-beta is left out.
        max_ease_items: beyond, EASE is that of the closest items (`LocalEase`).
        max_local_ease_items: beyond these, too, EASE is left out.
        findings: parameters, their values on validation, and baselines that are left out.
    """

    pairs: sparse.csr_matrix
    labels: sparse.csr_matrix
    validation: "EvaluationPairs | None" = None
    max_choice_items: CountOrZero = MAX_CHOICE_ITEMS
    max_ease_items: CountOrZero = MAX_EASE_ITEMS
    max_local_ease_items: CountOrZero = MAX_LOCAL_EASE_ITEMS
    findings: Findings = field(default_factory=Findings)

    @property
    def has_validation(self) -> bool:
        """Whether baselines are ranked on validation."""
        is_there = self.validation is not None and len(self.validation.positives) > 0
        return is_there and self.pairs.shape[0] <= self.max_choice_items

    def quality(self, scorer: "Scorer") -> float:
        """NDCG@10 on a sample of the queries of validation, the same one for all scorers."""
        from recsys_lab.evaluation.ranking import evaluate_ranking  # imports torch

        assert self.validation is not None  # noqa: S101 - `has_validation`
        most = _CHOICE_QUERIES * self.pairs.shape[0]
        return evaluate_ranking(scorer, self.validation, (10,), most).mean("ndcg@10")


class Baseline(NamedTuple):
    """An entry of `BASELINES`.

    Attributes:
        build: makes the scorer from `TrainingData` (`query_baselines.QueryData` in its table), or
            returns None where the data do not allow it.
        label: its name in tables; by default its name in `BASELINES` with blanks.
        compared: the model's difference to it is computed where most test pairs are "seen", where
            most have a "cold" end, or only where it is the best one on validation.
        same_for_all: whether all queries have the same scores, so that a mixture is of no use.
    """

    build: "Callable[[Any], Scorer | None]"
    label: str = ""
    compared: Literal["seen", "cold", "if best"] = "if best"
    same_for_all: bool = False


def _tuned(
    name: str,
    data: TrainingData,
    make: "Callable[..., Scorer]",
    names: tuple[str, ...],
    choices: Sequence[Choice],
) -> "Scorer":
    """The scorer with the parameters that rank validation best; without it, with the first ones."""
    found = data.findings
    if name in found.parameters:
        return make(data.pairs, **found.parameters[name])
    best: list[tuple[float, Scorer]] = []

    def value_of(choice: Choice) -> float:
        scorer = make(data.pairs, **dict(zip(names, choice, strict=True)))
        value = data.quality(scorer)
        if not best or value > best[0][0]:
            best[:] = [(value, scorer)]
        return value

    choice = choices[0]
    if data.has_validation:
        choice = best_choice(BASELINES[name].label, names, choices, value_of, {})
        found.values[name] = best[0][0]
    found.parameters[name] = dict(zip(names, choice, strict=True))
    return best[0][1] if best else make(data.pairs, **found.parameters[name])


def _walk_proximity(data: TrainingData) -> "Scorer":
    return _tuned("walk_proximity", data, WalkProximity, ("growth", "exponent"), _WALK_CHOICES)


def _rp3_beta(data: TrainingData) -> "Scorer | None":
    num_items, most = data.pairs.shape[0], data.max_choice_items
    if num_items > most:
        reason = f"{num_items:,} items, the most is {most:,} (evaluation.max_choice_items)"
        data.findings.leave_out("rp3_beta", "RP3-beta", reason)
        return None
    return _tuned("rp3_beta", data, RP3Beta, ("alpha", "beta"), _RP3_CHOICES)


def _ease(data: TrainingData) -> "Scorer | None":
    num_items, most = data.pairs.shape[0], data.max_local_ease_items
    if num_items <= data.max_ease_items:
        from recsys_lab.evaluation.pair_ease import ease_of_pairs  # imports torch

        return _tuned("ease", data, ease_of_pairs, _EASE_PARAMETERS, _EASE_CHOICES)
    if num_items <= most:
        from recsys_lab.evaluation.local_ease import LocalEase  # imports this module

        names = *_EASE_PARAMETERS, "neighbours"
        neighbours = _EASE_NEIGHBOURS[num_items > data.max_choice_items]
        choices = [(*choice, neighbours) for choice in _EASE_CHOICES]
        return _tuned("ease", data, LocalEase, names, choices)
    reason = f"{num_items:,} items, the most is {most:,} (evaluation.max_local_ease_items)"
    data.findings.leave_out("ease", "EASE", reason)
    return None


def _content(data: TrainingData) -> "Scorer | None":
    return ContentSimilarity(data.labels) if data.labels.nnz else None


# Scorers beside the model in every final test, by their names in `metrics.json`. A new entry is
# tested and reported like the others. Baselines that know only pairs cannot rank a cold item.
BASELINES: dict[str, Baseline] = {
    "popularity": Baseline(lambda data: Popularity(data.pairs)),
    "common_neighbours": Baseline(lambda data: CommonNeighbors(data.pairs)),
    "adamic_adar": Baseline(lambda data: AdamicAdar(data.pairs), "Adamic-Adar", "seen"),
    "resource_allocation": Baseline(lambda data: ResourceAllocation(data.pairs)),
    "walk_proximity": Baseline(_walk_proximity, "walk proximity", "seen"),
    "rp3_beta": Baseline(_rp3_beta, "RP3-beta"),
    "ease": Baseline(_ease, "EASE"),
    "content": Baseline(_content, "content (tf-idf)", "cold"),
}


def checked_pairs(pairs: sparse.csr_matrix) -> sparse.csr_matrix:
    """The matrix with sorted, distinct entries.

    Raises:
        ValueError: it is not the weight matrix of an undirected graph.
    """
    matrix = sparse.csr_matrix(pairs)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()  # not to change the argument
        matrix.sum_duplicates()
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"training pairs must be a square matrix, got {matrix.shape}")
    if not (np.isfinite(matrix.data).all() and (matrix.data > 0).all()):
        raise ValueError("weights of training pairs must be finite and positive")
    if matrix.diagonal().any():
        raise ValueError("training pairs hold self-pairs; drop them first")
    # cheap and enough to catch a one-directional matrix, which is the usual mistake
    occurrences = np.bincount(matrix.indices, minlength=matrix.shape[0])
    if not np.array_equal(occurrences, np.diff(matrix.indptr)):
        raise ValueError("training pairs must be stored both ways: the matrix is not symmetric")
    return matrix
