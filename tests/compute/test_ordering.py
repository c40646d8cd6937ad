import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recsys_lab.compute.ordering import distinct_sorted, first_places, sort_pairs


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5))))
def test_pairs_are_sorted_and_equal_ones_keep_their_order(pairs):
    heads, tails = np.array(pairs, np.int32).reshape(-1, 2).T
    columns = sort_pairs(heads, tails, np.arange(len(pairs), dtype=np.float32), 6)
    expected = sorted((*pair, number) for number, pair in enumerate(pairs))
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), max_size=300))
@example([3, 1] * 128)
@example([3, 1] * 129)
def test_distinct_keys_are_those_of_numpy(keys):
    array = np.array(keys, np.int64)
    assert distinct_sorted(array).tolist() == np.unique(array).tolist()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=30))
def test_first_places_are_where_a_sort_puts_them(runs):
    items, lengths = np.array(runs, np.int32).reshape(-1, 2).T
    for each, entries in ((None, items), (lengths, np.repeat(items, lengths))):
        expected = np.searchsorted(np.sort(entries), range(7))
        assert first_places(items, 6, each).tolist() == expected.tolist()
