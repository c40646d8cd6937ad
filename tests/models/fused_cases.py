"""Nets, optimisers and updaters of the tests of compiled training."""

import numpy as np
import torch
from model_cases import NUM_ITEMS
from torch import Tensor, nn

from recsys_lab.data.batch import Batch, ChosenContexts
from recsys_lab.models.blocks import Kernel
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.mf import Loss, MatrixFactorization
from recsys_lab.models.optimizers import RowWiseAdagrad
from recsys_lab.models.skipgram import SkipGram
from recsys_lab.models.updates import Updater, choose_updater

RATE = 0.3


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


def in_float32(batch: Batch) -> Batch:
    def single(part: object) -> object:
        if isinstance(part, ChosenContexts):
            return ChosenContexts(*map(single, part))
        return part.float() if isinstance(part, Tensor) and part.is_floating_point() else part

    return type(batch)(*map(single, batch))
