import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.compute.sorted_rows import are_stored, find_in_row

rows_of_items = st.lists(st.sets(st.integers(0, 9), max_size=6).map(sorted), min_size=1, max_size=5)


@settings(deadline=None)
@given(rows_of_items)
def test_every_place_and_every_absence_is_found(rows: list[list[int]]) -> None:
    indptr = np.cumsum([0, *map(len, rows)])
    indices = np.array([item for row in rows for item in row], np.int32)
    asked = [(row, item) for row in range(len(rows)) for item in range(-1, 11)]
    for row, item in asked:
        place = find_in_row(indptr, indices, row, item)
        expected = indptr[row] + rows[row].index(item) if item in rows[row] else -1
        assert place == expected
    heads, tails = np.array(asked, np.int32).T
    stored = are_stored(indptr, indices, heads, tails)
    assert stored.tolist() == [item in rows[row] for row, item in asked]
