"""Scorers: what the protocol evaluates, and the one for vectors."""

from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

PAIRS_PER_CHUNK = 16_384  # 2 x 16 MB of gathered vectors at 256 dimensions
_UNIT_ERROR = 1e-4  # of the length of a vector that float32 divided by its length


class Scorer(Protocol):
    """A score of two items, symmetric, or of a query and an item; higher means more related."""

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) scores of the pairs (heads[p], tails[p]); NaN where a pair cannot be scored.

        Heads are the queries where these are no items.
        """
        ...

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) float32 scores of every item for each query; NaN where it cannot be scored."""
        ...


@runtime_checkable
class TileScorer(Scorer, Protocol):
    """A scorer that scores some items at little cost, so that a ranking holds no whole rows."""

    @property
    def in_tiles(self) -> bool:
        """Whether that is faster than whole rows."""
        ...

    def queries_side(self, queries: np.ndarray) -> Any:
        """What `score_tile` takes of some queries, such as their vectors."""
        ...

    def items_side(self, items: np.ndarray) -> Any:
        """What it takes of some items."""
        ...

    def score_tile(self, queries: Any, items: Any) -> np.ndarray:
        """(Q, n) float32 scores, as `score_rows` but for their rounding; threads call it."""
        ...


Listed = tuple[np.ndarray, np.ndarray, np.ndarray]


@runtime_checkable
class ListedScorer(Scorer, Protocol):
    """A scorer that most items have a score of 0 with."""

    def list_scores(self, queries: np.ndarray) -> Listed:
        """The items whose score with a query may be another; threads call it.

        Returns:
            (Q + 1,) bounds; (n,) the distinct items of queries[q] from bounds[q] to bounds[q + 1];
            (n,) float32 their scores, as `score_rows` has them.
        """
        ...


