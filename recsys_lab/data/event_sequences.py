"""The training events of a log as sequences, in the order in which they happened."""

from typing import Literal

import numpy as np

from recsys_lab.catalog.event_parts import TRAIN
from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.split import Split
from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import WalkLength
from recsys_lab.data.sequences import StoredSequences
from recsys_lab.readers.account import CatalogError


@checked
def event_sequences(
    split: Split | EventSplit, max_length: WalkLength, *, by: Literal["session", "user"], seed: int
) -> StoredSequences:
    """Sessions, or the whole past of users, cut into rows of at most `max_length` places.

    Args:
        split: of an event log by its events; held-out events are in no sequence.
        max_length: longest row; longer sequences are cut into pieces of nearly equal length.
        by: whose events make a sequence.
        seed: of the order of the rows in each epoch.

    Raises:
        CatalogError: the split is not one of events, or no sequence has two places.
    """
    if not isinstance(split, EventSplit):
        raise CatalogError(
            "source=events trains on the training events of a split by events: use "
            "split=leave_one_out or split=time with catalog=events, or data/source=walks"
        )
    places = np.flatnonzero(split.part == TRAIN)
    owner = (split.events.session if by == "session" else split.events.user)[places]
    table = cut_rows(owner, split.events.item[places], max_length)
    if len(table) == 0:
        raise CatalogError(f"no {by} has two training events: use by={_other(by)}")
    return StoredSequences(table, split.num_items, seed=seed)


def cut_rows(owner: np.ndarray, items: np.ndarray, max_length: int) -> np.ndarray:
    """Rows (S, L) int32 of the items of each owner in their order, -1 for padding.

    An owner of n items gets ceil(n / max_length) rows, as equal in length as can be; owners of a
    single item get none.

    Args:
        owner: (E,) ascending.
        items: (E,).
        max_length: L.
    """
    _, starts, sizes = np.unique(owner, return_index=True, return_counts=True)
    several = sizes > 1
    starts, sizes = starts[several], sizes[several]
    pieces = -(-sizes // max_length)  # of each owner
    place = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    piece = place * np.repeat(pieces, sizes) // np.repeat(sizes, sizes)
    first_of_piece = -(-piece * np.repeat(sizes, sizes) // np.repeat(pieces, sizes))
    rows = np.full((int(pieces.sum()), max_length), -1, np.int32)
    row = np.repeat(np.cumsum(pieces) - pieces, sizes) + piece
    rows[row, place - first_of_piece] = items[np.repeat(starts, sizes) + place]
    return rows


def _other(by: str) -> str:
    return "user" if by == "session" else "session"
