"""What the compiled kernels need to know of a net."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.losses import CellLoss


class CompiledForm(NamedTuple):
    """A net whose scores are center . context, with biases of both items if there are any."""

    centers: Callable[[Tensor], Tensor]  # item ids (n,) -> (n, D), an encoder or made of one
    contexts: Callable[[Tensor], Tensor]
    one_table: bool  # both are the same, and an item with itself is left out
    biases: IdEncoder | None  # vectors of one entry
    global_bias: nn.Parameter | None  # (1,)
    loss: CellLoss
    l2: float
