"""Folding in: vectors of new items from their pairs, with the vectors of all others fixed.

For one item the loss of training is then a regression. With v the vector of the item, x_j those of
the others, w_j the shares of its pairs, K the negatives of a pair, q their distribution and p the
vector from side information (or zero),

    sum_j w_j softplus(-v . x_j) + K sum_m q_m softplus(v . x_m) + l2 (1 + K) |v - p|^2

which is convex in v. Row-wise Adagrad, the optimiser of training, makes a few passes over the pairs
from v = p, with negatives that are drawn anew in each pass and shared by all items.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from annotated_types import Ge
from threadpoolctl import threadpool_limits

from recsys_lab.compute.checks import checked
from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.parallel import run_blocks
from recsys_lab.compute.ranges import Count, Exponent, Penalty

_BLOCK = 1024  # items whose scores with the negatives are held at a time
FittedLoss = Literal["logistic", "squared"]
_fast_jit = jit(fastmath={"reassoc", "contract", "nsz"})  # sums over dimensions may be reordered


@checked
@dataclass(frozen=True)
class Objective:
    """The loss of a pair and its negatives.

    Attributes:
        num_negatives: K, the weight of the negatives over that of the positives.
        negative_exponent: negatives follow (number of pairs) ** exponent.
        l2: see the module.
        loss: "squared" regresses the weight of a pair, and 0 for a negative.
    """

    num_negatives: Annotated[float, Ge(0)] = 10.0
    negative_exponent: Exponent = 0.5
    l2: Penalty = 0.0015
    loss: FittedLoss = "logistic"


@checked
@dataclass(frozen=True)
class Passes:
    """How the loss is minimised.

    Attributes:
        count: passes over the pairs of an item.
        rate: learning rate, which falls to zero linearly.
        num_drawn: negatives drawn in each pass; where there are no more items than that, all of
            them take part by their shares, and nothing is drawn.
        seed: of the draws.
    """

    count: Count = 60
    rate: float = 0.5
    num_drawn: Count = 128
    seed: int = 0


class Positives(NamedTuple):
    """The pairs of n items in compressed rows.

    Attributes:
        indptr: (n + 1,) int64.
        indices: (E,) int64 rows of `vectors`.
        shares: (E,) float32, of the pairs of an item; each item's sum to one.
        targets: (E,) float32, weights over the mean weight; what "squared" regresses.
        vectors: (V, D) float32 of the other ends.
        offsets: (V,) float32 added to the scores.
    """

    indptr: np.ndarray
    indices: np.ndarray
    shares: np.ndarray
    targets: np.ndarray
    vectors: np.ndarray
    offsets: np.ndarray


class Negatives(NamedTuple):
    """What negatives are drawn from.

    Attributes:
        vectors: (N, D) float32, or (N, D - 1) with `bias`.
        bias: (N,) float32 added to the scores; None where items have no bias. With it the last
            column of the vectors that are sought is their bias.
        shares: (N,) float64, sum to one.
        weights: (n,) float32, K of each item.
    """

    vectors: np.ndarray
    bias: np.ndarray | None
    shares: np.ndarray
    weights: np.ndarray

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors (M, D) of some rows as the regression sees them, and their offsets (M,)."""
        vectors = self.vectors[rows]
        if self.bias is None:
            return vectors, np.zeros(len(rows), np.float32)
        return with_column(vectors, 1.0), self.bias[rows]


class State(NamedTuple):
    """Where the vectors of n items stand.

    Attributes:
        vectors: (n, D) float32.
        sums: (n,) float32 of squared gradients, what Adagrad divides by.
    """

    vectors: np.ndarray
    sums: np.ndarray

    @classmethod
    def at(cls, start: np.ndarray) -> "State":
        """Before the first pass."""
        return cls(start.astype(np.float32), np.zeros(len(start), np.float32))


