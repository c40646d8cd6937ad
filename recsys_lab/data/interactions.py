"""Pairs of nodes: users with their items, items with their labels, items with other items."""

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import MinLen

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.interaction_pairs import interaction_pairs
from recsys_lab.catalog.nodes import USER, Nodes
from recsys_lab.catalog.split import Split
from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count, Distinct, Exponent, ThreadsOrZero
from recsys_lab.data.negative_sampler import NegativeSampler
from recsys_lab.data.pair_epochs import PairEpochs, pair_weights, turned_at_random
from recsys_lab.graph.counter import stream_key
from recsys_lab.readers.account import CatalogError

_LOW_RANK = 10  # purpose of a stream
PairKind = Literal["user_item", "item_label", "item_item"]


class _Pairs(NamedTuple):
    """Distinct pairs, sorted by center, then by weight."""

    centers: np.ndarray  # (P,) node ids
    contexts: np.ndarray  # (P,)
    weights: np.ndarray  # (P,) float32
    first: np.ndarray  # (P,) place of the first pair of the center
    num_lower: np.ndarray  # (P,) pairs of the center that weigh less; they begin at `first`


class InteractionDataModule(PairEpochs):
    """Each user with each of its items, each item with each of its labels, the pairs of items.

    Each pair comes once in an epoch. A center is a user and its context an item; a center is an
    item and its context a label; pairs of items are turned round at random. Only items in training
    have labels here. For the pair of a user a batch names another of its items, drawn among those
    that weigh less (`PairBatch.low_rank`).

    Args:
        split: what is held out is in no pair; users need one of an event log by its events.
        nodes: users, and labels, beside the items.
        catalog: gives the labels of the items.
        seed: of the order and of the negatives.
        pairs: which pairs.
        batch_size: pairs in a batch.
        num_negatives: negatives drawn for each pair, of the group of its context.
        negative_exponent: negatives follow (number of pairs of the node) ** exponent.
        use_weights: weigh a user's pair by the sum of its events over the mean, and a pair of items
            likewise by its weight; else all alike.
        num_workers: threads that draw ahead.

    Raises:
        CatalogError: the nodes of the pairs are missing, or the events of users.
    """

    @checked
    def __init__(
        self,
        split: Split | EventSplit,
        nodes: Nodes,
        catalog: ItemCatalog,
        seed: int,
        *,
        pairs: Annotated[Sequence[PairKind], MinLen(1), Distinct()],
        batch_size: Count,
        num_negatives: Count,
        negative_exponent: Exponent,
        use_weights: bool,
        num_workers: ThreadsOrZero,
    ) -> None:
        found = []
        if "user_item" in pairs:
            found.append(_user_items(split, nodes, use_weights=use_weights))
        if "item_label" in pairs:
            found.append(_item_labels(split.seen, nodes, catalog))
        if "item_item" in pairs:
            found.append(_item_items(split, use_weights=use_weights))
        centers, contexts, weights, first, num_lower = map(np.concatenate, zip(*found, strict=True))
        as_center, as_context = (np.bincount(x, minlength=len(nodes)) for x in (centers, contexts))
        super().__init__(
            seed,
            centers,
            contexts,
            weights,
            as_center + as_context,
            batch_size=batch_size,
            num_negatives=num_negatives,
            num_workers=num_workers,
        )
        self._both_items = (centers < nodes.num_items) & (contexts < nodes.num_items)
        turned = np.bincount(centers[self._both_items], minlength=len(nodes))
        self._samplers = _GroupSamplers(as_context + turned, nodes, negative_exponent)
        self._first, self._num_lower = first, num_lower

    def _turned(self, rows: np.ndarray, epoch: int, number: int) -> np.ndarray:
        turned = turned_at_random(self._seed, epoch, number, len(rows))
        return np.where(self._both_items[rows], turned, 0)

    def _negatives(self, contexts: np.ndarray, key: np.uint64) -> np.ndarray:
        return self._samplers.draw(contexts, self._num_negatives, key)

    def _low_rank(self, rows: np.ndarray, epoch: int, number: int) -> torch.Tensor:
        rng = np.random.default_rng([self._seed, epoch, number, _LOW_RANK])
        num_lower = self._num_lower[rows]
        drawn = self._first[rows] + (rng.random(len(rows)) * num_lower).astype(np.int64)
        return torch.from_numpy(np.where(num_lower > 0, self._ends[drawn, 1], -1))


