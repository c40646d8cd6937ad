"""The training events of a log as distinct pairs of an item and another node, such as a user."""

from recsys_lab.catalog.event_parts import TRAIN
from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.nodes import Group
from recsys_lab.catalog.pairs import ItemPairs, build_pairs


def interaction_pairs(split: EventSplit, group: Group, num_nodes: int) -> ItemPairs:
    """Pairs of items and nodes of a group, such as users, that meet in a training event.

    A pair weighs the sum of its events. Nodes come after the items, so the item is the head of each
    pair and the other node is its tail.

    Args:
        split: of an event log; held-out events are in no pair.
        group: whose nodes have events.
        num_nodes: V, items and other nodes together.
    """
    node, events = group.of_events, split.events
    if node is None:
        raise ValueError(f"no event has a node of {group.name}")
    chosen = (split.part == TRAIN) & (node >= 0)
    return build_pairs(events.item[chosen], node[chosen], events.weight[chosen], num_nodes)
