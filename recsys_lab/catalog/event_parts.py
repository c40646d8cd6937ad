"""Which part of a split each event belongs to, and which of the held-out events are targets."""

from dataclasses import dataclass

import numpy as np

LEFT_OUT, TRAIN, VAL, TEST = -1, 0, 1, 2


@dataclass(frozen=True)
class EventParts:
    """Parts of E events, which ascend by query, then by time, then by their order in the file.

    Attributes:
        part: (E,) int8, LEFT_OUT, TRAIN, VAL or TEST.
        is_target: (E,) bool, the events of VAL and TEST whose item is to be predicted; the others
            of these parts belong to the history of what follows them.
    """

    part: np.ndarray
    is_target: np.ndarray


def leave_one_out(query: np.ndarray, may_be_target: np.ndarray) -> EventParts:
    """The last event of each query for test and the last but one for validation.

    Both are the last of those that may be targets. What comes after the first of the two is no
    training, and what comes after the second is left out. An event that begins its query has no
    history and stays in training.

    Args:
        query: (E,) ascending.
        may_be_target: (E,) bool.
    """
    places = np.flatnonzero(may_be_target & ~_begins(query))
    rank = _rank_from_end(query[places])
    val, test = places[rank == 1], places[rank == 0]
    place = np.arange(len(query))
    val_place, test_place = (_place_of_query(query, found)[query] for found in (val, test))
    part = np.where(place >= test_place, TEST, np.where(place >= val_place, VAL, TRAIN))
    part = np.where(place > test_place, LEFT_OUT, part).astype(np.int8)
    return EventParts(part, (place == val_place) | (place == test_place))


def by_time(
    time: np.ndarray,
    moment: np.ndarray,
    may_be_target: np.ndarray,
    val_share: float,
    test_share: float,
) -> EventParts:
    """Cut at two moments: training before the first, validation before the second, then test.

    Events of one moment stay together, so that a part may be larger than its share.

    Args:
        time: (E,) of each event; no event of training is at the first cut or later.
        moment: (E,) what is compared with the cuts: `time`, or `session_moments`.
        may_be_target: (E,) bool.
        val_share: of the events, that go to validation.
        test_share: of the events, that go to test.
    """
    ordered, count = np.sort(moment), len(moment)
    num_test, num_val = (max(1, round(count * share)) for share in (test_share, val_share))
    first, second = (ordered[max(0, count - n)] for n in (num_test + num_val, num_test))
    part = np.add(moment >= first, moment >= second, dtype=np.int8)
    part[(part == TRAIN) & (time >= first)] = LEFT_OUT
    return EventParts(part, (part > TRAIN) & may_be_target)


def session_moments(query: np.ndarray, time: np.ndarray, may_be_target: np.ndarray) -> np.ndarray:
    """(E,) of each event the time of the last possible target of its session.

    A session is one thing: it is cut whole. Of a session that has no target it is the last time.
    """
    places = np.flatnonzero(may_be_target)
    last_target = _place_of_query(query, places[_rank_from_end(query[places]) == 0])[query]
    last = np.searchsorted(query, query, side="right") - 1
    return np.asarray(time[np.where(last_target < len(query), last_target, last)])


def only_last_targets(query: np.ndarray, parts: EventParts) -> EventParts:
    """Keep the last target of each part of a query."""
    is_target = np.zeros(len(query), bool)
    for held in (VAL, TEST):
        places = np.flatnonzero(parts.is_target & (parts.part == held))
        is_target[places[_rank_from_end(query[places]) == 0]] = True
    return EventParts(parts.part, is_target)


def validation_of_training(
    query: np.ndarray,
    parts: EventParts,
    may_be_target: np.ndarray,
    share: float,
    rng: np.random.Generator,
    *,
    ordered: bool,
) -> EventParts:
    """Take a share of each query's training events for validation, and leave it one at least.

    Args:
        query: (E,) ascending.
        parts: without validation.
        may_be_target: (E,) bool.
        share: of the training events of a query; what is no whole number is rounded at random.
        rng: the generator.
        ordered: true takes the latest events, and what comes after the first of them is no
            training; false takes any.
    """
    train = np.flatnonzero(parts.part == TRAIN)
    places = train[may_be_target[train] & ~_begins(query[train])]
    if not ordered:
        places = places[np.lexsort((rng.random(len(places)), query[places]))]
    num_queries = int(query[-1]) + 1 if len(query) else 0
    counts = np.bincount(query[train], minlength=num_queries)
    wanted = np.floor(share * counts + rng.random(num_queries))
    chosen = places[_rank_from_end(query[places]) < wanted[query[places]]]
    part, is_target = parts.part.copy(), parts.is_target.copy()
    part[chosen], is_target[chosen] = VAL, True
    if ordered:
        first = chosen[_begins(query[chosen])]
        after = np.arange(len(query)) > _place_of_query(query, first)[query]
        part[(part == TRAIN) & after] = VAL
    return EventParts(part, is_target)


def history_of(query: np.ndarray, parts: EventParts, held: int, *, ordered: bool) -> np.ndarray:
    """Mask (E,) of the events from which the targets of a part are predicted.

    They are the events of the earlier parts; where events have an order, also those of the same
    part that are no targets, and only what comes before the first target of the query.
    """
    if not ordered:
        return (parts.part >= TRAIN) & (parts.part < held)
    targets = np.flatnonzero(parts.is_target & (parts.part == held))
    first = _place_of_query(query, targets[_begins(query[targets])])[query]
    known = (parts.part >= TRAIN) & (parts.part <= held)
    return known & (np.arange(len(query)) < first)


def _begins(groups: np.ndarray) -> np.ndarray:
    """Mask of the first entry of each run of equal groups."""
    return np.diff(groups, prepend=-1) != 0


def _rank_from_end(groups: np.ndarray) -> np.ndarray:
    """Place of each entry counted from the end of its group, 0 the last; groups ascend."""
    return np.searchsorted(groups, groups, side="right") - 1 - np.arange(len(groups))


def _place_of_query(query: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(Q,) one place of each query; the number of events where there is none."""
    found = np.full(int(query[-1]) + 1 if len(query) else 0, len(query))
    found[query[places]] = places
    return found
