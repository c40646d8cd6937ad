"""Pairs of what stands at the events of sequences: items, users, types of users and of items.

Grbovic and Cheng, "Real-time Personalization using Embeddings for Search Ranking at Airbnb" (KDD
2018), section 3.2, put tokens of types between the listings of a user's bookings. Here tokens are
no places of the windows of items, which stay as they are. Beside them each place has one node of
each group, and each is a center whose contexts are the nodes of the other places in its window, and
of its own place.
"""

from itertools import product

import numpy as np
import torch

from recsys_lab.catalog.nodes import ITEM_TYPE, USER, USER_TYPE, Nodes
from recsys_lab.data.batch import PairBatch
from recsys_lab.data.chosen_contexts import NO_TYPES, NOTHING_SHOWN
from recsys_lab.data.negative_sampler import NegativeSampler
from recsys_lab.graph.counter import stream_key
from recsys_lab.readers.records import Events

_NEGATIVES = 1


class NodePairs:
    """Draws pairs of nodes at the events of sequences, of which not both are items.

    For each place and each ordered pair of groups a context is drawn from the window: at distance
    d with a chance in proportion to its weight, and of another group at distance 0 as at distance
    1. Negatives are of the group of the context. A node is no context of itself.

    Args:
        events: of the log.
        nodes: of the run.
        item_sampler: of negatives that are items.
        by_distance: (L,) `windows.distance_weights`.
        negative_exponent: negatives of a group follow its counts ** exponent.
        num_contexts: contexts drawn for each place and pair of groups.
        num_negatives: for each pair.
        num_rejected: where a user or a user's type meets the type of an item that was chosen among
            shown ones, so many negatives are types of the others (the paper's explicit negatives).

    Raises:
        ValueError: rejected types are asked for, and there are none.
    """

    def __init__(
        self,
        events: Events,
        nodes: Nodes,
        item_sampler: NegativeSampler,
        by_distance: np.ndarray,
        negative_exponent: float,
        num_contexts: int,
        num_negatives: int,
        num_rejected: int,
    ) -> None:
        groups = nodes.with_events
        self._names = ["item", *(group.name for group in groups)]
        self._of_events = [
            events.item,
            *(group.of_events for group in groups if group.of_events is not None),
        ]
        self._firsts = [0, *(group.first for group in groups)]
        self._samplers = [
            item_sampler,
            *(NegativeSampler(group.counts, negative_exponent) for group in groups),
        ]
        reach = int(np.flatnonzero(by_distance).max(initial=0))
        around = np.concatenate([by_distance[reach:0:-1], [0.0], by_distance[1 : reach + 1]])
        self._offsets = np.arange(-reach, reach + 1)
        self._chances = {True: _shares(around)}
        around[reach] = by_distance[1]
        self._chances[False] = _shares(around)
        self._num_contexts, self._num_negatives = num_contexts, num_negatives
        self._num_rejected = min(num_rejected, num_negatives)
        self._offered, self._of_shown = np.zeros(1, np.int64), np.zeros(0, np.int32)
        if num_rejected:
            self._offered, self._of_shown = _shown_types(events, nodes)

    def draw(self, events: np.ndarray, seed: tuple[int, ...]) -> PairBatch:
        """The pairs of sequences of events (W, L), -1 for padding, in random order."""
        rng, choice = (np.random.default_rng([*seed, purpose]) for purpose in range(2))
        found: list[tuple[np.ndarray, ...]] = []
        for number, (a, b) in enumerate(product(range(len(self._names)), repeat=2)):
            if a or b:
                rows, places, others = self._places(events, a, b, rng)
                centers = self._of_events[a][events[rows, places]].astype(np.int64)
                chosen = events[rows, others]
                contexts = self._of_events[b][chosen].astype(np.int64)
                kept = (centers >= 0) & (contexts >= 0) & (centers != contexts)
                centers, contexts, chosen = centers[kept], contexts[kept], chosen[kept]
                key = stream_key(*seed, number, _NEGATIVES)
                drawn = self._samplers[b].draw(len(centers) * self._num_negatives, key)
                negatives = self._firsts[b] + drawn.reshape(-1, self._num_negatives)
                if self._num_rejected and self._are_choices(a, b):
                    self._reject(negatives, contexts, chosen, choice)
                found.append((centers, contexts, negatives))
        centers, contexts, negatives = map(np.concatenate, zip(*found, strict=True))
        order = rng.permutation(len(centers))
        return PairBatch(
            torch.from_numpy(centers[order]),
            torch.from_numpy(contexts[order]),
            torch.from_numpy(negatives[order]),
            torch.ones(len(order)),
            num_trained=int((events >= 0).sum()),
        )

    def _places(
        self, events: np.ndarray, a: int, b: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows and places of centers of group a, and the places of their contexts of group b."""
        rows, places = np.nonzero(events >= 0)
        rows, places = (np.repeat(x, self._num_contexts) for x in (rows, places))
        ends = np.cumsum(self._chances[a == b])
        step = np.searchsorted(ends, rng.random(len(rows)) * ends[-1], side="right")
        others = places + self._offsets[np.minimum(step, len(self._offsets) - 1)]
        inside = (others >= 0) & (others < events.shape[1])
        inside[inside] = events[rows[inside], others[inside]] >= 0
        return rows[inside], places[inside], others[inside]

    def _are_choices(self, a: int, b: int) -> bool:
        return self._names[a] in (USER, USER_TYPE) and self._names[b] == ITEM_TYPE

    def _reject(
        self,
        negatives: np.ndarray,
        contexts: np.ndarray,
        events: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        """Put types of other items that were shown with events (n,) in the place of the first."""
        low, high = self._offered[events], self._offered[events + 1]
        for column in range(self._num_rejected):
            place = low + (rng.random(len(low)) * (high - low)).astype(np.int64)
            types = self._of_shown[np.minimum(place, len(self._of_shown) - 1)]
            counts = (low < high) & (types >= 0) & (types != contexts)
            negatives[counts, column] = types[counts]


def _shares(weights: np.ndarray) -> np.ndarray:
    return weights / max(weights.sum(), 1e-12)


def _shown_types(events: Events, nodes: Nodes) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (E + 1,) and item types (S,) of what was shown with each event."""
    if events.shown_offsets is None:
        raise ValueError(NOTHING_SHOWN)
    for group in nodes.groups:
        if group.of_shown is not None:
            return events.shown_offsets, group.of_shown
    raise ValueError(NO_TYPES)
