import pytest

from recsys_lab.results.curve import points_every


@pytest.mark.parametrize(("wanted", "num_batches", "every"), [(25, 84, 25), (25, 3500, 175)])
def test_a_long_epoch_has_its_points_further_apart(wanted, num_batches, every):
    assert points_every(wanted, num_batches) == every
    assert num_batches / every <= 20
