"""Vectors of new items on their way from side information to their pairs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from recsys_lab.vectors.folding import (
    Negatives,
    Objective,
    Passes,
    Positives,
    State,
    regress,
    with_column,
)
from recsys_lab.vectors.score_form import ScoreTables

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings

Progress = Callable[[int, int], None]  # steps done, of all


class Fixed(NamedTuple):
    """What new items are fitted to; its M vectors stay.

    Attributes:
        tables: vectors and biases of items of the run, or of its users.
        scored: (M,) bool, those that have a vector.
        degrees: (M,) float64, how often each occurs in the pairs of training.
        mean_weight: of these pairs.
    """

    tables: ScoreTables
    scored: np.ndarray
    degrees: np.ndarray
    mean_weight: float


class Ends(NamedTuple):
    """Pairs as new items see them: (E,) sorted by owner."""

    owner: np.ndarray  # place of the new item
    other: np.ndarray  # row of the other end among what is fixed and the new items
    weight: np.ndarray


class ItemFolding:
    """Tables of new items on their way from side information to their pairs.

    Args:
        embeddings: of the run.
        fixed: what they are fitted to.
        prior: tables from side information, or zero.
        objective: see `folding`.
        passes: see `folding`.
        progress: called with the steps done, and all steps.
    """

    def __init__(
        self,
        embeddings: "Embeddings",
        fixed: Fixed,
        prior: ScoreTables,
        objective: Objective,
        passes: Passes,
        progress: Progress,
    ) -> None:
        self.embeddings = embeddings
        self.tables = self.prior = prior
        self._objective, self._passes = objective, passes
        self._known, self._degrees = fixed.tables, fixed.degrees
        self._learns_biases = learns_biases(embeddings)
        self._averages = _is_scored_otherwise(embeddings)
        self._mean_weight = np.float32(fixed.mean_weight)
        sides = ("queries", "keys") if prior.both_ways else ("queries",)
        self._progress, self._done = progress, 0
        self._states = {side: State.at(self._start(side)) for side in sides}

    def advance(self, ends: Ends, numbers: range) -> None:
        """Make passes over pairs; each table is fitted to the other one of the other ends.

        Where the score is a cosine or product of center vectors, the contexts that training fits
        them to are not kept. The vector is then the mean of those of the other ends.

        Negatives are drawn as contexts, for the centers of others. So those of a context vector are
        the centers, as often as they occur; their weight over that of the vector's pairs is K times
        the share of the item among the negatives over its share among the pairs. A model of one
        table has both roles in one vector, which takes the mean of both.
        """
        own = np.bincount(ends.owner, minlength=len(self.prior.bias))
        if self._averages:
            self.tables = self._averaged(ends, own)
            return
        exponent, num_negatives = self._objective.negative_exponent, self._objective.num_negatives
        occurring = self._degrees / self._degrees.sum()
        drawn = np.where(occurring > 0, self._degrees.clip(1) ** exponent, 0.0)
        as_context = own.clip(1) ** (exponent - 1) * self._degrees.sum() / drawn.sum()
        drawn /= drawn.sum()
        ones = np.ones(len(own))
        if self.prior.both_ways:
            self._fit("queries", ends, drawn, num_negatives * ones, numbers)
            self._fit("keys", ends, occurring, num_negatives * as_context, numbers)
        else:
            mean = (drawn + occurring) / 2, num_negatives * (1 + as_context) / 2
            self._fit("queries", ends, *mean, numbers)
        self.tables = self._arranged()

    def _averaged(self, ends: Ends, own: np.ndarray) -> ScoreTables:
        """The mean of the vectors of the other ends; side information counts as one more."""
        others, place = np.unique(ends.other, return_inverse=True)
        vectors = _gather(self._known.queries, self.tables.queries, others)
        indptr = np.concatenate([[0], np.cumsum(own)])
        weights = ends.weight / self._mean_weight
        matrix = csr_array((weights, place, indptr), shape=(len(own), len(others)))
        prior = self.prior.queries
        total = prior + np.asarray(matrix @ vectors, np.float32)
        if self.embeddings.info.get("score") == "cosine":
            scale = np.linalg.norm(total, axis=1)
        else:
            scale = matrix.sum(axis=1) + prior.any(axis=1)
        mean = (total / np.maximum(scale, 1e-12)[:, None]).astype(np.float32)
        mean = np.where(own[:, None] > 0, mean, prior)
        return ScoreTables(mean, mean, self.prior.bias, both_ways=False)

    def _start(self, side: str) -> np.ndarray:
        """Vectors from side information; with their biases, where the model learns them."""
        start = getattr(self.prior, side)
        return with_column(start, self.prior.bias) if self._learns_biases else start

    def _fit(
        self, side: str, ends: Ends, chances: np.ndarray, weights: np.ndarray, numbers: range
    ) -> None:
        """Move the vectors of one side."""
        fixed = "keys" if side == "queries" else "queries"
        others, place = np.unique(ends.other, return_inverse=True)
        vectors = _gather(getattr(self._known, fixed), getattr(self.tables, fixed), others)
        offsets, bias = np.zeros(len(others), np.float32), None
        if self._learns_biases:
            vectors, bias = with_column(vectors, 1.0), self._known.bias
            offsets = _gather(bias, self.tables.bias, others)
        own = np.bincount(ends.owner, minlength=len(weights))
        sums = np.bincount(ends.owner, ends.weight, len(weights))
        shares = (ends.weight / sums[ends.owner]).astype(np.float32)
        targets = ends.weight / self._mean_weight
        regress(
            Positives(
                np.concatenate([[0], np.cumsum(own)]), place, shares, targets, vectors, offsets
            ),
            Negatives(getattr(self._known, fixed), bias, chances, weights.astype(np.float32)),
            self._start(side),
            self._states[side],
            self._objective,
            self._passes,
            numbers,
            self._tell,
        )

    def _tell(self, count: int) -> None:
        """Items that one side has been moved for; each side of each is moved in two halves."""
        self._done += count
        self._progress(self._done, 2 * len(self._states) * len(self.prior.bias))

    def _arranged(self) -> ScoreTables:
        """The states as tables."""
        found = [state.vectors.copy() for state in self._states.values()]
        bias = self.prior.bias
        if self._learns_biases:
            found, bias = [vectors[:, :-1] for vectors in found], found[0][:, -1]
        return ScoreTables(found[0], found[-1], bias, self.prior.both_ways)


def _gather(known: np.ndarray, new: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of two tables, of which one continues the other."""
    found = known[np.minimum(rows, len(known) - 1)]
    beyond = rows >= len(known)
    found[beyond] = new[rows[beyond] - len(known)]
    return found


def learns_biases(embeddings: "Embeddings") -> bool:
    """Whether training fits a bias of each item."""
    return bool(embeddings.info.get("model", {}).get("biases", False))


def _is_scored_otherwise(embeddings: "Embeddings") -> bool:
    """Whether the score is not the product that training fits, of which one side is not kept."""
    info = embeddings.info
    return info.get("score") == "cosine" or info.get("model", {}).get("score") == "dot"
