"""The training events of a log as sequences, in the order in which they happened."""

import logging
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from annotated_types import MinLen

from recsys_lab.catalog.event_parts import TRAIN
from recsys_lab.catalog.event_split import EventSplit, of_kinds
from recsys_lab.catalog.nodes import Nodes
from recsys_lab.catalog.split import Split
from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count, WalkLength
from recsys_lab.data.sequences import StoredSequences
from recsys_lab.readers.account import CatalogError

log = logging.getLogger(__name__)


@checked
def event_sequences(
    split: Split | EventSplit,
    max_length: WalkLength,
    *,
    by: Literal["session", "user"],
    seed: int,
    goal_kinds: Annotated[Sequence[str], MinLen(1)] | None,
    goal_repeats: Count,
    nodes: Nodes | None = None,
) -> StoredSequences:
    """Sessions, or the whole past of users, cut into rows of at most `max_length` places.

    Args:
        split: of an event log by its events; held-out events are in no sequence.
        max_length: longest row; longer sequences are cut into pieces of nearly equal length.
        by: whose events make a sequence.
        seed: of the order of the rows in each epoch.
        goal_kinds: kinds of events, such as purchases; the item of the last training event of such
            a kind is the goal of its session, a context of all its places. None: there are none.
        goal_repeats: rows of a session with a goal come so many times in an epoch.
        nodes: with users or types, a single event makes a row, too: it has an item and a type.

    Raises:
        CatalogError: the split is not one of events, no sequence has two places, or no event is of
            a kind.
    """
    _check_goals(by, goal_kinds, goal_repeats)
    if not isinstance(split, EventSplit):
        raise CatalogError(
            "source=events trains on the training events of a split by events: use "
            "split=leave_one_out or split=time with catalog=events, or data/source=walks"
        )
    places = np.flatnonzero(split.part == TRAIN)
    owner = (split.events.session if by == "session" else split.events.user)[places]
    items = split.events.item[places]
    shortest = 1 if nodes is not None and nodes.with_events else 2
    events, owner_of_row = cut_rows(owner, places, max_length, shortest)
    if len(events) == 0:
        raise CatalogError(f"no {by} has two training events: use by={_other(by)}")
    table = np.where(events >= 0, split.events.item[events], -1)
    if goal_kinds is None:
        return StoredSequences(table, split.num_items, seed=seed, events=events)
    is_goal = of_kinds(split.events, goal_kinds, "goal_kinds")[places]
    goals = _last_of_owner(owner[is_goal], items[is_goal], owner_of_row)
    repeats = np.where(goals >= 0, goal_repeats, 1)
    log.info(
        "%s of %s rows of sessions have a goal, a context of all their places%s",
        f"{int((goals >= 0).sum()):,}", f"{len(goals):,}",
        f"; they come {goal_repeats} times" if goal_repeats > 1 else "",
    )  # fmt: skip
    table, events, goals = (np.repeat(x, repeats, axis=0) for x in (table, events, goals))
    return StoredSequences(table, split.num_items, seed=seed, goals=goals, events=events)


def _check_goals(by: str, goal_kinds: Sequence[str] | None, goal_repeats: int) -> None:
    if goal_kinds is not None and by != "session":
        raise ValueError(f"goal_kinds are of sessions, got by={by}: use by=session")
    if goal_kinds is None and goal_repeats > 1:
        raise ValueError(
            f"goal_repeats={goal_repeats} has no effect without goal_kinds: name kinds of events "
            "there, such as [purchase]"
        )


def _last_of_owner(owner: np.ndarray, items: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The last item of each of the wanted owners, int32, -1 where it has none; `owner` ascends."""
    if len(owner) == 0:
        return np.full(len(wanted), -1, np.int32)
    last = np.maximum(np.searchsorted(owner, wanted, side="right") - 1, 0)
    return np.where(owner[last] == wanted, items[last], -1).astype(np.int32)


def cut_rows(
    owner: np.ndarray, items: np.ndarray, max_length: int, shortest: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (S, L) int32 of the items of each owner in their order, -1 for padding; and their owner.

    An owner of n items gets ceil(n / max_length) rows, as equal in length as can be; owners of
    fewer than `shortest` items get none.

    Args:
        owner: (E,) ascending.
        items: (E,).
        max_length: L.
        shortest: number of items.
    """
    names, starts, sizes = np.unique(owner, return_index=True, return_counts=True)
    kept = sizes >= shortest
    names, starts, sizes = names[kept], starts[kept], sizes[kept]
    pieces = -(-sizes // max_length)  # of each owner
    place = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    piece = place * np.repeat(pieces, sizes) // np.repeat(sizes, sizes)
    first_of_piece = -(-piece * np.repeat(sizes, sizes) // np.repeat(pieces, sizes))
    rows = np.full((int(pieces.sum()), max_length), -1, np.int32)
    row = np.repeat(np.cumsum(pieces) - pieces, sizes) + piece
    rows[row, place - first_of_piece] = items[np.repeat(starts, sizes) + place]
    return rows, np.repeat(names, pieces)


def _other(by: str) -> str:
    return "user" if by == "session" else "session"
