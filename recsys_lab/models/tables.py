"""What the compiled kernels work on: the parameters of a model as arrays."""

from typing import NamedTuple

import numpy as np


class Table(NamedTuple):
    """A parameter: where it is read and where its step goes, which is the same in training."""

    values: np.ndarray  # (N, D)
    target: np.ndarray  # (N, D)
    sums: np.ndarray  # (N,) accumulators of row-wise Adagrad, or (0,) for SGD


class Tables(NamedTuple):
    """The parameters of a model.

    Centers and contexts are the same table for matrix factorisation, and only there may be biases,
    else of shape (0, 1).
    """

    centers: Table
    contexts: Table
    biases: Table  # (N, 1)
    global_bias: Table  # (1, 1)


_NOTHING = np.zeros((0, 1), np.float32)
NO_TABLE = Table(_NOTHING, _NOTHING, np.zeros(0, np.float32))


class Settings(NamedTuple):
    """What a step needs to know beside the batch."""

    one_table: bool
    logistic: bool  # else the squared loss
    l2: float
    rate: float
    eps: float
