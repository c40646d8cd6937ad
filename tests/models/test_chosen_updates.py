"""Which way of updating the weights is chosen, and that a net's own loss is kept."""

import numpy as np
import pytest
import torch
from fused_cases import RATE, factorization, in_float32, skipgram, updater
from model_cases import BATCHES, NUM_ITEMS
from torch import Tensor, nn

from recsys_lab.data.batch import Batch, PairBatch
from recsys_lab.models.blocks import Kernel
from recsys_lab.models.encoders import IdEncoder, SideInfoEncoder
from recsys_lab.models.optimizers import RowWiseAdagrad
from recsys_lab.models.skipgram import SkipGram
from recsys_lab.models.updates import choose_updater


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
    weighted = SideInfoEncoder(torch.ones(NUM_ITEMS) > 0, [], 5, "attention")
    learned = SkipGram(weighted, ids[0], "dot", popularity)
    double, mf = skipgram(5).double(), factorization(5, "logistic", biases=False)
    biased = factorization(5, "logistic", biases=True)
    sparse_adam = torch.optim.SparseAdam(list(net.parameters()))
    return {
        "ids": (net, adagrad(net), "fused"),
        "ids, sgd": (net, torch.optim.SGD(net.parameters()), "fused"),
        "ids, SparseAdam": (net, sparse_adam, "fused_loss"),
        "one table for both": (tied, adagrad(tied), "fused_loss"),
        "side information": (mixed, adagrad(mixed), "fused"),
        "side information, SparseAdam": (mixed, sparse_adam, "fused_loss"),
        "learned weights": (learned, adagrad(learned), "fused"),
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
