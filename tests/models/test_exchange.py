"""Ranks are threads; what they end with is computed by hand, or by dense sums."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys_lab.models.exchange import Exchange, ExchangeOptions
from recsys_lab.models.groups import ThreadGroup
from recsys_lab.models.optimizers import RowWiseAdagrad

EXACT = ExchangeOptions(1)


def in_ranks(size: int, function: Callable[[ThreadGroup], object]) -> list:
    """What a function returns in each of so many ranks."""
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(function, ThreadGroup.among(size)))


class Copy:
    """A table (N, D) that one rank trains."""

    def __init__(self, group: ThreadGroup, start: Tensor, options: ExchangeOptions = EXACT) -> None:
        self.table = nn.Parameter(start.clone())
        self.optimizer = RowWiseAdagrad([self.table], lr=0.5)
        self.exchange = Exchange([self.optimizer], options, group)
        self.exchange.begin(100, np.ones(len(start)) / len(start), 1)

    def train(self, items: list[int], scale: float) -> None:
        self.optimizer.zero_grad()
        rows = F.embedding(torch.tensor(items), self.table, sparse=True)
        (rows * scale).sum().backward()
        self.optimizer.step()


def test_three_items_by_hand() -> None:
    """Two ranks train item 0, one item 1 and none item 2."""

    def train(group: ThreadGroup) -> tuple[Tensor, Tensor]:
        copy = Copy(group, torch.ones(3, 2))
        copy.train([[0], [0, 1]][group.rank], 2.0)  # the first step of Adagrad is the rate
        copy.exchange.exchange()
        return copy.table.detach(), copy.optimizer.state[copy.table]["sum"]

    (table, sums), (other, other_sums) = in_ranks(2, train)
    assert torch.equal(table, other)
    assert torch.equal(sums, other_sums)
    both = 1 - 2 * 0.5 / 2**0.5
    torch.testing.assert_close(table, torch.tensor([[both] * 2, [0.5] * 2, [1.0] * 2]))
    torch.testing.assert_close(sums, torch.tensor([8 / 2**0.5, 4.0, 0.0]))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(table, torch.ones(3, 2))
