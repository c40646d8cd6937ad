"""Filters of events by how many their item and their user have."""

from typing import NamedTuple

import numpy as np


class Core(NamedTuple):
    """Which events stay, and why others do not."""

    stays: np.ndarray  # (E,) bool
    of_items: int  # events dropped since their item has too few
    of_users: int  # the same for users


def core_of(item: np.ndarray, user: np.ndarray, per_item: int, per_user: int) -> Core:
    """The largest set of events where every item and every user has enough of them.

    Items and users with too few are removed in turn until none is left (the k-core of the bipartite
    graph); repeated events count each time. The result does not depend on the order.

    Args:
        item: (E,) codes.
        user: (E,) codes.
        per_item: least number of events of an item.
        per_user: least number of events of a user.
    """
    stays = np.ones(len(item), bool)
    dropped = [0, 0]
    changed = max(per_item, per_user) > 1
    while changed:
        changed = False
        for k, (codes, least) in enumerate(((item, per_item), (user, per_user))):
            counts = np.bincount(codes[stays], minlength=1)
            few = stays & (counts[np.minimum(codes, len(counts) - 1)] < least)
            dropped[k] += int(few.sum())
            changed = changed or bool(few.any())
            stays &= ~few
    return Core(stays, *dropped)
