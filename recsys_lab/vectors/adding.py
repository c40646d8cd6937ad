"""Vectors of new items beside those of a run: from side information and from pairs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from recsys_lab.vectors.encode import encode_items
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.folding import (
    Negatives,
    Objective,
    Passes,
    Positives,
    State,
    regress,
    with_column,
)
from recsys_lab.vectors.new_items import NewItems
from recsys_lab.vectors.score_form import ScoreTables

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings

PAIRS, SIDE_INFORMATION, NOTHING = "pairs", "side information", "nothing"  # a vector is made from
Progress = Callable[[int, int], None]  # steps done, of all


class AddedItems(NamedTuple):
    """New items n with their vectors.

    Attributes:
        tables: vectors and biases; without meaning where an item has none.
        source: (n,) what each vector is made from: PAIRS, SIDE_INFORMATION or NOTHING.
        num_pairs: (n,) pairs of each item.
        weights: (n, 1 + F) of center and context vectors (`store.SideInfo`); None without side
            information.
    """

    tables: ScoreTables
    source: np.ndarray
    num_pairs: np.ndarray
    weights: tuple[np.ndarray, np.ndarray] | None


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


class _Ends(NamedTuple):
    """Pairs as new items see them: (E,) sorted by owner."""

    owner: np.ndarray  # place of the new item
    other: np.ndarray  # row of the other end among what is fixed and the new items
    weight: np.ndarray


def add_items(
    embeddings: "Embeddings",
    new: NewItems,
    objective: Objective | None = None,
    passes: Passes | None = None,
    progress: Progress = lambda done, total: None,
    fixed: Fixed | None = None,
) -> AddedItems:
    """Vectors of new items from side information and, where they have pairs, by folding in.

    Folding in begins at the vector from side information, or at zero. The first half of the passes
    takes the pairs whose other end is an item of the run. The second half also takes those among
    new items, with the vectors that these have by then. The rows of the run stay as they are. An
    item is left without a vector if it has neither a known value nor such a pair.

    Args:
        embeddings: of the run.
        new: the items, with pairs whose other end is fixed or new.
        objective: the loss; by default that of the default configuration.
        passes: how it is minimised.
        progress: called with the steps done, and all steps.
        fixed: what the items are fitted to; None: the items of the run.
    """
    if embeddings.info.get("directed"):
        raise VectorsError(
            "items cannot be added to a model of histories, whose scores have a direction: train "
            "again with their events"
        )
    objective, passes = objective or Objective(), passes or Passes()
    prior, has_vector, weights = _prior(embeddings, new)
    fixed = fixed or items_of_run(embeddings)
    every, num_known = _ends(new), len(fixed.scored)
    usable = np.concatenate([fixed.scored, np.zeros(len(new.items), bool)])
    folding = _Folding(embeddings, fixed, prior, objective, passes, progress)
    folded = np.zeros(len(usable), bool)
    for numbers in (range(passes.count // 2), range(passes.count // 2, passes.count)):
        kept = usable[every.other]
        ends = _Ends(*(column[kept] for column in every))
        folding.advance(ends, numbers)
        folded[num_known + ends.owner] = True
        usable[num_known:] = folded[num_known:] | has_vector
    return _result(folding, folded[num_known:], has_vector, every, weights)


def items_of_run(embeddings: "Embeddings") -> Fixed:
    """The items of the run, with their training pairs."""
    weights = embeddings.pairs["weight"].to_numpy()
    mean = float(weights.mean()) if len(weights) else 1.0
    return Fixed(embeddings.score_tables, embeddings.scored, _degrees(embeddings), mean)


def _prior(
    embeddings: "Embeddings", new: NewItems
) -> tuple[ScoreTables, np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """Tables from side information, which items have a score by them, and their weights."""
    both_ways = bool(embeddings.info.get("both_ways", False))
    if embeddings.info.get("fields"):
        found = encode_items(embeddings, new.items)
        return found.tables, found.scored, found.weights
    zeros = np.zeros((len(new.items), embeddings.score_tables.keys.shape[1]), np.float32)
    tables = ScoreTables(zeros, zeros, np.zeros(len(zeros), np.float32), both_ways)
    return tables, np.zeros(len(zeros), bool), None


def _ends(new: NewItems) -> _Ends:
    """Every pair once for each new end."""
    pairs, first = new.pairs, new.pairs.num_items - len(new.items)
    both_new = pairs.heads >= first
    owner = np.concatenate([pairs.tails, pairs.heads[both_new]]).astype(np.int64) - first
    other = np.concatenate([pairs.heads, pairs.tails[both_new]]).astype(np.int64)
    weight = np.concatenate([pairs.weights, pairs.weights[both_new]])
    order = np.lexsort((other, owner))
    return _Ends(owner[order], other[order], weight[order])


class _Folding:
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
        self._learns_biases = _learns_biases(embeddings)
        self._averages = _is_scored_otherwise(embeddings)
        self._mean_weight = np.float32(fixed.mean_weight)
        sides = ("queries", "keys") if prior.both_ways else ("queries",)
        self._progress, self._done = progress, 0
        self._states = {side: State.at(self._start(side)) for side in sides}

    def advance(self, ends: _Ends, numbers: range) -> None:
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

    def _averaged(self, ends: _Ends, own: np.ndarray) -> ScoreTables:
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
        self, side: str, ends: _Ends, chances: np.ndarray, weights: np.ndarray, numbers: range
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


def _result(
    folding: _Folding,
    folded: np.ndarray,
    has_vector: np.ndarray,
    ends: _Ends,
    weights: tuple[np.ndarray, np.ndarray] | None,
) -> AddedItems:
    """The new items, with the popularity term that their pairs give them."""
    tables, prior = folding.tables, folding.prior
    num_pairs = np.bincount(ends.owner, minlength=len(folded))
    if not _learns_biases(folding.embeddings):
        popularity = _popularity_weight(folding.embeddings) * np.log1p(num_pairs)
        tables = tables._replace(bias=np.where(folded, popularity, prior.bias).astype(np.float32))
    source = np.where(folded, PAIRS, np.where(has_vector, SIDE_INFORMATION, NOTHING))
    if weights is not None:
        weights = _with_own(weights[0], folded), _with_own(weights[1], folded)
    return AddedItems(tables, source, num_pairs, weights)


def recounted(embeddings: "Embeddings", added: AddedItems, num_pairs: np.ndarray) -> AddedItems:
    """Added items with other numbers of pairs (n,), and the popularity term of these."""
    if not _learns_biases(embeddings):
        popularity = _popularity_weight(embeddings) * np.log1p(num_pairs)
        bias = np.where(added.source == PAIRS, popularity, added.tables.bias).astype(np.float32)
        added = added._replace(tables=added.tables._replace(bias=bias))
    return added._replace(num_pairs=num_pairs)


def _gather(known: np.ndarray, new: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of two tables, of which one continues the other."""
    found = known[np.minimum(rows, len(known) - 1)]
    beyond = rows >= len(known)
    found[beyond] = new[rows[beyond] - len(known)]
    return found