class _GroupSamplers:
    """Draws nodes of the group of a context with probability ~ count ** exponent.

    Args:
        counts: (V,) pairs of each node, as a context.
        nodes: the groups.
        exponent: see `NegativeSampler`.
    """

    def __init__(self, counts: np.ndarray, nodes: Nodes, exponent: float) -> None:
        self._first = np.array([0, *(group.first for group in nodes.groups)])
        parts = np.split(counts, self._first[1:])
        self._samplers = [NegativeSampler(part, exponent) if part.any() else None for part in parts]

    def draw(self, contexts: np.ndarray, num_negatives: int, key: np.uint64) -> np.ndarray:
        """Negatives (B, K) int64 for contexts (B,), a pure function of these and the key."""
        group_of = np.searchsorted(self._first, contexts, side="right") - 1
        drawn = np.empty((len(contexts), num_negatives), np.int64)
        for group, sampler in enumerate(self._samplers):
            places = np.flatnonzero(group_of == group)
            if sampler is not None and len(places):
                found = sampler.draw(len(places) * num_negatives, stream_key(int(key), group))
                drawn[places] = self._first[group] + found.reshape(-1, num_negatives)
        return drawn


def _user_items(split: Split | EventSplit, nodes: Nodes, *, use_weights: bool) -> _Pairs:
    if not isinstance(split, EventSplit):
        raise CatalogError(
            "pairs=[user_item] are those of the events of a log: use split=leave_one_out, "
            "split=time or split=given with catalog=events, or other pairs"
        )
    pairs = interaction_pairs(split, nodes.group(USER), len(nodes))
    order = np.lexsort((pairs.heads, pairs.weights, pairs.tails))
    centers, contexts, weights = pairs.tails[order], pairs.heads[order], pairs.weights[order]
    first, num_lower = _lower_places(centers, weights)
    shares = pair_weights(weights, use_weights=use_weights)
    return _Pairs(centers, contexts, shares, first, num_lower)


def _lower_places(centers: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First pair of the center of each pair (P,), and how many follow that weigh less than it."""
    begins = np.diff(centers, prepend=-1) != 0
    rises = begins | (np.diff(weights, prepend=0) != 0)
    place = np.arange(len(centers))
    first, equal = (np.maximum.accumulate(np.where(mask, place, 0)) for mask in (begins, rises))
    return first, equal - first


def _item_labels(seen: np.ndarray, nodes: Nodes, catalog: ItemCatalog) -> _Pairs:
    """Items that are seen (N,) with their values in the fields whose values are nodes."""
    if not nodes.labels:
        raise CatalogError(
            "pairs=[item_label] needs labels among the nodes: set nodes.labels=[category]"
        )
    items, labels = [], []
    for group in nodes.labels:
        field = catalog.field(group.name)
        owner = np.repeat(np.arange(len(seen), dtype=np.int32), np.diff(field.offsets))
        items.append(owner[seen[owner]])
        labels.append(group.first + field.codes[seen[owner]])
    centers, contexts = np.concatenate(items), np.concatenate(labels).astype(np.int32)
    order = np.lexsort((contexts, centers))
    ones = np.ones(len(order), np.float32)
    none = np.zeros(len(order), np.int64)
    return _Pairs(centers[order], contexts[order], ones, none, none)


def _item_items(split: Split | EventSplit, *, use_weights: bool) -> _Pairs:
    train = split.train
    order = np.lexsort((train.weights, train.heads))
    weights = pair_weights(train.weights[order], use_weights=use_weights)
    none = np.zeros(len(order), np.int64)
    return _Pairs(train.heads[order], train.tails[order], weights, none, none)
