"""The contracts between data and models: kinds of batches, and what is known of the items.

Every model of items takes pairs and windows; models of histories take histories, those that learn
from the ranking of a teacher take that, and spectral vectors the graph.

NamedTuples of tensors, so that Lightning moves them between devices.
Labels are not part of a batch: positives are 1 and negatives 0 inside the loss that needs them.
"""

from collections.abc import Callable
from typing import NamedTuple

import polars as pl
from torch import Tensor


class PairBatch(NamedTuple):
    """Pairs, each with negatives of its own."""

    centers: Tensor  # (B,) int64 item ids
    contexts: Tensor  # (B,) int64
    negatives: Tensor  # (B, K) int64, wrong contexts for the center
    weights: Tensor  # (B,) float32, weight of the positive; its negatives share it
    num_trained: int  # items of the sequences, or pairs, that the batch comes from
    low_rank: Tensor | None = None  # (B,) int64, a positive of lower weight of the center, -1 none


class ChosenContexts(NamedTuple):
    """Contexts that are chosen for some centers of a group, beside its places: X columns more.

    Such as the item that a session ends in, or negatives from the market of a center.
    """

    items: Tensor  # (G, X) int64 item ids, -1 for none
    positive: Tensor  # (G, C, X) float32, weight as a positive of each center
    negative: Tensor  # (G, C, X) float32, weight as a negative over the weight of its positives


class WindowBatch(NamedTuple):
    """A block of walks (or other sequences), in G groups that share their negatives.

    Columns of a group are the C = (W / G) * L places of its walks, then its K drawn negatives. A
    center takes as negatives the columns of other walks of its group, by `column_weights`; K may
    be 0, then in-batch negatives are all there is.
    """

    items: Tensor  # (G, W / G, L) int64 item ids, -1 where a walk is shorter than L
    negatives: Tensor  # (G, K) int64 drawn negatives
    column_weights: Tensor  # (G, C + K) float32, relative weight as a negative, 0 for none
    distance_weights: Tensor  # (L,) float32, weight of a positive by its distance; [0] is 0
    num_negatives: float  # weight of the negatives over that of the positives
    num_trained: int  # places that are not padding
    chosen: ChosenContexts | None = None  # count by their own weights alone
    first_context: int = 0  # row of item 0 among the contexts of a model (`GraphContexts`)


class HistoryBatch(NamedTuple):
    """Histories, each with the item that came next; the negatives are shared."""

    histories: Tensor  # (B, L) int64 item ids, -1 where a history is shorter than L
    weights: Tensor  # (B, L) float32 of the items of a history; they sum to one
    targets: Tensor  # (B,) int64, what came next
    negatives: Tensor  # (K,) int64, distinct
    chances: Tensor  # (K,) float32, of each to be among the negatives
    num_trained: int


class TeacherBatch(NamedTuple):
    """Items, each with the items that a teacher ranks first for it; the negatives are shared."""

    queries: Tensor  # (B,) int64 item ids
    items: Tensor  # (B, T) int64, ranked by the teacher; any id where the share is 0
    shares: Tensor  # (B, T) float32, of the teacher's scores; a row sums to one
    negatives: Tensor  # (K,) int64, distinct
    chances: Tensor  # (K,) float32, of each to be among the negatives
    excluded: Tensor  # (B, K) bool, negatives that a query ranks or has in a training pair
    num_trained: int  # queries


class Neighbours(NamedTuple):
    """Weighted neighbours of every item; the weights are above 0."""

    offsets: Tensor  # (N + 1,) int64; those of item i are items[offsets[i]:offsets[i + 1]]
    items: Tensor  # (E,) int32
    weights: Tensor  # (E,) float32


class GraphBatch(NamedTuple):
    """The whole training graph."""

    neighbours: Neighbours
    num_trained: int  # items with a neighbour


Batch = PairBatch | WindowBatch | HistoryBatch | TeacherBatch | GraphBatch


def first_context(batch: Batch) -> int:
    """The row of item 0 among the contexts of a model; they have several for an item by graphs."""
    return batch.first_context if isinstance(batch, WindowBatch) else 0


def no_chosen(batch: WindowBatch) -> ChosenContexts:
    """No chosen contexts at all, X = 0."""
    groups, walks, length = batch.items.shape
    none = batch.column_weights.new_empty(groups, walks * length, 0)
    return ChosenContexts(batch.items.new_empty(groups, 0), none, none)


def pinned(batch: Batch) -> Batch:
    """The batch in memory that a GPU copies from without waiting for what it has to do."""
    if isinstance(batch, WindowBatch) and batch.chosen is not None:
        batch = batch._replace(chosen=ChosenContexts(*(x.pin_memory() for x in batch.chosen)))
    tensors = {name: x for name, x in batch._asdict().items() if isinstance(x, Tensor)}
    return batch._replace(**{name: x.pin_memory() for name, x in tensors.items()})  # type: ignore[arg-type]


class FieldCodes(NamedTuple):
    """One field of side information; an item has any number of values, none if it is missing."""

    offsets: Tensor  # (N + 1,) int64; the codes of item i are codes[offsets[i]:offsets[i + 1]]
    codes: Tensor  # (V,) int64 in 0 .. cardinality - 1
    cardinality: int


class VisitedItems(NamedTuple):
    """The T items that short walks from every item visit most: `graph.visits.most_visited`."""

    neighbours: Tensor  # (N, T) int32
    shares: Tensor  # (N, T) float32, of the visits; 0 where there is no neighbour


class Items(NamedTuple):
    """What a model may know of the items before training."""

    degrees: Tensor  # (N,) int64 training pairs of each item; 0 where it is cold
    field: Callable[[str], FieldCodes]  # side information by name
    raw_ids: pl.Series  # (N,) as the catalogue was written
    neighbours: Callable[[], Neighbours]  # in the training graph; a pair stands in both rows
    visited: Callable[[int, int, int], VisitedItems]  # given T, walks of an item and their steps
    group_firsts: tuple[int, ...] = ()  # id of the first node of each group beside the items
