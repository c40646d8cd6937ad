"""The compiled kernels against autograd and the optimisers of torch, and against themselves."""

from collections.abc import Iterator
from typing import get_args

import numpy as np
import pytest
import torch
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
from recsys_lab.models import fused, group_steps, kernels, products, ranking_kernels, rounds
from recsys_lab.models.blocks import Kernel
from recsys_lab.models.encoders import IdEncoder, Pooling, SideInfoEncoder
from recsys_lab.models.lightgcn import LightGCN
from recsys_lab.models.mf import Loss, MatrixFactorization
from recsys_lab.models.optimizers import RowWiseAdagrad
from recsys_lab.models.skipgram import SkipGram
from recsys_lab.models.starspace import RankingLoss, StarSpace
from recsys_lab.models.updates import Updater, choose_updater

RATE = 0.3
DIMS = (1, 5, 128)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    choose_threads(1)
    yield
    choose_threads(None)


def skipgram(dim: int) -> SkipGram:
    encoders = [IdEncoder(NUM_ITEMS, dim, init_scale=2 * dim**0.75) for _ in range(2)]
    return SkipGram(*encoders, score="dot", popularity=torch.zeros(NUM_ITEMS), l2=0.02)


def factorization(dim: int, loss: Loss, *, biases: bool) -> MatrixFactorization:
    net = MatrixFactorization(
        IdEncoder(NUM_ITEMS, dim, init_scale=2 * dim**0.75),
        IdEncoder(NUM_ITEMS, 1, init_scale=0.5) if biases else None,
        loss=loss,
        l2=0.01,
        popularity=torch.zeros(NUM_ITEMS),
    )
    if net.global_bias is not None:
        nn.init.constant_(net.global_bias, 0.2)
    return net


NETS = {
    "skipgram": skipgram,
    "mf": lambda dim: factorization(dim, "logistic", biases=False),
    "mf_squared": lambda dim: factorization(dim, "squared", biases=True),
    "mf_bias": lambda dim: factorization(dim, "logistic", biases=True),
}
OPTIMIZERS = {
    "row_wise_adagrad": lambda parameters: RowWiseAdagrad(parameters, lr=RATE),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.02),
}


def updater(net: nn.Module, optimizer: torch.optim.Optimizer, kernel: Kernel = "fused") -> Updater:
    """What trains the net, which gets its gradients, if it wants any, at the scale of 2."""
    net.kernel = kernel

    def set_gradients(loss: Tensor) -> None:
        net.zero_grad()
        (2 * loss).backward()

    return choose_updater(net, optimizer, np.ones(NUM_ITEMS), set_gradients)


def blocks_of(batch: Batch) -> list[Batch]:
    """Batches of one group of pairs, or of walks: what a kernel steps over."""
    if isinstance(batch, PairBatch):
        size = fused.PAIRS_IN_GROUP
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


def in_float32(batch: Batch) -> Batch:
    def single(part: object) -> object:
        if isinstance(part, ChosenContexts):
            return ChosenContexts(*map(single, part))
        return part.float() if isinstance(part, Tensor) and part.is_floating_point() else part

    return type(batch)(*map(single, batch))


def train_in_rounds(
    net: nn.Module, steps: torch.optim.Optimizer, blocks: list[Batch]
) -> Iterator[tuple[float, float]]:
    """Train by autograd: the gradients of a round are of before it, each block is a step."""
    first = blocks[0]
    centers = fused.PAIRS_IN_GROUP if isinstance(first, PairBatch) else first.items.numel()
    size = rounds.round_size(NUM_ITEMS, centers)
    for low in range(0, len(blocks), size):
        grads = []
        for block in blocks[low : low + size]:
            loss, mass = net.loss(block)
            steps.zero_grad()
            loss.backward()
            grads.append([p.grad for p in net.parameters()])
            yield loss.item(), mass.item()
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


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("pooling", get_args(Pooling))
def test_gradients_of_side_information(pooling: Pooling, batch: str, threads: int) -> None:
    choose_threads(threads)
    torch.manual_seed(0)
    labels = [[k % 3, 3] if k % 4 else [] for k in range(NUM_ITEMS)]
    trained = torch.arange(NUM_ITEMS) != 5
    sides = [
        SideInfoEncoder(trained, [field(labels, 4)], 5, pooling, init_scale=6.0) for _ in range(2)
    ]
    found = []
    for kernel, chosen in (("auto", "fused_loss"), ("autograd", "autograd")):
        net = SkipGram(*sides, score="dot", popularity=torch.zeros(NUM_ITEMS), l2=0.02)
        update = updater(net, RowWiseAdagrad(net.parameters()), kernel)
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


