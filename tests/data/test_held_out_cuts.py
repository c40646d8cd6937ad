"""Sequences without held-out pairs, against every pair of places."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.data.held_out_cuts import cut_sequences, find_cuts

ITEMS = 8
tables = st.lists(
    st.lists(st.integers(-1, ITEMS - 1), min_size=5, max_size=5), min_size=1, max_size=6
).map(lambda rows: np.array(rows, np.int32))
pairs = st.sets(st.sampled_from(list(combinations(range(ITEMS), 2))), max_size=8)


def keys_of(held: set[tuple[int, int]]) -> np.ndarray:
    return np.array(sorted(a * ITEMS + b for a, b in held), np.int64)


def met(table: np.ndarray, held: set[tuple[int, int]], reach: int) -> int:
    return sum(
        tuple(sorted((int(row[i]), int(row[j])))) in held
        for row in table
        for i, j in combinations(range(len(row)), 2)
        if j - i <= reach and min(row[i], row[j]) >= 0
    )


@settings(deadline=None, max_examples=200)
@given(tables, pairs, st.integers(1, 5))
def test_no_held_out_pair_is_left_in_reach(table, held, reach) -> None:
    begins, count = find_cuts(table, keys_of(held), ITEMS, reach)
    assert count == met(table, held, reach)
    assert bool(count) == bool(begins.any())
    # Pieces keep their places until they are moved together, so look before and after.
    for row, marks in zip(table, begins, strict=True):
        for piece in np.split(row, np.flatnonzero(marks)):
            assert not met(piece[None], held, reach)
    pieces = cut_sequences(table, begins)
    assert pieces.shape[1] == table.shape[1]
    assert sorted(pieces[pieces >= 0]) == sorted(table[table >= 0])
    whole = met(cut_sequences(table, np.zeros_like(begins)), held, 5)
    assert met(pieces, held, 5) <= whole


def test_by_hand() -> None:
    table = np.array([[0, 1, 2, 3, -1], [2, 0, 1, -1, -1]], np.int32)
    begins, count = find_cuts(table, keys_of({(0, 2), (1, 2)}), ITEMS, 1)
    assert count == 2  # 1-2 in the first row, 2-0 in the second
    assert cut_sequences(table, begins).tolist() == [
        [0, 1, -1, -1, -1],
        [2, 3, -1, -1, -1],
        [2, -1, -1, -1, -1],
        [0, 1, -1, -1, -1],
    ]
    begins, count = find_cuts(table, keys_of({(0, 2)}), ITEMS, 2)
    assert (count, begins.sum()) == (2, 2)
