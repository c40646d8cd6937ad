"""Ranks are threads; what they end with is computed by hand, or by sums over whole tables."""

import math
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import BrokenBarrierError

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch import distributed as dist
from torch import multiprocessing as mp
from torch.nn import functional as F

from recsys_lab.models import exchange as exchange_file
from recsys_lab.models.exchange import Exchange, ExchangeOptions, choose_interval
from recsys_lab.models.groups import DistributedGroup, Group, ThreadGroup
from recsys_lab.models.optimizers import RowWiseAdagrad, build_optimizers

EXACT = ExchangeOptions(1)
Optimize = Callable[[Sequence[Tensor]], torch.optim.Optimizer]


def adagrad(parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
    return RowWiseAdagrad(parameters, lr=0.5)


def in_ranks(size: int, function: Callable[[ThreadGroup], object]) -> list:
    """What a function returns in each of so many ranks."""

    def call(group: ThreadGroup) -> object:
        try:
            return function(group)
        except Exception:
            group.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        jobs = [pool.submit(call, group) for group in ThreadGroup.among(size)]
    errors = [error for job in jobs if (error := job.exception())]
    for error in sorted(errors, key=lambda error: isinstance(error, BrokenBarrierError)):
        raise error
    return [job.result() for job in jobs]


class Net(nn.Module):
    """A table with sparse gradients, and a matrix with dense ones if it is wanted."""

    sparse_tables = ("table",)

    def __init__(self, start: Tensor, dense: bool) -> None:
        super().__init__()
        self.table = nn.Parameter(start.clone())
        self.dense = nn.Parameter(torch.eye(start.shape[1], dtype=start.dtype)) if dense else None


class Copy:
    """The net that one rank trains."""

    def __init__(
        self,
        group: Group,
        start: Tensor,
        options: ExchangeOptions = EXACT,
        optimize: Optimize = adagrad,
        dense: bool = False,
    ) -> None:
        self.net = Net(start, dense)
        self.table = self.net.table
        self.optimizers = build_optimizers(optimize, self.net)
        self.exchange = Exchange(self.optimizers, options, group)
        self.exchange.begin(100, np.ones(len(start)) / len(start), 1)

    def train(self, items: Sequence[int], slopes: Tensor) -> None:
        """One step in which row items[k] has the gradient slopes[k] (D,)."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        rows = F.embedding(torch.tensor(items, dtype=torch.long), self.table, sparse=True)
        rows = rows if self.net.dense is None else rows @ self.net.dense
        (rows * slopes).sum().backward()
        for optimizer in self.optimizers:
            optimizer.step()

    def everything(self) -> list[Tensor]:
        """Copies of all weights and all state that is a tensor."""
        found = [x.detach().clone() for x in self.net.parameters()]
        for optimizer in self.optimizers:
            for state in optimizer.state.values():
                found += [x.clone() for _, x in sorted(state.items()) if isinstance(x, Tensor)]
        return found


def same(first: Sequence[Tensor], second: Sequence[Tensor]) -> bool:
    """To the bit."""
    return len(first) == len(second) and all(map(torch.equal, first, second))


def test_three_items_by_hand() -> None:
    """Two ranks train item 0, in the same and then in other directions; one item 1, none item 2."""

    def train(group: ThreadGroup) -> list[Tensor]:
        copy = Copy(group, torch.ones(3, 2))
        slopes = torch.tensor([[2.0, 2.0], [2.0, 2.0]])
        copy.train([[0], [0, 1]][group.rank], slopes[: group.rank + 1])  # steps are the rate, .5
        copy.exchange.exchange()
        found = copy.everything()
        own = torch.tensor([[2.0, 0.0], [0.0, 2.0]])[group.rank]
        copy.train([0], own[None])  # the sum was 4 and is 4 + 2, so the step is .5 * 2 / root of 6
        copy.exchange.exchange()
        return [*found, *copy.everything()]

    first, second = in_ranks(2, train)
    assert same(first, second)
    table, sums, after, sums_after = first
    torch.testing.assert_close(table, torch.tensor([[0.5] * 2, [0.5] * 2, [1.0] * 2]))
    torch.testing.assert_close(sums, torch.tensor([4.0, 4.0, 0.0]))  # the mean of those who touched
    expected = table.clone()
    expected[0] -= 0.5 * 2 / math.sqrt(6)  # orthogonal: both count in full
    torch.testing.assert_close(after, expected)
    torch.testing.assert_close(sums_after, torch.tensor([6.0, 4.0, 0.0]))


def by_dense_sums(base: Tensor, tables: Sequence[Tensor]) -> Tensor:
    """The rule on whole tables, in float64, row by row, as its paper states it for two and four."""

    def together(changes: list[Tensor]) -> Tensor:
        if len(changes) == 1:
            return changes[0]
        half = (len(changes) + 1) // 2
        a, b = together(changes[:half]), together(changes[half:])
        if not a.any() or not b.any():
            return a + b
        return (1 - a @ b / (2 * a @ a)) * a + (1 - a @ b / (2 * b @ b)) * b

    rows = [
        together([t[row].double() - base[row].double() for t in tables]) for row in range(len(base))
    ]
    return base.double() + torch.stack(rows)


OPTIMIZERS: dict[str, Optimize] = {
    "row-wise Adagrad": adagrad,
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "SparseAdam": lambda parameters: torch.optim.SparseAdam(parameters, lr=0.1),
    "Adagrad": lambda parameters: torch.optim.Adagrad(parameters, lr=0.1),
}


DTYPES = [torch.float32, torch.float64]  # by compiled functions, and by torch's operations


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_dense_sums(name: str, dense: bool, dtype: torch.dtype) -> None:
    """Four ranks, two exchanges, every optimiser; one rank trains nothing before the first."""
    start = torch.randn(9, 5, generator=torch.Generator().manual_seed(0), dtype=dtype)

    def train(group: ThreadGroup) -> list[list[Tensor]]:
        copy, found = Copy(group, start, EXACT, OPTIMIZERS[name], dense), []
        generator = torch.Generator().manual_seed(group.rank)
        for round_ in range(2):
            if round_ or group.rank != 2:
                items = torch.randint(0, 7, (4,), generator=generator).tolist()
                copy.train(items, torch.randn(4, 5, generator=generator, dtype=dtype))
            found.append(copy.everything())
            copy.exchange.exchange(whole=bool(round_))
            found.append(copy.everything())
        return found

    ranks = in_ranks(4, train)
    for merged in (1, 3):
        assert all(same(ranks[0][merged], rank[merged]) for rank in ranks)
    starts = [start, torch.eye(5, dtype=dtype)] if dense else [start]
    for parameter, first in enumerate(starts):
        for base, trained, merged in (
            (first, 0, 1),
            (ranks[0][1][parameter], 2, 3),
        ):
            expected = by_dense_sums(base, [rank[trained][parameter] for rank in ranks])
            torch.testing.assert_close(
                ranks[0][merged][parameter].double(), expected, atol=1e-6, rtol=1e-5
            )
    if name != "SGD":
        assert all(torch.isfinite(x).all() for x in ranks[0][3])
        assert len(ranks[0][3]) > len(starts)  # the state is compared, too


def test_one_rank_is_plain_training() -> None:
    start = torch.randn(6, 4)
    plain, alone = Copy(ThreadGroup.among(1)[0], start), Copy(ThreadGroup.among(1)[0], start)
    for step in range(5):
        slopes = torch.randn(3, 4)
        for copy in (plain, alone):
            copy.train([step, 0, 5], slopes)
        assert alone.exchange.after_batch(step + 1) == 0
    assert same(plain.everything(), alone.everything())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 6)), min_size=2, max_size=5), st.booleans())
def test_any_rows(items: list[list[int]], in_half: bool) -> None:
    """Rows of one rank are as it left them, rows of none as they were, and all ranks are equal."""
    start = torch.randn(7, 3)
    options = ExchangeOptions(1, "bf16" if in_half else 32)

    def train(group: ThreadGroup) -> tuple[list[Tensor], list[Tensor], int]:
        copy = Copy(group, start, options)
        if own := items[group.rank]:
            copy.train(own, torch.randn(len(own), 3))
        trained = copy.everything()
        size = copy.exchange.exchange(whole=False)
        return trained, copy.everything(), size

    found = in_ranks(len(items), train)
    table = found[0][1][0]
    assert all(same(found[0][1], merged) for _, merged, _ in found)
    for row in range(7):
        owners = [rank for rank, own in enumerate(items) if row in own]
        if not owners:
            assert torch.equal(table[row], start[row])
        if len(owners) == 1:
            tolerance = 2**-8 if in_half else 1e-6
            own = found[owners[0]][0][0][row]
            assert (table[row] - own).abs().max() <= tolerance * (own - start[row]).abs().max()
    if not any(items):
        assert all(size == len(items) - 1 for *_, size in found)  # a bit of each row, to each


def test_bf16_is_near_and_half_the_size() -> None:
    start = torch.randn(50, 64)

    def train(options: ExchangeOptions) -> tuple[Tensor, int]:
        def one(group: ThreadGroup) -> tuple[Tensor, int]:
            copy = Copy(group, start, options)
            generator = torch.Generator().manual_seed(group.rank)
            copy.train(list(range(50)), torch.randn(50, 64, generator=generator))
            return (*(copy.exchange.exchange(), copy.table.detach()),)[::-1]

        return in_ranks(3, one)[0]

    (full, full_bytes), (half, half_bytes) = train(EXACT), train(ExchangeOptions(1, "bf16"))
    # A change is rounded twice, once before and once after it is merged: 2 ** -9 of it each time.
    error, change = (half - full).abs(), (full - start).norm(dim=1, keepdim=True)
    assert error.max() > 0
    assert (error <= 3 * 2**-9 * change + 1e-6).all()
    assert 0.5 < half_bytes / full_bytes < 0.55
    rows = 50 * (4 + 4 + 4 * 64)  # of a rank: id, accumulator, weights; two thirds go to others
    assert full_bytes == pytest.approx(rows * 4 / 3, rel=0.05)


def test_an_accumulator_that_cannot_grow_does_not_hide_a_row_from_the_end_of_an_epoch() -> None:
    def train(group: ThreadGroup) -> list[list[Tensor]]:
        copy, found = Copy(group, torch.zeros(2, 2)), []
        copy.train([0], torch.full((1, 2), 1e4))
        copy.exchange.exchange()
        if group.rank:
            copy.train([0], torch.tensor([[1e-1, 1e-1]]))  # its square is lost in 1e8
        copy.exchange.exchange(whole=False)
        found.append(copy.everything())
        copy.exchange.exchange()
        return [*found, copy.everything()]

    first, second = in_ranks(2, train)
    assert not same(first[0], second[0])
    assert same(first[1], second[1])


def test_ranks_exchange_at_the_same_times_and_at_the_end() -> None:
    """Ten and nine batches, every third: a rank's last batch is always followed by an exchange."""

    def train(group: ThreadGroup) -> list[int]:
        copy, times = Copy(group, torch.ones(2, 2), ExchangeOptions(3)), []
        batches = 10 - group.rank
        copy.exchange.begin(batches, np.ones(2) / 2, 1)
        for done in range(1, batches + 1):
            copy.train([0], torch.ones(1, 2))
            if copy.exchange.after_batch(done):
                times.append(done)
        return times

    assert in_ranks(2, train) == [[3, 6, 10], [3, 6, 9]]


def test_chosen_intervals_are_short_at_the_start() -> None:
    """Two ranks wait for what they have trained, but 6 batches at most; the end joins the last."""

    def train(group: ThreadGroup) -> list[list[int]]:
        copy = Copy(group, torch.ones(2, 2), ExchangeOptions())
        epoch = 0
        copy.exchange.begin(40 + group.rank, np.ones(2) / 2, 32, lambda: epoch)
        assert copy.exchange.every_n_batches == 6  # 200 touches of two rows by 64 places
        found = []
        for epoch in range(2):  # noqa: B007 - read by the exchange
            found.append([done for done in range(1, 42) if copy.exchange.is_due(done)])
        return found

    first, second = in_ranks(2, train)[0]
    assert first == [1, 2, 4, 8, 14, 20, 26, 32, 40]
    assert second == [6, 12, 18, 24, 30, 36, 40]


@pytest.mark.parametrize("size", [2, 16])
def test_the_interval_follows_the_touches(size: int) -> None:
    """Where all items are as frequent, an item is met as often as places are drawn for each."""
    frequencies = np.full(1000, 1e-3)
    for factor in (1, 4):
        batches = choose_interval(np.repeat(frequencies, factor) / factor, 50, size)
        touches, step = (x * 50 * size / (1000 * factor) for x in (batches, 1))
        assert 200 / math.log2(size) - step <= touches <= 200.01 / math.log2(size)
    assert choose_interval(frequencies, 10**6, size) == 1
    assert choose_interval(np.append(frequencies, np.zeros(9)), 50, size) == choose_interval(
        frequencies, 50, size
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("in_half", [False, True])
def test_rows_of_several_pieces_are_those_of_one(
    dtype: torch.dtype, in_half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three ranks that touch other rows each, and a row that all touch."""
    start = torch.randn(40, 6, dtype=dtype)

    def train(group: ThreadGroup) -> list[Tensor]:
        copy = Copy(group, start, ExchangeOptions(1, "bf16" if in_half else 32))
        rows = [39, *range(group.rank, 30, group.rank + 2)]
        generator = torch.Generator().manual_seed(group.rank)
        copy.train(rows, torch.randn(len(rows), 6, generator=generator, dtype=dtype))
        copy.exchange.exchange()
        return copy.everything()

    whole = in_ranks(3, train)
    assert all(same(whole[0], other) for other in whole)
    for size in (1, 200):
        monkeypatch.setattr(exchange_file, "_PIECE", size)
        assert all(same(whole[0], other) for other in in_ranks(3, train))


def _distributed(rank: int, port: int, folder: str) -> None:
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        group = DistributedGroup()
        found = group.gather(torch.arange(3 - 2 * rank))
        assert [x.tolist() for x in found] == [[0, 1, 2], [0]]
        assert [len(x) for x in group.gather(torch.empty(0))] == [0, 0]
        sent = [torch.full((to + 2 * rank, 1), 10 * rank + to) for to in range(2)]
        received = torch.empty(2 * rank + 2, 1, dtype=torch.long).split([rank, rank + 2])
        group.swap(sent, received)
        assert [x[:, 0].tolist() for x in received] == [[rank] * rank, [10 + rank] * (rank + 2)]
        torch.save(_two_rounds(group), f"{folder}/{rank}.pt")
    finally:
        dist.destroy_process_group()


def _two_rounds(group: Group) -> list[Tensor]:
    copy = Copy(group, torch.arange(12.0).view(4, 3), dense=True)
    generator = torch.Generator().manual_seed(group.rank)
    for _ in range(2):
        copy.train([0, 1 + group.rank], torch.randn(2, 3, generator=generator))
        copy.exchange.exchange()
    return copy.everything()


@pytest.mark.soak
def test_processes_end_with_what_threads_do(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(_distributed, (port, str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert same(first, second)
    assert same(first, in_ranks(2, _two_rounds)[0])
