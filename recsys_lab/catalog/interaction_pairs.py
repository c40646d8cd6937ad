"""The training events of a log as distinct pairs of an item and another node, such as a user."""

import numpy as np

from recsys_lab.catalog.event_parts import TRAIN
from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.pairs import ItemPairs, build_pairs


def interaction_pairs(split: EventSplit, of_events: np.ndarray, num_nodes: int) -> ItemPairs:
    """Pairs of items and nodes that meet in a training event, in any order of events.

    A pair weighs the sum of its events. Nodes come after the items, so the item is the head of each
    pair and the other node is its tail.

    Args:
        split: of an event log; held-out events are in no pair.
        of_events: (E,) node of each event, -1 for none.
        num_nodes: V, items and other nodes together.
    """
    chosen = (split.part == TRAIN) & (of_events >= 0)
    events = split.events
    return build_pairs(events.item[chosen], of_events[chosen], events.weight[chosen], num_nodes)