class QueryScorer:
    """score(q, j) = <query_q, key_j> + bias_j: queries have vectors, and are no items.

    Args:
        queries: (Q, D) vectors; they stay on their device, in float32.
        keys: (N, D) vectors of the items.
        bias: (N,) or None.
        scorable: (N,) bool; an item that is False scores NaN. None: all are.
        answerable: (Q,) bool; a query that is False has no scores but NaN. None: all are.

    Raises:
        ValueError: shapes disagree, or a vector or a possible score is not finite, also of items
            that are not scorable. Such a score would look like one of a pair without a score.
    """

    def __init__(
        self,
        queries: Tensor | np.ndarray,
        keys: Tensor | np.ndarray,
        bias: Tensor | np.ndarray | None = None,
        scorable: Tensor | np.ndarray | None = None,
        answerable: Tensor | np.ndarray | None = None,
    ) -> None:
        self.queries = torch.as_tensor(queries).detach().float()  # (Q, D)
        self.keys = torch.as_tensor(keys).detach().float()  # (N, D)
        self.bias = self._column(bias, len(self.keys), 0.0)
        self.scorable = self._column(scorable, len(self.keys), 1.0).bool()
        self.answerable = self._column(answerable, len(self.queries), 1.0).bool()
        self._check()
        # NaN where an item, or a query, and so every pair with it, has no score
        self._offset = torch.where(self.scorable, self.bias, torch.nan)  # (N,)
        self._query_offset = torch.where(self.answerable, 0.0, torch.nan)  # (Q,)

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) scores, computed in chunks so that memory does not grow with D."""
        scores = np.empty(len(heads), np.float32)
        for start in range(0, len(heads), PAIRS_PER_CHUNK):
            chunk = slice(start, start + PAIRS_PER_CHUNK)
            head, tail = self._ids(heads[chunk]), self._ids(tails[chunk])
            values = self._products(head, tail)
            values += self._query_offset[head] + self._offset[tail]  # (chunk,)
            scores[chunk] = values.cpu().numpy()
        return scores

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) scores; the caller bounds Q."""
        return self.device_rows(queries).cpu().numpy()

    @property
    def on_gpu(self) -> bool:
        """Whether the vectors are on a GPU."""
        return self.queries.device.type == "cuda"

    def device_rows(self, queries: np.ndarray) -> Tensor:
        """The same on the device of the vectors."""
        ids = self._ids(queries)
        # addmm_ adds the products to the biases in place: every further pass over (Q, N) is slow
        scores = self._query_offset[ids, None] + self._offset  # (Q, N)
        self._add_products(scores, ids)
        return scores

    @property
    def in_tiles(self) -> bool:
        """On a CPU; between a GPU and its host, many small copies are slow."""
        return self.keys.device.type == "cpu"

    def queries_side(self, queries: np.ndarray) -> tuple[Tensor, Tensor | None]:
        """Vectors (Q, d), and what their scores have in addition, (Q, 1); None for nothing."""
        ids = self._ids(queries)
        offset = self._query_offset[ids]
        is_there = bool((offset != 0).any())  # also if NaN
        return _for_products(self._left(ids)), offset[:, None] if is_there else None

    def items_side(self, items: np.ndarray) -> tuple[Tensor, Tensor]:
        """Vectors (n, d) whose products with those of queries are the scores, and biases (n,)."""
        ids = self._ids(items)
        return _for_products(self._right(ids)), _for_products(self._offset[ids])

    def score_tile(
        self, queries: tuple[Tensor, Tensor | None], items: tuple[Tensor, Tensor]
    ) -> np.ndarray:
        """(Q, n) scores of some items."""
        (left, offset), (right, bias) = queries, items
        scores = F.linear(left, right, bias)
        scores = scores.to_dense() if scores.is_mkldnn else scores
        if offset is not None:
            scores += offset
        return scores.numpy()

    def _left(self, ids: Tensor) -> Tensor:
        """Vectors of queries whose products with those of items are the scores without biases."""
        return F.embedding(ids, self.queries)

    def _right(self, ids: Tensor) -> Tensor:
        """These vectors of items."""
        return F.embedding(ids, self.keys)

    def _products(self, head: Tensor, tail: Tensor) -> Tensor:
        # `embedding` gathers rows several times faster than an index does
        return (F.embedding(head, self.queries) * F.embedding(tail, self.keys)).sum(-1)

    def _add_products(self, scores: Tensor, ids: Tensor) -> None:
        scores.addmm_(self.queries[ids], self.keys.T)

    def _ids(self, items: np.ndarray) -> Tensor:
        return torch.tensor(items, dtype=torch.int64, device=self.queries.device)

    def _column(self, values: Tensor | np.ndarray | None, length: int, default: float) -> Tensor:
        column = torch.full((length,), default) if values is None else values
        return torch.as_tensor(column, device=self.queries.device).detach().float()

    def _check(self) -> None:
        """Shapes agree, and no score can overflow float32."""
        (num_queries, dim), num_items = self.queries.shape, len(self.keys)
        if self.keys.shape[1:] != (dim,):
            raise ValueError(
                f"queries {tuple(self.queries.shape)} and keys {tuple(self.keys.shape)} must agree"
            )
        for name, values, length in (
            ("bias", self.bias, num_items),
            ("scorable", self.scorable, num_items),
            ("answerable", self.answerable, num_queries),
        ):
            if values.shape != (length,):
                raise ValueError(f"{name} must be ({length},), got {tuple(values.shape)}")
        bound = dim * _largest(self.queries, "queries") * _largest(self.keys, "keys")
        bound += 2 * _largest(self.bias, "bias")
        if bound > torch.finfo(torch.float32).max:
            raise ValueError(f"scores may reach {bound:.3g} and overflow; rescale the vectors")


