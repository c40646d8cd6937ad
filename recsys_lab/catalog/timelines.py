"""What was known of a user at a moment: entries one behind the other, read before they count."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys_lab.catalog.event_parts import TRAIN
from recsys_lab.catalog.event_split import PARTS, EventSplit, Part

_MOST_ENTRIES = 1 << 22  # of one timeline, so that memory is bounded


@dataclass(frozen=True)
class Timeline:
    """Runs of entries. What is read at an entry depends on the earlier entries of its run alone.

    Attributes:
        run: (n,) ascending, which run an entry belongs to.
        user: (n,) int32, whose run it is.
        place: (n,) the event of the entry; -1 for a moment without an event, which ends its run.
    """

    run: np.ndarray
    user: np.ndarray
    place: np.ndarray

    def __len__(self) -> int:
        return len(self.run)

    @cached_property
    def first(self) -> np.ndarray:
        """(n,) the entry that begins the run of each entry."""
        return np.searchsorted(self.run, self.run)

    @property
    def ends(self) -> np.ndarray:
        """The moments without an event."""
        return np.flatnonzero(self.place < 0)

    def count_before(self, counts: np.ndarray) -> np.ndarray:
        """(n,) how many of the earlier entries of the run count; `counts` is (n,) bool."""
        before = np.cumsum(counts) - counts
        return np.asarray(before - before[self.first])

    def changes(self, values: np.ndarray) -> np.ndarray:
        """Mask (n,) of the events whose value differs from that of the event before in the run."""
        begins = np.arange(len(self)) == self.first
        differs = np.diff(values, prepend=values[:1]) != 0
        return (begins | differs) & (self.place >= 0)


def of_training(split: EventSplit) -> Timeline:
    """The training events of each user."""
    places = np.flatnonzero(split.part == TRAIN)
    user = split.events.user[places]
    return Timeline(user, user, places)


def of_users(split: EventSplit, counts: np.ndarray | None = None) -> Timeline:
    """The events of each user that count, (E,) bool, or all; a moment is their end."""
    user, num_users = split.events.user, split.events.users.height
    bounds = np.searchsorted(user, np.arange(num_users + 1))
    ranges = np.arange(num_users), bounds[:-1], bounds[1:]
    return _ranges(*ranges, np.arange(num_users, dtype=np.int32), counts)


def of_queries(split: EventSplit, part: Part) -> Iterator[Timeline]:
    """What is known when the targets of a part are asked, some queries at a time.

    It is the history of the query; where queries are sessions, also the training events of its user
    before it. A moment ends each run; runs are numbered by query.
    """
    query, user = split.query, split.events.user
    begin = np.searchsorted(query, np.arange(split.num_queries))
    limit = np.searchsorted(query, np.arange(split.num_queries), side="right")
    low = begin
    if split.ordered:
        targets = np.flatnonzero(split.is_target & (split.part == PARTS[part]))
        np.minimum.at(limit, query[targets], targets)
        low = np.searchsorted(user, user[begin])
    done = 0
    while done < split.num_queries:
        ends = np.cumsum((limit - low)[done:] + 1)
        count = max(1, int(np.searchsorted(ends, _MOST_ENTRIES, side="right")))
        rows = np.arange(done, done + count)
        found = _ranges(rows, low[rows], limit[rows], user[begin[rows]], None)
        own = query[found.place] == found.run
        known = np.where(own, split.in_history[part][found.place], split.part[found.place] == TRAIN)
        kept = known | (found.place < 0)
        yield Timeline(found.run[kept], found.user[kept], found.place[kept])
        done += count


def _ranges(
    runs: np.ndarray, low: np.ndarray, high: np.ndarray, user: np.ndarray, counts: np.ndarray | None
) -> Timeline:
    """Of each run the events low .. high - 1 that count, then a moment."""
    sizes = high - low + 1
    ends = np.cumsum(sizes)
    place = np.arange(int(sizes.sum())) + np.repeat(low - ends + sizes, sizes)
    place[ends - 1] = -1
    line = Timeline(np.repeat(runs, sizes), np.repeat(user, sizes), place)
    if counts is None:
        return line
    kept = counts[place] | (place < 0)
    return Timeline(line.run[kept], line.user[kept], line.place[kept])
