"""The order of events, and the sessions in it."""

from typing import NamedTuple

import numpy as np


class Ordered(NamedTuple):
    """Events in order, and what was done for it."""

    order: np.ndarray  # (E,) int64, places before
    session: np.ndarray  # (E,) int32, ascending
    cut: int  # sessions more than there were, since others of their user lie between


def order_events(
    user: np.ndarray,
    time: np.ndarray | None,
    session: np.ndarray | None = None,
    ties: np.ndarray | None = None,
    gap: float | None = None,
) -> Ordered:
    """Order by user, time, session, `ties`, place; cut sessions.

    A session ends where its user or its name changes, or where the user is idle for longer than
    the gap. Of sessions at the same time the one that began first comes first. Without times, a
    session's events stand together, and sessions in the order of their first events.

    Args:
        user: (E,) ranks.
        time: (E,) seconds; None: the order is that of the places.
        session: (E,) codes of names, which belong to one user each; None for none.
        ties: (E,) what orders events of one time and session.
        gap: idle seconds beyond which a session ends; None for none.
    """
    keys = [user] if time is None else [time, user]
    if ties is not None:
        keys = [ties, *keys]
    order = np.lexsort(keys)
    if session is not None:
        _, first, of = np.unique(session[order], return_index=True, return_inverse=True)
        began = np.empty(len(user), np.int64)
        began[order] = first[of]
        keys = [began, user] if time is None else [began, time, user]
        order = np.lexsort([ties, *keys] if ties is not None else keys)
    starts = np.ones(len(user), bool)
    starts[1:] = np.diff(user[order]) != 0
    cut = 0
    if session is not None:
        starts[1:] |= np.diff(session[order]) != 0
        cut = int(starts.sum()) - len(first)
    if gap is not None and time is not None:
        starts[1:] |= np.diff(time[order]) > gap
    return Ordered(order, (np.cumsum(starts) - 1).astype(np.int32), cut)