def regress(
    positives: Positives,
    negatives: Negatives,
    prior: np.ndarray,
    state: State,
    objective: Objective,
    passes: Passes,
    numbers: range,
    tell: Callable[[int], None] = lambda count: None,
) -> None:
    """Make the passes of some numbers; an item without a pair does not move.

    Args:
        positives: the pairs.
        negatives: the same for all items.
        prior: (n, D), p of the module.
        state: it is moved.
        objective: what is minimised.
        passes: how.
        numbers: of the passes, within 0 .. passes.count - 1.
        tell: called with numbers of items that are done.
    """
    squared = objective.loss == "squared"
    drawn = [_draw(negatives, passes, number) for number in numbers]

    def work(low: int, high: int) -> None:
        vectors, sums = state.vectors[low:high], state.sums[low:high]
        weights = negatives.weights[low:high, None]
        penalty = np.float32(2 * objective.l2) * (1 + weights)
        indptr = positives.indptr[low : high + 1]
        for number, (rows, shares, offsets) in zip(numbers, drawn, strict=True):
            slopes = vectors @ rows.T + offsets  # (b, M)
            slopes = 2 * slopes if squared else 1 / (1 + np.exp(-slopes))
            grad = (slopes * (shares * weights)) @ rows  # (b, D)
            grad += penalty * (vectors - prior[low:high])
            _add_positives(*positives._replace(indptr=indptr), vectors, grad, squared)
            rate = passes.rate * (1 - number / passes.count)
            _step(vectors, grad, sums, np.float32(rate), indptr)
        tell(high - low)

    count = len(state.sums)
    with threadpool_limits(1, user_api="blas"):  # a block has a thread of its own
        run_blocks(work, [*range(0, count, _BLOCK), count] if count else [])


def _draw(
    negatives: Negatives, passes: Passes, number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors (M, D), shares (M,) and offsets (M,) of the negatives of a pass."""
    occurs = np.flatnonzero(negatives.shares > 0)
    if len(occurs) <= passes.num_drawn:
        vectors, offsets = negatives.take(occurs)
        return vectors, negatives.shares[occurs].astype(np.float32), offsets
    rng = np.random.default_rng([passes.seed, number])
    ends = np.cumsum(negatives.shares[occurs])
    places = np.searchsorted(ends, rng.random(passes.num_drawn) * ends[-1], side="right")
    vectors, offsets = negatives.take(occurs[places.clip(0, len(occurs) - 1)])
    return vectors, np.full(passes.num_drawn, 1 / passes.num_drawn, np.float32), offsets


def with_column(vectors: np.ndarray, values: np.ndarray | float) -> np.ndarray:
    """Vectors (n, D) with one more column."""
    column = np.broadcast_to(np.asarray(values, np.float32), len(vectors))[:, None]
    return np.hstack([vectors, column], dtype=np.float32)


@_fast_jit
def _add_positives(
    indptr: np.ndarray,
    indices: np.ndarray,
    shares: np.ndarray,
    targets: np.ndarray,
    others: np.ndarray,
    offsets: np.ndarray,
    vectors: np.ndarray,
    grad: np.ndarray,
    squared: bool,
) -> None:
    """Add the slopes of the pairs of some items to their gradients (b, D)."""
    for row in range(len(vectors)):
        for place in range(indptr[row], indptr[row + 1]):
            other = others[indices[place]]
            score = np.float32(0)
            for d in range(len(other)):
                score += vectors[row, d] * other[d]
            score += offsets[indices[place]]
            if squared:
                slope = np.float32(2) * shares[place] * (score - targets[place])
            else:
                slope = -shares[place] / (np.float32(1) + np.exp(score))
            for d in range(len(other)):
                grad[row, d] += slope * other[d]


@_fast_jit
def _step(
    vectors: np.ndarray, grad: np.ndarray, sums: np.ndarray, rate: float, indptr: np.ndarray
) -> None:
    """One step of row-wise Adagrad for the items that have a pair."""
    dim = vectors.shape[1]
    for row in range(len(vectors)):
        if indptr[row] == indptr[row + 1]:
            continue
        square = np.float32(0)
        for d in range(dim):
            square += grad[row, d] * grad[row, d]
        sums[row] += square / np.float32(dim)
        step = rate / (np.sqrt(sums[row]) + np.float32(1e-12))
        for d in range(dim):
            vectors[row, d] -= np.float32(step) * grad[row, d]