def _with_own(weights: np.ndarray, folded: np.ndarray) -> np.ndarray:
    """Weights of items whose own vector is one more part, of equal weight, where it is folded in.

    It is what the other parts leave of the vector of the item.
    """
    parts = (weights > 0).sum(1, keepdims=True)
    mixed = weights * (parts / (1 + parts))
    mixed[:, :1] = 1 / (1 + parts)
    return np.where(folded[:, None], mixed, weights).astype(np.float32)


def _degrees(embeddings: "Embeddings") -> np.ndarray:
    """Training pairs of the items that have a vector, (N,) float64; equal if none are known."""
    scored = embeddings.scored.astype(np.float64)
    if "num_pairs" not in embeddings.items.columns:
        return scored
    degrees = embeddings.items["num_pairs"].to_numpy() * scored
    return degrees if degrees.any() else scored


def _learns_biases(embeddings: "Embeddings") -> bool:
    return bool(embeddings.info.get("model", {}).get("biases", False))


def _is_scored_otherwise(embeddings: "Embeddings") -> bool:
    """Whether the score is not the product that training fits, of which one side is not kept."""
    info = embeddings.info
    return info.get("score") == "cosine" or info.get("model", {}).get("score") == "dot"


def _popularity_weight(embeddings: "Embeddings") -> float:
    """What the logarithm of an item's pairs is multiplied by in its bias, by least squares.

    The fit is exact where the bias is such a term.
    """
    seen = embeddings.items["seen"].to_numpy()
    logs = np.log1p(_degrees(embeddings)[seen])
    return float(embeddings.score_tables.bias[seen] @ logs / max(float(logs @ logs), 1e-12))
