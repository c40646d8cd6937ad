"""Training events as rows of sequences."""

import numpy as np
import pytest

from recsys_lab.data.event_sequences import cut_rows


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_the_sequences_cut_as_evenly_as_can_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes, longest = rng.integers(13, size=rng.integers(7)).tolist(), int(rng.integers(2, 6))
    owner = np.repeat(np.arange(len(sizes)) * 3, sizes)  # owners need not be dense
    items = np.arange(len(owner), dtype=np.int32)
    rows = [row[row >= 0].tolist() for row in cut_rows(owner, items, longest)[0]]
    for number, size in enumerate(sizes):
        start = sum(sizes[:number])
        if size < 2:
            assert not any(start <= row[0] < start + size for row in rows)
            continue
        count = -(-size // longest)
        own, rows = rows[:count], rows[count:]
        assert [item for row in own for item in row] == list(range(start, start + size))
        assert max(map(len, own)) - min(map(len, own)) <= 1
    assert rows == []


def test_a_long_sequence_by_hand() -> None:
    rows, owners = cut_rows(np.array([4, 4, 4, 4, 4, 7]), np.array([1, 2, 3, 4, 5, 6]), 3)
    assert rows.tolist() == [[1, 2, 3], [4, 5, -1]]
    assert owners.tolist() == [4, 4]
    assert cut_rows(np.array([1, 2]), np.array([0, 1]), 3)[0].shape == (0, 3)


@pytest.mark.parametrize("longest", [2, 3])
def test_padding_is_behind_the_items(longest: int) -> None:
    rows, _ = cut_rows(np.repeat(np.arange(4), 5), np.arange(20), longest)
    is_padding = rows < 0
    assert (np.diff(is_padding.astype(int), axis=1) >= 0).all()
