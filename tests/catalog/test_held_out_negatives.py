import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.catalog.held_out_negatives import _first_of_each, _KnownPairs

keys = st.lists(st.integers(0, 6 * 6 - 1), max_size=30).map(lambda found: np.array(found, np.int64))


@settings(deadline=None)
@given(keys, keys)
def test_known_pairs_are_found(known, wanted):
    pairs = _KnownPairs(np.unique(known), 6)
    assert pairs.contain(wanted).tolist() == [key in set(known.tolist()) for key in wanted.tolist()]


@settings(deadline=None)
@given(keys)
def test_the_first_of_equal_keys_is_marked(drawn):
    expected = [key not in drawn[:place] for place, key in enumerate(drawn)]
    assert _first_of_each(drawn, 6).tolist() == expected
