import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.catalog.ordering import sort_pairs


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5))))
def test_pairs_are_sorted_and_equal_ones_keep_their_order(pairs):
    heads, tails = np.array(pairs, np.int32).reshape(-1, 2).T
    columns = sort_pairs(heads, tails, np.arange(len(pairs), dtype=np.float32), 6)
    expected = sorted((*pair, number) for number, pair in enumerate(pairs))
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected
