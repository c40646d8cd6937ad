"""A step on a GPU never asks it for a number, which would wait for all it has to do.

Tensors of the device "meta" have shapes and no data, so that an operation whose result has a shape
that depends on data fails on them, and so does reading a value.
"""

from functools import partial

import pytest
import torch
from model_cases import BATCHES, NUM_ITEMS, field
from pytorch_lightning.utilities import move_data_to_device
from torch import nn

from recsys_lab.models.encoders import IdEncoder, Pooling, SideInfoEncoder
from recsys_lab.models.mf import MatrixFactorization
from recsys_lab.models.optimizers import RowWiseAdagrad, sum_rows
from recsys_lab.models.skipgram import SkipGram


def skipgram() -> SkipGram:
    encoders = [IdEncoder(NUM_ITEMS, 4) for _ in range(2)]
    popularity = torch.zeros(NUM_ITEMS)
    return SkipGram(*encoders, score="dot", popularity=popularity, l2=0.1, kernel="auto")


def side_info(pooling: Pooling) -> SkipGram:
    fields = [field([[item % 3] * (item % 4 > 0) for item in range(NUM_ITEMS)], 3)]
    trained = torch.arange(NUM_ITEMS) < NUM_ITEMS - 1
    encoders = [SideInfoEncoder(trained, fields, 4, pooling) for _ in range(2)]
    return SkipGram(*encoders, score="dot", popularity=torch.zeros(NUM_ITEMS), kernel="auto")


def factorization() -> MatrixFactorization:
    return MatrixFactorization(
        IdEncoder(NUM_ITEMS, 4),
        biases=IdEncoder(NUM_ITEMS, 1),
        popularity=torch.zeros(NUM_ITEMS),
        loss="logistic",
        l2=0.1,
    )


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize(
    "build",
    [skipgram, factorization, partial(side_info, "mean"), partial(side_info, "attention")],
    ids=["skip-gram", "factorization", "side information, mean", "side information, attention"],
)
def test_a_step(build: type[nn.Module], name: str) -> None:
    net, batch = build().to("meta"), BATCHES[name]
    optimizer = RowWiseAdagrad(net.parameters())
    on_device = move_data_to_device(batch, torch.device("meta"))
    for _ in range(2):
        optimizer.zero_grad()
        total, weight = net.loss(on_device)
        total.backward()
        optimizer.step()
        assert total.is_meta
        assert weight.is_meta


def test_the_way_of_the_cpu_would_be_noticed() -> None:
    with pytest.raises((NotImplementedError, RuntimeError)):
        sum_rows(torch.tensor([1, 1], device="meta"), torch.ones(2, 3, device="meta"))
