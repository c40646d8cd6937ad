import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recsys_lab.catalog.ordering import distinct_sorted, order_by_item, sort_pairs


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
@given(st.lists(st.integers(0, 5), max_size=30))
def test_order_by_item_is_a_stable_sort(items):
    array = np.array(items, np.int32)
    order, ends = order_by_item(array, 6)
    assert order.tolist() == np.argsort(array, kind="stable").tolist()
    assert ends.tolist() == np.searchsorted(np.sort(array), range(6), side="right").tolist()