BIG = {  # several rounds, of which the last is not full
    "pairs": lambda: pair_batch(700, 3),
    "windows, in batch": lambda: window_batch(37, 3, 5, 0),
    "windows, shared": lambda: window_batch(20, 2, 4, 6),
    "windows, chosen": lambda: with_chosen(window_batch(18, 2, 4, 0), 3),
}


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
@pytest.mark.parametrize("case", [*NETS, "side information", "margin", "softmax"])
def test_bits_do_not_depend_on_the_number_of_threads(
    case: str, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 12 items, which every group trains."""
    monkeypatch.setattr(rounds, "round_size", lambda *_: 16)

    def build() -> nn.Module:
        torch.manual_seed(0)
        if case in NETS:
            return NETS[case](5)
        labels = [[k % 4] for k in range(NUM_ITEMS)]
        side = SideInfoEncoder(torch.ones(NUM_ITEMS) > 0, [field(labels, 4)], 5, "mean")
        if case == "side information":
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
            arguments[2].counts[0] += 1  # a group is claimed
            raise MemoryError("no room")
        return train(*arguments)

    monkeypatch.setattr(fused, "_train_windows", fail_once)
    net = skipgram(5)
    update = updater(net, RowWiseAdagrad(net.parameters()))
    with pytest.raises(MemoryError):
        update.update(in_float32(BIG["windows, shared"]()), RATE)
    update.close()


def choices() -> dict[str, tuple[nn.Module, torch.optim.Optimizer, str | None]]:
    """Nets and optimisers, and what kernel=auto takes for them."""
    ids, sides = [[make() for _ in range(2)] for make in (
        lambda: IdEncoder(NUM_ITEMS, 5),
        lambda: SideInfoEncoder(torch.ones(NUM_ITEMS) > 0, [], 5, "mean"),
    )]  # fmt: skip
    popularity = torch.zeros(NUM_ITEMS)

    def adagrad(net: nn.Module) -> torch.optim.Optimizer:
        return RowWiseAdagrad(net.parameters())

    net = SkipGram(*ids, "dot", popularity)
    tied = SkipGram(ids[0], ids[0], "dot", popularity)
    mixed = SkipGram(ids[0], sides[0], "dot", popularity)
    double, mf = skipgram(5).double(), factorization(5, "logistic", biases=False)
    biased = factorization(5, "logistic", biases=True)
    sparse_adam = torch.optim.SparseAdam(list(net.parameters()))
    return {
        "ids": (net, adagrad(net), "fused"),
        "ids, sgd": (net, torch.optim.SGD(net.parameters()), "fused"),
        "ids, SparseAdam": (net, sparse_adam, "fused_loss"),
        "one table for both": (tied, adagrad(tied), "fused_loss"),
        "side information": (mixed, adagrad(mixed), "fused_loss"),
        "float64": (double, adagrad(double), "autograd"),
        "factorization": (mf, adagrad(mf), "fused"),
        "factorization, SparseAdam": (mf, sparse_adam, "fused_loss"),
        "factorization with biases": (biased, adagrad(biased), "fused"),
        "factorization with biases, SparseAdam": (biased, sparse_adam, "autograd"),
        "without compiled_form": (nn.Linear(1, 1), sparse_adam, "autograd"),
    }


@pytest.mark.parametrize("case", choices())
def test_what_trains_is_chosen_by_what_the_net_says(case: str) -> None:
    net, optimizer, chosen = choices()[case]
    if case == "without compiled_form":
        assert choose_updater(net, optimizer, np.ones(1), lambda _: None).kernel == chosen
        return
    assert updater(net, optimizer, "auto").kernel == chosen
    assert updater(net, optimizer, "autograd").kernel == "autograd"
    if chosen == "fused":
        assert updater(net, optimizer, "fused").kernel == "fused"
    else:
        with pytest.raises(ValueError, match="kernel=fused trains item ids"):
            updater(net, optimizer, "fused")


def test_mixed_precision_is_autograds_alone() -> None:
    net = skipgram(8)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)

    def chosen(kernel: str, precision: str) -> str:
        net.kernel = kernel
        return choose_updater(net, optimizer, np.ones(1), lambda _: None, precision).kernel

    assert chosen("auto", "32-true") == "fused"
    assert chosen("auto", "bf16-mixed") == chosen("autograd", "bf16-mixed") == "autograd"
    with pytest.raises(ValueError, match="precision=bf16-mixed does not go with kernel=fused"):
        chosen("fused", "bf16-mixed")
    with pytest.raises(ValueError, match="precision=16-mixed is not supported"):
        chosen("auto", "16-mixed")


class OwnLoss(SkipGram):
    """A skip-gram with a loss of its own, and the compiled form of the other loss."""

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        loss, weight = super().loss(batch)
        return 3 * loss, weight


def test_a_loss_of_a_subclass_is_never_replaced_by_the_kernels() -> None:
    torch.manual_seed(0)
    net = OwnLoss(IdEncoder(NUM_ITEMS, 5), IdEncoder(NUM_ITEMS, 5), "dot", torch.zeros(NUM_ITEMS))
    batch = in_float32(BATCHES["pairs"])
    found = updater(net, RowWiseAdagrad(net.parameters()), "auto")
    assert found.kernel == "autograd"
    assert float(found.update(batch, RATE)[0]) == pytest.approx(
        3 * float(SkipGram.loss(net, batch)[0].detach())
    )
    with pytest.raises(ValueError, match="kernel=fused trains item ids"):
        updater(net, RowWiseAdagrad(net.parameters()), "fused")


@pytest.mark.parametrize("kernel", ["auto", "autograd"])
@pytest.mark.parametrize("chosen", ["ids", "side information"])
def test_a_batch_without_pairs_changes_nothing(kernel: Kernel, chosen: str) -> None:
    """Subsampling may leave no pair of a batch."""
    none = torch.empty(0, dtype=torch.long)
    batch = PairBatch(none, none, none.view(0, 3), torch.empty(0), 0)
    net, optimizer, _ = choices()[chosen]
    before = net.centers.table.detach().clone()
    found = updater(net, optimizer, kernel).update(batch, RATE)
    optimizer.step()
    assert [float(value) for value in found] == [0, 0]
    assert torch.equal(net.centers.table.detach(), before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_computed_by_autograd(dtype: torch.dtype) -> None:
    encoders = [IdEncoder(NUM_ITEMS, 5).to(dtype) for _ in range(2)]
    net = SkipGram(*encoders, score="dot", popularity=torch.zeros(NUM_ITEMS), kernel="auto")
    pairs = BATCHES["pairs"]
    update = updater(net, RowWiseAdagrad(net.parameters()), "auto")
    assert update.kernel == "autograd"
    loss, _ = update.update(pairs._replace(weights=pairs.weights.to(dtype)), RATE)
    assert loss.dtype == dtype


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
        for module in (fused, group_steps, kernels, products, ranking_kernels, rounds)
        for name, function in vars(module).items()
        if hasattr(function, "targetoptions")
    ]
    whole = {name for name, f in of_modules if f.targetoptions.get("inline") != "always"}
    assert whole == {"_train_windows", "_train_pairs"}
    assert len(of_modules) > 10


def test_a_round_is_smaller_where_items_are_few() -> None:
    """Else the rows of a small catalogue are changed too often from one state."""
    sizes = [rounds.round_size(num_items, 60) for num_items in (2, 21, 300, 10_000, 420_000)]
    assert sizes == [1, 1, 5, 16, 16]
