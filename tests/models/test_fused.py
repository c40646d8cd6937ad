"""The compiled kernels against autograd and the optimisers of torch, and against themselves."""

from collections.abc import Iterator
from functools import reduce
from typing import get_args

import numpy as np
import pytest
import torch
from fused_cases import NETS, OPTIMIZERS, RATE, factorization, in_float32, skipgram, updater
from model_cases import (
    BATCHES,
    NUM_ITEMS,
    field,
    neighbours_of,
    pair_batch,
    window_batch,
    with_chosen,
)
from torch import Tensor, nn

from recsys_lab.compute.threads import choose_threads
from recsys_lab.data.batch import Batch, ChosenContexts, PairBatch, WindowBatch
from recsys_lab.models import (
    fused,
    group_items,
    group_steps,
    kernels,
    learned_shares,
    products,
    ranking_kernels,
    rounds,
    summed_rows,
)
from recsys_lab.models.blocks import Kernel
from recsys_lab.models.encoders import IdEncoder, Pooling, SideInfoEncoder
from recsys_lab.models.lightgcn import LightGCN
from recsys_lab.models.optimizers import RowWiseAdagrad
from recsys_lab.models.skipgram import SkipGram
from recsys_lab.models.starspace import RankingLoss, StarSpace

DIMS = (1, 5, 128)
MODULES = (
    fused, group_items, group_steps, kernels, learned_shares, products, ranking_kernels, rounds,
    summed_rows,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    choose_threads(1)
    yield
    choose_threads(None)


def blocks_of(batch: Batch) -> list[Batch]:
    """Batches of one group of pairs, or of walks: what a kernel steps over."""
    if isinstance(batch, PairBatch):
        size = group_items.PAIRS_IN_GROUP
        return [
            PairBatch(*(part[k : k + size] for part in batch[:4]), 1)
            for k in range(0, len(batch[0]), size)
        ]
    return [
        WindowBatch(
            *(part[g : g + 1] for part in batch[:3]),
            *batch[3:6],
            batch.chosen and ChosenContexts(*(part[g : g + 1] for part in batch.chosen)),
        )
        for g in range(len(batch.items))
    ]


def train_in_rounds(
    net: nn.Module, steps: torch.optim.Optimizer, blocks: list[Batch], *, summed: bool = False
) -> Iterator[tuple[float, float]]:
    """Train by autograd: the gradients of a round are of before it, each block is a step.

    With `summed` a round is a step.
    """
    first = blocks[0]
    centers = group_items.PAIRS_IN_GROUP if isinstance(first, PairBatch) else first.items.numel()
    size = rounds.round_size(NUM_ITEMS, centers)
    for low in range(0, len(blocks), size):
        grads = []
        for block in blocks[low : low + size]:
            loss, mass = net.loss(block)
            steps.zero_grad()
            loss.backward()
            grads.append([p.grad for p in net.parameters()])
            yield loss.item(), mass.item()
        if summed:
            grads = [[reduce(torch.add, parts) for parts in zip(*grads, strict=True)]]
        for group in grads:
            for parameter, grad in zip(net.parameters(), group, strict=True):
                parameter.grad = grad
            steps.step()


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("net", NETS)
def test_a_batch_trains_as_by_autograd(net: str, batch: str, optimizer: str, dim: int) -> None:
    torch.manual_seed(0)
    compiled, reference = NETS[net](dim), NETS[net](dim).double()
    reference.load_state_dict(compiled.state_dict())
    steps = OPTIMIZERS[optimizer](reference.parameters())
    fused = updater(compiled, OPTIMIZERS[optimizer](compiled.parameters()))
    assert fused.kernel == "fused"
    rate = steps.defaults["lr"]
    for _ in range(2):  # the second time on accumulators that are not empty
        expected = [0.0, 0.0]
        for loss, mass in train_in_rounds(reference, steps, blocks_of(BATCHES[batch])):
            expected = [expected[0] + loss, expected[1] + mass]
        found = fused.update(in_float32(BATCHES[batch]), rate)
        assert [float(value) for value in found] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    for name, values in reference.state_dict().items():
        torch.testing.assert_close(
            compiled.state_dict()[name].double(), values, rtol=2e-4, atol=2e-5
        )


BIG = {  # several rounds, of which the last is not full
    "pairs": lambda: pair_batch(700, 3),
    "windows, in batch": lambda: window_batch(37, 3, 5, 0),
    "windows, shared": lambda: window_batch(20, 2, 4, 6),
    "windows, chosen": lambda: with_chosen(window_batch(18, 2, 4, 0), 3),
}


LABELS = [[k % 3, 3] if k % 4 else [] for k in range(NUM_ITEMS)]


def side_info(dim: int, pooling: Pooling = "mean") -> SideInfoEncoder:
    """One item is not trained, some have no values, and a field has several."""
    fields = [field(LABELS, 4), field([[k % 2] for k in range(NUM_ITEMS)], 2)]
    trained = torch.arange(NUM_ITEMS) != 5
    return SideInfoEncoder(trained, fields, dim, pooling, init_scale=2 * dim**0.75)


def with_side_info(dim: int, case: str = "both") -> SkipGram:
    contexts = IdEncoder(NUM_ITEMS, dim, init_scale=2 * dim**0.75)
    pooling: Pooling = "attention" if "learned" in case else "mean"
    if "both" in case:
        contexts = side_info(dim, "mean" if case == "both, one learned" else pooling)
    centers = side_info(dim, pooling)
    for encoder in (centers, contexts):
        if getattr(encoder, "attention", None) is not None:
            nn.init.normal_(encoder.attention)
    return SkipGram(centers, contexts, "dot", torch.zeros(NUM_ITEMS), l2=0.02)


@pytest.mark.parametrize("size", [1, 16])
@pytest.mark.parametrize("batch", [*BATCHES, "several rounds"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "case", ["both", "centers", "both, learned", "centers, learned", "both, one learned"]
)
def test_side_information_trains_as_by_autograd(
    case: str, optimizer: str, batch: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values are rows of many items, which take one step for a round."""
    monkeypatch.setattr(rounds, "round_size", lambda *_: size)
    choose_threads(1 if size == 1 else 3)
    torch.manual_seed(0)
    compiled, reference = with_side_info(5, case), with_side_info(5, case).double()
    reference.load_state_dict(compiled.state_dict())
    made = BIG["windows, chosen"]() if batch == "several rounds" else BATCHES[batch]
    steps = OPTIMIZERS[optimizer](reference.parameters())
    fused = updater(compiled, OPTIMIZERS[optimizer](compiled.parameters()), "auto")
    assert fused.kernel == "fused"
    for _ in range(2):
        expected = [*train_in_rounds(reference, steps, blocks_of(made), summed=True)]
        found = fused.update(in_float32(made), steps.defaults["lr"])
        assert [float(x) for x in found] == pytest.approx(np.sum(expected, axis=0), rel=1e-3)
    for name, values in reference.state_dict().items():
        torch.testing.assert_close(
            compiled.state_dict()[name].double(), values, rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch", BATCHES)
def test_gradients_of_learned_weights(batch: str, threads: int) -> None:
    """Where autograd goes on from the compiled loss: the steps are of an optimiser of torch."""
    choose_threads(threads)
    torch.manual_seed(0)
    sides = [side_info(5, "attention") for _ in range(2)]
    found = []
    for kernel, chosen in (("auto", "fused_loss"), ("autograd", "autograd")):
        net = SkipGram(*sides, score="dot", popularity=torch.zeros(NUM_ITEMS), l2=0.02)
        update = updater(net, torch.optim.Adagrad(net.parameters()), kernel)
        assert update.kernel == chosen
        loss, mass = update.update(in_float32(BATCHES[batch]), RATE)
        grads = [p.grad.to_dense() for p in net.parameters() if p.grad is not None]
        found.append([loss, mass, *grads])
    for compiled, reference in zip(*found, strict=True):
        torch.testing.assert_close(compiled, reference, rtol=1e-4, atol=1e-5, check_dtype=False)


@pytest.mark.parametrize("loss", get_args(RankingLoss))
@pytest.mark.parametrize("batch", BATCHES)
def test_a_ranking_loss_trains_as_by_autograd(batch: str, loss: str) -> None:
    torch.manual_seed(0)
    labels = [[k % 4] for k in range(NUM_ITEMS)]
    trained = torch.ones(NUM_ITEMS, dtype=torch.bool)
    encoder = SideInfoEncoder(trained, [field(labels, 4)], 5, "sum", init_scale=6.0)
    found = []
    for kernel, chosen in (("auto", "fused_loss"), ("autograd", "autograd")):
        net = StarSpace(
            encoder, score="cosine", loss=loss, margin=0.3, temperature=0.2, query="item",
            decay=1.0, popularity=torch.zeros(NUM_ITEMS),
        )  # fmt: skip
        update = updater(net, RowWiseAdagrad(net.parameters()), kernel)
        assert update.kernel == chosen
        found.append([*update.update(in_float32(BATCHES[batch]), RATE)])
        found[-1].append(encoder.table.grad.to_dense())
    for compiled, reference in zip(*found, strict=True):
        torch.testing.assert_close(compiled, reference, rtol=1e-4, atol=1e-5, check_dtype=False)


@pytest.mark.parametrize("loss", ["logistic", "margin"])
@pytest.mark.parametrize("num_tables", [1, 2])
@pytest.mark.parametrize("batch", ["pairs", "windows, shared"])
def test_vectors_of_neighbours_train_as_by_autograd(batch: str, num_tables: int, loss: str) -> None:
    torch.manual_seed(0)
    ring = np.roll(np.eye(NUM_ITEMS), 1, axis=1)
    encoders = [
        LightGCN(IdEncoder(NUM_ITEMS, 5, init_scale=6.0), neighbours_of(ring + ring.T), [1.0, 0.5])
        for _ in range(num_tables)
    ]
    found = []
    for kernel, chosen in (("auto", "fused_loss"), ("autograd", "autograd")):
        popularity = torch.zeros(NUM_ITEMS)
        net = SkipGram(encoders[0], encoders[-1], "dot", popularity, l2=0.02, loss=loss, margin=0.3)
        update = updater(net, RowWiseAdagrad(net.parameters()), kernel)
        assert update.kernel == chosen
        found.append([*update.update(in_float32(BATCHES[batch]), RATE)])
        found[-1] += [encoder.inputs.table.grad.to_dense() for encoder in encoders]
    for compiled, reference in zip(*found, strict=True):
        torch.testing.assert_close(compiled, reference, rtol=1e-4, atol=1e-5, check_dtype=False)


def test_the_optimizer_goes_on_where_the_kernel_stopped() -> None:
    torch.manual_seed(0)
    net = skipgram(5)
    optimizer = RowWiseAdagrad(net.parameters(), lr=RATE)
    updater(net, optimizer).update(in_float32(BATCHES["pairs"]), RATE)
    state = optimizer.state_dict()["state"]
    assert all(float(values["sum"].max()) > 0 for values in state.values())
    assert state[0]["sum"].shape == (NUM_ITEMS,)


def test_a_row_that_is_not_in_the_batch_does_not_move() -> None:
    torch.manual_seed(0)
    net = factorization(5, "logistic", biases=True)
    before = net.encoder.table.detach().clone()
    one = torch.tensor([1])
    batch = PairBatch(one, one + 1, one[:, None] + 2, torch.ones(1), 1)
    updater(net, RowWiseAdagrad(net.parameters(), lr=RATE)).update(batch, RATE)
    moved = (net.encoder.table.detach() != before).any(1)
    assert moved.nonzero()[:, 0].tolist() == [1, 2, 3]


def trained(net: nn.Module, batch: Batch, kernel: Kernel) -> list[Tensor]:
    """Losses, weights and accumulators after two batches."""
    optimizer = RowWiseAdagrad(net.parameters(), lr=RATE)
    update = updater(net, optimizer, kernel)
    losses = []
    for _ in range(2):
        losses += update.update(batch, RATE)
        if update.kernel != "fused":
            optimizer.step()
    update.close()
    return [*losses, *net.parameters(), *(s["sum"] for s in optimizer.state.values())]


@pytest.mark.parametrize("batch", BIG)
@pytest.mark.parametrize(
    "case", [*NETS, "one encoder", "side information", "learned weights", "margin", "softmax"]
)
def test_bits_do_not_depend_on_the_number_of_threads(
    case: str, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 12 items, which every group trains."""
    monkeypatch.setattr(rounds, "round_size", lambda *_: 16)

    def build() -> nn.Module:
        torch.manual_seed(0)
        if case in NETS:
            return NETS[case](5)
        if case == "side information":
            return with_side_info(5)
        if case == "learned weights":
            return with_side_info(5, "both, learned")
        labels = [[k % 4] for k in range(NUM_ITEMS)]
        side = SideInfoEncoder(torch.ones(NUM_ITEMS) > 0, [field(labels, 4)], 5, "mean")
        if case == "one encoder":
            return SkipGram(side, side, "dot", torch.zeros(NUM_ITEMS))
        return StarSpace(
            side, score="cosine", loss=case, margin=0.3, temperature=0.2, query="item",
            decay=1.0, popularity=torch.zeros(NUM_ITEMS),
        )  # fmt: skip

    found, made = [], in_float32(BIG[batch]())
    for threads in (1, 2, 3, 5):
        choose_threads(threads)
        found.append(trained(build(), made, "auto"))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
    assert all(torch.isfinite(part).all() for part in found[0])


def test_rounds_train_as_by_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several rounds, with several threads."""
    monkeypatch.setattr(rounds, "round_size", lambda *_: 16)
    choose_threads(3)
    torch.manual_seed(0)
    compiled, reference = skipgram(5), skipgram(5).double()
    reference.load_state_dict(compiled.state_dict())
    batch = BIG["windows, shared"]()
    optimizer = OPTIMIZERS["row_wise_adagrad"](reference.parameters())
    expected = [*train_in_rounds(reference, optimizer, blocks_of(batch))]
    update = updater(compiled, OPTIMIZERS["row_wise_adagrad"](compiled.parameters()))
    found = update.update(in_float32(batch), RATE)
    assert [float(x) for x in found] == pytest.approx(np.sum(expected, axis=0), rel=1e-4)
    for name, values in reference.state_dict().items():
        torch.testing.assert_close(
            compiled.state_dict()[name].double(), values, rtol=1e-3, atol=1e-4
        )


def test_a_thread_that_fails_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of waiting for what it has claimed."""
    choose_threads(2)
    train, calls = fused._train_windows, iter(range(100))

    def fail_once(*arguments: object) -> bool:
        if next(calls) == 0:
            arguments[5].counts[0] += 1  # a group is claimed
            raise MemoryError("no room")
        return train(*arguments)

    monkeypatch.setattr(fused, "_train_windows", fail_once)
    net = skipgram(5)
    update = updater(net, RowWiseAdagrad(net.parameters()))
    with pytest.raises(MemoryError):
        update.update(in_float32(BIG["windows, shared"]()), RATE)
    update.close()


def test_long_walks_keep_the_memory_of_one_group() -> None:
    batch = in_float32(window_batch(2, 2, 60, 0))
    net = skipgram(5)
    loss, mass = updater(net, RowWiseAdagrad(net.parameters())).update(batch, RATE)
    assert torch.isfinite(loss)
    assert float(mass) > 0


def test_pieces_of_kernels_are_compiled_into_their_callers() -> None:
    """Else a process that compiles and one that loads the cache differ in the last bit."""
    of_modules = [
        (name, function)
        for module in MODULES
        for name, function in vars(module).items()
        if hasattr(function, "targetoptions")
    ]
    options = {name: function.targetoptions for name, function in of_modules}
    pieces = {n for n, o in options.items() if "forceinline" in o or o.get("inline") == "always"}
    whole = set(options) - pieces
    assert whole == {"_train_windows", "_train_pairs"}
    assert len(of_modules) > 10


def test_a_round_is_smaller_where_items_are_few() -> None:
    """Else the rows of a small catalogue are changed too often from one state."""
    sizes = [rounds.round_size(num_items, 60) for num_items in (2, 21, 300, 10_000, 420_000)]
    assert sizes == [1, 1, 5, 16, 16]
