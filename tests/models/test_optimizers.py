import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recsys_lab.models.optimizers import RowWiseAdagrad, sum_rows


def test_sum_rows_against_coalesce() -> None:
    generator = torch.Generator().manual_seed(0)
    indices = torch.randint(0, 20, (200,), generator=generator)
    rows = torch.randn(200, 6, generator=generator, dtype=torch.float64)
    distinct, sums = sum_rows(indices, rows)
    expected = torch.sparse_coo_tensor(indices[None], rows, (20, 6)).coalesce()
    assert torch.equal(distinct, expected.indices()[0])
    torch.testing.assert_close(sums, expected.values())
    one, row = sum_rows(torch.tensor([3]), rows[:1])
    assert one.tolist() == [3]
    torch.testing.assert_close(row, rows[:1])


@pytest.mark.parametrize("count", [1, 2, 200])
def test_padded_sums_are_the_same_and_zeros(count: int) -> None:
    indices, rows = torch.randint(0, 20, (count,)), torch.randn(count, 6)
    distinct, sums = sum_rows(indices, rows)
    index, padded = sum_rows(indices, rows, padded=True)
    size = len(distinct)
    assert len(index) == len(padded) == count
    assert torch.equal(index[:size], distinct)
    assert torch.equal(padded[:size], sums)
    assert (index[size:] == distinct[-1]).all()
    assert (padded[size:] == 0).all()


def test_rows_against_the_formula() -> None:
    table = nn.Parameter(torch.randn(8, 3, dtype=torch.float64))
    expected, sums = table.detach().numpy().copy(), np.zeros(8)
    optimizer = RowWiseAdagrad([table], lr=0.3, eps=1e-8)
    rng = np.random.default_rng(0)
    for _ in range(4):
        items = rng.integers(0, 6, 10)  # items 6 and 7 are never in a batch
        targets = rng.normal(size=(10, 3))
        optimizer.zero_grad()
        rows = F.embedding(torch.from_numpy(items), table, sparse=True)
        (rows * torch.from_numpy(targets)).sum().backward()
        optimizer.step()
        for item in np.unique(items):
            grad = targets[items == item].sum(axis=0)
            sums[item] += (grad**2).mean()
            expected[item] -= 0.3 * grad / (np.sqrt(sums[item]) + 1e-8)
    np.testing.assert_allclose(table.detach().numpy(), expected, rtol=1e-5)


def test_dense_parameters_get_torch_adagrad() -> None:
    ours, theirs = (nn.Parameter(torch.ones(5)) for _ in range(2))
    optimizers = [
        RowWiseAdagrad([ours], lr=0.1, eps=1e-10),
        torch.optim.Adagrad([theirs], lr=0.1, eps=1e-10),
    ]
    for step in range(3):
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            (parameter * torch.arange(1.0, 6.0) * (step + 1)).sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_rows_outside_the_batch_stay_to_the_bit() -> None:
    table = nn.Parameter(torch.randn(5, 2))
    before = table.detach().clone()
    optimizer = RowWiseAdagrad([table], lr=1.0)
    F.embedding(torch.tensor([1, 3]), table, sparse=True).sum().backward()
    optimizer.step()
    assert torch.equal(table[[0, 2, 4]], before[[0, 2, 4]])
    assert not torch.equal(table[[1, 3]], before[[1, 3]])


def test_state_survives_a_round_trip() -> None:
    def train(table: nn.Parameter, optimizer: RowWiseAdagrad, steps: int) -> None:
        for step in range(steps):
            optimizer.zero_grad()
            F.embedding(torch.tensor([step % 3, 2]), table, sparse=True).square().sum().backward()
            optimizer.step()

    one = nn.Parameter(torch.ones(4, 2))
    optimizer = RowWiseAdagrad([one], lr=0.1)
    train(one, optimizer, 3)
    other = nn.Parameter(one.detach().clone())
    resumed = RowWiseAdagrad([other], lr=0.1)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(one, optimizer, 2)
    train(other, resumed, 2)
    assert torch.equal(one, other)


def test_bad_rates_are_refused() -> None:
    with pytest.raises(ValueError, match=r"lr must be > 0, got 0"):
        RowWiseAdagrad([nn.Parameter(torch.ones(1))], lr=0)
