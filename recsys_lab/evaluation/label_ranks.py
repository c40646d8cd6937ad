"""The ranks of the labels of held-out items among all labels of a field.

Multiclass classification of Wu et al., "StarSpace: Embed All The Things!" (AAAI 2018): an item is a
bag of features, and its label is ranked before the other labels of the field.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from recsys_lab.evaluation.content import ContentSimilarity
from recsys_lab.evaluation.intervals import LEVEL
from recsys_lab.evaluation.scorers import QueryScorer, VectorScorer

NEAREST = 20  # items that vote for labels
MRR = "mrr"
KS = (1, 10)
METRICS = (*(f"hr@{k}" for k in KS), MRR)
_MAX_SCORES = 2**24  # of a block: 64 MB in float32
_TIE = 1e-6  # of a label's share of the training items, beside similarities

LabelScores = Callable[[np.ndarray], np.ndarray]  # places in `items` (q,) -> scores (q, T)


@dataclass(frozen=True)
class LabelTargets:
    """Held-out items whose labels are to be found.

    Attributes:
        field: whose values are the labels.
        items: (Q,) ids of the held-out items that have a label, ascending.
        truth: (Q, T) CSR, stored where an item has a label.
        trained: (N, T) CSR, the labels of the items in training; rows of other items are empty.
        rows: where the labels stand among all nodes.
    """

    field: str
    items: np.ndarray
    truth: sparse.csr_matrix
    trained: sparse.csr_matrix
    rows: slice

    def __len__(self) -> int:
        return len(self.items)

    @property
    def num_labels(self) -> int:
        """T."""
        return int(self.truth.shape[1])

    @property
    def counts(self) -> np.ndarray:
        """(T,) training items that have each label."""
        return np.bincount(self.trained.indices, minlength=self.num_labels)

    def sample(self, most: int, seed: int) -> "LabelTargets":
        """At most so many of the items, drawn by chance."""
        if most >= len(self):
            return self
        drawn = np.sort(np.random.default_rng([seed, 23]).permutation(len(self))[:most])
        return LabelTargets(
            self.field, self.items[drawn], self.truth[drawn], self.trained, self.rows
        )

    def values(self, scores: LabelScores) -> dict[str, np.ndarray]:
        """Each of METRICS for each item, (Q,): the mean over its labels."""
        step = max(1, _MAX_SCORES // max(self.num_labels, self.trained.shape[0]))
        ranks = [
            label_ranks(scores(places), self.truth[places])
            for places in np.array_split(np.arange(len(self)), -(-len(self) // step))
        ]
        rank = np.concatenate(ranks)
        sizes = np.diff(self.truth.indptr)
        owner = np.repeat(np.arange(len(self)), sizes)
        found = {f"hr@{k}": (rank <= k).astype(float) for k in KS} | {MRR: 1 / rank}
        return {name: np.bincount(owner, each) / sizes for name, each in found.items()}


def label_ranks(scores: np.ndarray, truth: sparse.csr_matrix) -> np.ndarray:
    """Rank of every true label among the labels that are not true of its item, 1 is best.

    Of equal scores half count as better. A label without a score comes after all others.

    Args:
        scores: (q, T), NaN where there is none.
        truth: (q, T) CSR.

    Returns:
        One rank for each stored entry, in the order of the rows.
    """
    ranks = np.empty(truth.nnz)
    for row, begin in enumerate(truth.indptr[:-1]):
        places = slice(begin, truth.indptr[row + 1])
        own = scores[row, truth.indices[places]]
        others = np.sort(np.nan_to_num(np.delete(scores[row], truth.indices[places]), nan=-np.inf))
        better = len(others) - np.searchsorted(others, own, side="right")
        equal = len(others) - better - np.searchsorted(others, own, side="left")
        ranks[places] = np.where(np.isnan(own), 1 + len(others), 1 + better + equal / 2)
    return ranks


def by_vectors(nodes: VectorScorer, targets: LabelTargets) -> LabelScores:
    """The scores of a model's vectors of items and labels."""
    ids = torch.from_numpy(targets.items.astype(np.int64)).to(nodes.queries.device)
    queries, keys = nodes.queries[ids], nodes.keys[targets.rows]
    if nodes.both_ways:
        queries = torch.cat([queries, nodes.keys[ids]], dim=1) / 2
        keys = torch.cat([keys, nodes.queries[targets.rows]], dim=1)
    return QueryScorer(
        queries, keys, nodes.bias[targets.rows], nodes.scorable[targets.rows], nodes.scorable[ids]
    ).score_rows


def by_frequency(targets: LabelTargets) -> LabelScores:
    """The most frequent labels of the training items, for every item alike."""
    counts = targets.counts.astype(np.float64)
    return lambda places: np.tile(counts, (len(places), 1))


def by_neighbours(targets: LabelTargets, terms: sparse.csr_matrix) -> LabelScores:
    """Labels of the NEAREST training items by the tf-idf cosine of terms, weighed by it.

    Labels with equal sums, such as none, are in the order of their frequency.

    Args:
        targets: the held-out items.
        terms: (N, V) CSR of the terms of the items, such as words of titles.
    """
    similarity = ContentSimilarity(terms)
    is_trained = np.diff(targets.trained.indptr) > 0  # (N,)
    nearest = min(NEAREST, int(is_trained.sum()))
    shares = targets.counts / max(targets.counts.sum(), 1) * _TIE

    def scores(places: np.ndarray) -> np.ndarray:
        found = np.nan_to_num(similarity.score_rows(targets.items[places]))  # (q, N)
        found[:, ~is_trained] = 0
        columns = np.argpartition(found, -nearest, axis=1)[:, -nearest:]
        rows = np.repeat(np.arange(len(places)), nearest)
        weights = found[rows, columns.ravel()].astype(np.float64)
        votes = sparse.csr_matrix((weights, (rows, columns.ravel())), found.shape)
        return np.asarray((votes @ targets.trained).todense()) + shares

    return scores


def means_with_intervals(
    values: Mapping[str, Mapping[str, np.ndarray]], compared: str, replicates: int, seed: int
) -> dict[str, float]:
    """Means over the items, their 95 % intervals, and differences of one scorer to the others.

    The bootstrap weighs items by standard exponential weights, the same for all scorers.

    Args:
        values: (Q,) by scorer and metric.
        compared: a scorer; the differences are its values less those of each other one.
        replicates: 0 leaves intervals and differences out.
        seed: of the weights.

    Returns:
        `<scorer>/<metric>`, `<scorer>/<metric>/low` and `/high`, and the same of
        `difference/<scorer>/<metric>`.
    """
    found = {f"{name}/{metric}": x for name, row in values.items() for metric, x in row.items()}
    if replicates:
        for name, row in values.items():
            for metric, x in row.items() if name != compared else ():
                found[f"difference/{name}/{metric}"] = values[compared][metric] - x
    means = {name: float(x.mean()) for name, x in found.items()}
    if not replicates:
        return means
    rng = np.random.default_rng([seed, 29])
    weights = rng.standard_exponential((replicates, len(next(iter(found.values())))))
    weights /= weights.sum(1, keepdims=True)
    tail = (1 - LEVEL) / 2
    for name, x in found.items():
        low, high = np.quantile(weights @ x, [tail, 1 - tail])
        means |= {f"{name}/low": float(low), f"{name}/high": float(high)}
    return means
