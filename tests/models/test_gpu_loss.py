"""What a GPU computes, by operations of torch on a CPU; the kernels where there is a GPU."""

import sys
from types import SimpleNamespace

import pytest
import torch
from model_cases import BATCHES, NUM_ITEMS, field, window_batch
from torch import Tensor

from recsys_lab.compute.triton_found import has_triton
from recsys_lab.data.batch import WindowBatch
from recsys_lab.models import gpu_loss
from recsys_lab.models.blocks import score_block
from recsys_lab.models.encoders import IdEncoder, SideInfoEncoder
from recsys_lab.models.losses import logistic_loss
from recsys_lab.models.optimizers import RowWiseAdagrad
from recsys_lab.models.skipgram import SkipGram

CUDA = torch.device("cuda")
needs_gpu = pytest.mark.skipif(
    not (torch.cuda.is_available() and has_triton(CUDA)), reason="needs a GPU with Triton"
)


def block_loss(
    centers: Tensor, contexts: Tensor, batch: WindowBatch, l2: float
) -> tuple[Tensor, Tensor]:
    """What the kernel computes."""
    block = score_block(batch)
    loss = logistic_loss(centers @ contexts.transpose(1, 2), block.positive, block.negative)
    sizes = centers.square().sum(-1), contexts.square().sum(-1)
    return loss + l2 * block.penalty(*sizes), block.num_positives


def net_of(shared: bool, **options: object) -> SkipGram:
    torch.manual_seed(0)
    fields = [field([[item % 3] for item in range(NUM_ITEMS)], 3)]
    encoders = [IdEncoder(NUM_ITEMS, 4), IdEncoder(NUM_ITEMS, 4)]
    if shared:
        encoders = [SideInfoEncoder(torch.ones(NUM_ITEMS, dtype=torch.bool), fields, 4, "mean")] * 2
    zeros = torch.zeros(NUM_ITEMS)
    return SkipGram(*encoders, score="dot", popularity=zeros, l2=0.1, kernel="auto", **options)


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("shared", [False, True])
def test_the_loss_of_a_net(name: str, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[WindowBatch] = []

    def kernel(*given: object) -> tuple[Tensor, Tensor]:
        met.append(given[2])
        return block_loss(*given)

    monkeypatch.setattr(gpu_loss, "has_triton", lambda device: True)
    stand_in = SimpleNamespace(block_loss=kernel)
    monkeypatch.setitem(sys.modules, "recsys_lab.models.triton_blocks", stand_in)
    net, batch = net_of(shared), BATCHES[name]
    loss = gpu_loss.gpu_loss(net, net.compiled_form())
    assert loss is not None
    for found, expected in zip(loss(batch), net.loss(batch), strict=True):
        assert torch.allclose(found.double(), expected.double(), rtol=1e-5)
    assert len(met) == (isinstance(batch, WindowBatch) and batch.chosen is None)


def test_nets_that_the_kernel_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_loss, "has_triton", lambda device: True)
    net = net_of(False, loss="margin")
    assert gpu_loss.gpu_loss(net, net.compiled_form()) is None
    monkeypatch.setattr(gpu_loss, "has_triton", lambda device: False)
    net = net_of(False)
    assert gpu_loss.gpu_loss(net, net.compiled_form()) is None


def test_a_cpu_has_no_triton() -> None:
    assert not has_triton(torch.device("cpu"))
    assert not has_triton(torch.device("meta"))


@needs_gpu
@pytest.mark.parametrize("drawn", [0, 20])
def test_the_kernel_of_a_block(drawn: int) -> None:
    from recsys_lab.models import triton_blocks

    batch = window_batch(5, 6, 10, drawn)
    batch = batch._replace(
        items=batch.items.cuda(), negatives=batch.negatives.cuda(),
        column_weights=batch.column_weights.float().cuda(),
        distance_weights=batch.distance_weights.float().cuda(),
    )  # fmt: skip
    vectors = [torch.randn(5, n, 24, device="cuda", requires_grad=True) for n in (60, 60 + drawn)]
    found = []
    for function in (triton_blocks.block_loss, block_loss):
        loss, weight = function(*vectors, batch, 0.1)
        found.append((loss, weight, *torch.autograd.grad(loss, vectors)))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)


@needs_gpu
def test_the_kernel_of_rows() -> None:
    from recsys_lab.models.triton_rows import step_rows

    torch.manual_seed(0)
    indices = torch.cat([torch.randint(0, 40, (150,)), torch.full((3000,), 7)])  # one very often
    grads, table = torch.randn(3150, 24), torch.nn.Parameter(torch.randn(41, 24))
    own, sums = table.detach().cuda(), torch.zeros(41, device="cuda")
    optimizer = RowWiseAdagrad([table], lr=0.1)
    for _ in range(2):
        table.grad = torch.sparse_coo_tensor(indices[None], grads, table.shape)
        optimizer.step()
        step_rows(own, sums, indices.cuda(), grads.cuda(), 0.1, 1e-8)
    assert torch.allclose(own.cpu(), table, atol=1e-5)
    assert torch.allclose(sums.cpu(), optimizer.accumulator(table, by_row=True), rtol=1e-4)
