import numpy as np
import pytest
import torch

from recsys_lab.models.distinct import find_distinct, list_entries


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 50), (0,), (4, 0)])
@pytest.mark.parametrize("padded", [False, True])
def test_distinct_indices_are_those_of_numpy(shape: tuple[int, ...], padded: bool) -> None:
    indices = np.random.default_rng(0).integers(0, 20, shape)
    expected, expected_place = np.unique(indices, return_inverse=True)
    distinct, place, is_real = find_distinct(torch.tensor(indices), padded=padded)
    assert distinct[is_real].tolist() == expected.tolist()
    assert place.tolist() == expected_place.reshape(shape).tolist()
    if padded:
        assert len(distinct) == indices.size
        assert (distinct[~is_real] == indices.max(initial=0)).all()
    else:
        assert is_real.all()


@pytest.mark.parametrize("counts", [[3], [0, 2, 0, 0, 1, 0], [0, 0], [1] * 9])
@pytest.mark.parametrize("more", [None, 0, 5])
def test_entries_belong_to_their_groups(counts: list[int], more: int | None) -> None:
    total = sum(counts)
    padded_to = None if more is None else total + more
    owner, numbers, is_real = list_entries(torch.tensor(counts), padded_to)
    assert owner[is_real].tolist() == np.repeat(range(len(counts)), counts).tolist()
    assert numbers[is_real].tolist() == list(range(total))
    assert len(owner) == total + (more or 0)
    assert numbers[~is_real].tolist() == [k % max(total, 1) for k in range(more or 0)]
