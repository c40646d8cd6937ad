"""Optimisers for sparse tables."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def sum_rows(indices: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the rows (n, D) that share an index (n,).

    Sorting and a segment sum by `embedding_bag` take a fraction of the time of `coalesce`.

    Returns:
        the distinct indices (u,), ascending, and their sums (u, D).
    """
    ordered, order = torch.sort(indices)
    distinct, counts = torch.unique_consecutive(ordered, return_counts=True)
    offsets = counts.cumsum(0) - counts
    return distinct, F.embedding_bag(order, rows, offsets, mode="sum")


class RowWiseAdagrad(torch.optim.Optimizer):
    """Adagrad with one accumulator for each row of a table.

    The accumulator of a row grows by the mean of its squared gradient; a row that is not in the
    batch does not move and costs nothing. (Duchi et al., JMLR 2011; the row-wise form is that of
    large recommender systems, Naumov et al., DLRM, arXiv 1906.00091.) Dense parameters get the
    element-wise form.

    Args:
        params: parameters with sparse or dense gradients.
        lr: learning rate, > 0.
        eps: added to the root of the accumulator.
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 0.1, eps: float = 1e-8) -> None:
        if not lr > 0:
            raise ValueError(f"optimizer.lr must be > 0, got {lr}")
        super().__init__(params, {"lr": lr, "eps": eps})

    def _accumulator(self, parameter: Tensor, sparse: bool) -> Tensor:
        state = self.state[parameter]
        if "sum" not in state:
            shape = parameter.shape[:1] if sparse else parameter.shape
            state["sum"] = torch.zeros(shape, dtype=parameter.dtype, device=parameter.device)
        return state["sum"]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the rows that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                total = self._accumulator(parameter, parameter.grad.is_sparse)
                if not parameter.grad.is_sparse:
                    total.addcmul_(parameter.grad, parameter.grad)
                    parameter.addcdiv_(
                        parameter.grad, total.sqrt().add_(group["eps"]), value=-group["lr"]
                    )
                    continue
                grad = parameter.grad
                index, rows = sum_rows(grad._indices()[0], grad._values())
                grown = total[index] + rows.square().mean(dim=-1)  # (u,)
                total[index] = grown
                rows *= (-group["lr"] / (grown.sqrt() + group["eps"]))[:, None]
                parameter.index_add_(0, index, rows)
        return loss
