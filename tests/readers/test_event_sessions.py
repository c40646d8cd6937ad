"""Sessions and filters against brute force."""

import itertools
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_lab.readers.event_filters import core_of
from recsys_lab.readers.event_sessions import order_events

ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 2)), min_size=1, max_size=30
)


@given(ROWS, st.integers(0, 4))
def test_a_gap_ends_a_session(rows, gap):
    user, time, _ = map(np.array, zip(*rows, strict=True))
    found = order_events(user, time.astype(float), gap=gap)
    expected, sessions = sorted(range(len(rows)), key=lambda k: (*rows[k][:2], k)), [0]
    for before, k in itertools.pairwise(expected):
        ends = user[before] != user[k] or time[k] - time[before] > gap
        sessions.append(sessions[-1] + ends)
    assert found.order.tolist() == expected
    assert found.session.tolist() == sessions
    assert found.session.dtype == np.int32


@given(ROWS)
def test_given_sessions(rows):
    """They stay whole unless others of their user lie between in time."""
    user, time, name = map(np.array, zip(*rows, strict=True))
    session = 3 * user + name
    found = order_events(user, time.astype(float), session)
    keys = list(zip(user[found.order], time[found.order], strict=True))
    assert keys == sorted(keys)
    named = session[found.order]
    runs = 1 + (np.diff(named) != 0)
    assert (np.diff(found.session) == (np.diff(named) != 0)).all()
    assert len(runs) < 1 or found.cut == found.session[-1] + 1 - len(set(session.tolist()))
    alone = order_events(user, None, session)
    assert alone.cut == 0
    for one in range(int(alone.session[-1]) + 1):
        places = alone.order[alone.session == one]
        assert len(set(session[places])) == 1
        assert (np.diff(places) > 0).all()


def test_of_sessions_at_one_time_the_first_to_begin_comes_first():
    user, time = np.zeros(4, np.int64), np.array([2.0, 2.0, 1.0, 3.0])
    found = order_events(user, time, np.array([7, 5, 5, 7]))
    assert found.order.tolist() == [2, 1, 0, 3]
    assert found.session.tolist() == [0, 0, 1, 1]
    assert found.cut == 0


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_the_core_is_the_largest_set_that_fits(rows, per_item, per_user):
    item, user = map(np.array, zip(*rows, strict=True))
    found = core_of(item, user, per_item, per_user)
    left = list(range(len(rows)))
    while True:
        items, users = Counter(item[left].tolist()), Counter(user[left].tolist())
        stay = [k for k in left if items[item[k]] >= per_item and users[user[k]] >= per_user]
        if stay == left:
            break
        left = stay
    assert np.flatnonzero(found.stays).tolist() == left
    assert found.of_items + found.of_users == len(rows) - len(left)