class VectorScorer(QueryScorer):
    """score(i, j) = <query_i, key_j> + bias_i + bias_j, of two items.

    Scores are symmetric where queries and keys are the same vectors or `both_ways` is set. Else
    they have a direction: j comes after i.

    Args:
        queries: (N, D) vectors; they stay on their device, in float32.
        keys: (N, D) vectors.
        bias: (N,) or None.
        both_ways: take the mean of <query_i, key_j> and <query_j, key_i> for the product.
        scorable: (N,) bool; a pair with an end that is False scores NaN. None: all are.

    Raises:
        ValueError: as `QueryScorer`.
    """

    def __init__(
        self,
        queries: Tensor | np.ndarray,
        keys: Tensor | np.ndarray,
        bias: Tensor | np.ndarray | None = None,
        both_ways: bool = False,
        scorable: Tensor | np.ndarray | None = None,
    ) -> None:
        super().__init__(queries, keys, bias, scorable)
        self.both_ways = both_ways
        self.directed = not both_ways and self.queries.data_ptr() != self.keys.data_ptr()
        self._query_offset = self._offset

    def _products(self, head: Tensor, tail: Tensor) -> Tensor:
        values = super()._products(head, tail)
        return (values + super()._products(tail, head)) / 2 if self.both_ways else values

    def _left(self, ids: Tensor) -> Tensor:
        vectors = super()._left(ids)
        if not self.both_ways:
            return vectors
        return torch.cat([vectors, F.embedding(ids, self.keys)], dim=1) / 2

    def _right(self, ids: Tensor) -> Tensor:
        vectors = super()._right(ids)
        if not self.both_ways:
            return vectors
        return torch.cat([vectors, F.embedding(ids, self.queries)], dim=1)

    def _add_products(self, scores: Tensor, ids: Tensor) -> None:
        share = 0.5 if self.both_ways else 1.0
        scores.addmm_(self.queries[ids], self.keys.T, alpha=share)
        if self.both_ways:
            scores.addmm_(self.keys[ids], self.queries.T, alpha=share)

    def _check(self) -> None:
        if self.keys.shape != self.queries.shape:
            raise ValueError(
                f"queries {tuple(self.queries.shape)} and keys {tuple(self.keys.shape)} must agree"
            )
        super()._check()


def on_device(scorer: VectorScorer, device: torch.device) -> VectorScorer:
    """The same scorer with its vectors on a device."""
    same = scorer.queries.data_ptr() == scorer.keys.data_ptr()
    queries = scorer.queries.to(device)
    keys = queries if same else scorer.keys.to(device)
    return VectorScorer(queries, keys, scorer.bias, scorer.both_ways, scorer.scorable)


def first_items(nodes: VectorScorer, num_items: int) -> VectorScorer:
    """The scorer of the first N of its nodes, which are the items."""
    if len(nodes.keys) == num_items:
        return nodes
    some = slice(num_items)
    return VectorScorer(
        nodes.queries[some], nodes.keys[some], nodes.bias[some], nodes.both_ways,
        nodes.scorable[some],
    )  # fmt: skip


def has_another_cosine(scorer: Scorer) -> TypeGuard[VectorScorer]:
    """Whether it has vectors whose cosine is another score than its own."""
    if not isinstance(scorer, VectorScorer):
        return False
    lengths = scorer.queries.norm(dim=1)  # (N,)
    is_unit = bool(((lengths - 1.0).abs() <= _UNIT_ERROR)[scorer.scorable].all())
    is_plain = not (scorer.directed or scorer.both_ways)
    return not (is_plain and is_unit and not scorer.bias.any())


def cosine_scorer(scorer: Scorer) -> VectorScorer | None:
    """Score by the cosine of the plain item vectors, which are the queries of a `VectorScorer`.

    It can score the items that the scorer can. A vector of zeros has a cosine of 0 with all.

    Returns:
        None where the scorer has no vectors, or is that cosine itself.
    """
    if not has_another_cosine(scorer):
        return None
    unit = F.normalize(scorer.queries, dim=1)
    return VectorScorer(unit, unit, scorable=scorer.scorable)


def _for_products(values: Tensor) -> Tensor:
    """A tensor in the form of oneDNN, which takes half the time of MKL where it is not Intel's."""
    return values.to_mkldnn() if torch.backends.mkldnn.is_available() else values


def _largest(values: Tensor, name: str) -> float:
    """Largest absolute value; NaN and infinity are refused."""
    low, high = map(float, torch.aminmax(values))  # NaN if any value is
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} hold NaN or infinite values: training diverged, or a bad file")
    return max(-low, high)
