"""Optimisers for sparse tables."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Epsilon, LearningRate
from recsys_lab.compute.triton_found import has_triton
from recsys_lab.models.distinct import rank_sorted


def sum_rows(indices: Tensor, rows: Tensor, *, padded: bool = False) -> tuple[Tensor, Tensor]:
    """Sum the rows (n, D) that share an index (n,).

    Sorting and a segment sum by `embedding_bag` take a fraction of the time of `coalesce`.

    Args:
        indices: (n,).
        rows: (n, D).
        padded: return n rows (see `distinct`), those behind the distinct ones being zero, for the
            largest index.

    Returns:
        the distinct indices (u,), ascending, and their sums (u, D).
    """
    ordered, order = torch.sort(indices, stable=True)  # equal ones are added in their order
    if padded:
        numbers = torch.arange(len(ordered), device=ordered.device)
        offsets = torch.searchsorted(rank_sorted(ordered), numbers)  # (n,), n behind the last
        distinct = ordered[offsets.clamp_max(len(ordered) - 1)]
    else:
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
        lr: learning rate.
        eps: added to the root of the accumulator; above 0, since the first gradient of a row may be
            zero.
    """

    @checked
    def __init__(
        self, params: Iterable[Tensor], lr: LearningRate = 0.1, eps: Epsilon = 1e-8
    ) -> None:
        super().__init__(params, {"lr": lr, "eps": eps})

    def accumulator(self, parameter: Tensor, *, by_row: bool) -> Tensor:
        """The accumulators of a parameter: one for each row (N,), or for each element."""
        state = self.state[parameter]
        if "sum" not in state:
            shape = parameter.shape[:1] if by_row else parameter.shape
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
                total = self.accumulator(parameter, by_row=parameter.grad.is_sparse)
                if not parameter.grad.is_sparse:
                    total.addcmul_(parameter.grad, parameter.grad)
                    parameter.addcdiv_(
                        parameter.grad, total.sqrt().add_(group["eps"]), value=-group["lr"]
                    )
                    continue
                grad = parameter.grad
                if has_triton(grad.device) and grad.dtype == torch.float32:
                    from recsys_lab.models.triton_rows import step_rows

                    where, rows = grad._indices()[0], grad._values()
                    step_rows(parameter, total, where, rows, group["lr"], group["eps"])
                    continue
                index, rows = sum_rows(
                    grad._indices()[0], grad._values(), padded=grad.device.type != "cpu"
                )
                total.index_add_(0, index, rows.square().mean(dim=-1))
                rows *= (-group["lr"] / (total[index].sqrt() + group["eps"]))[:, None]
                parameter.index_add_(0, index, rows)
        return loss


Build = Callable[[Iterable[Tensor]], torch.optim.Optimizer]

_TAKE_SPARSE = (RowWiseAdagrad, torch.optim.SGD, torch.optim.Adagrad, torch.optim.SparseAdam)
_REFUSED_SETTINGS = ("weight_decay", "momentum", "maximize", "nesterov")  # on sparse gradients


def check_optimizer(build: Build) -> torch.optim.Optimizer:
    """Refuse an optimiser that cannot update tables with sparse gradients.

    Returns:
        the optimiser, over a parameter that stands for all.

    Raises:
        ValueError: naming the setting and what to do.
    """
    optimizer = build([nn.Parameter(torch.zeros(1, 1))])
    if not isinstance(optimizer, _TAKE_SPARSE):
        raise ValueError(
            f"optimizer {type(optimizer).__name__} cannot update sparse tables: choose one of "
            f"{', '.join(kind.__name__ for kind in _TAKE_SPARSE)}"
        )
    for name in _REFUSED_SETTINGS:
        if optimizer.defaults.get(name):
            raise ValueError(
                f"{name} does not go with sparse tables: a step may change only rows of its batch; "
                f"leave it out, or regularise the rows of the batch by the model's l2"
            )
    return optimizer


def build_optimizers(build: Build, net: nn.Module) -> list[torch.optim.Optimizer]:
    """The optimisers of a net with sparse tables and, perhaps, dense parameters.

    One takes both kinds, but for SparseAdam: there, Adam with the same settings takes the dense.
    A module names its sparse parameters in `sparse_tables`.
    """
    sparse: list[Tensor] = []
    for module in net.modules():
        named = (getattr(module, name) for name in getattr(module, "sparse_tables", ()))
        sparse += [parameter for parameter in named if parameter is not None]
    known = {id(parameter) for parameter in sparse}
    dense = [parameter for parameter in net.parameters() if id(parameter) not in known]
    optimizer = build([*sparse, *dense])
    if not dense or not isinstance(optimizer, torch.optim.SparseAdam):
        return [optimizer]
    settings = {name: optimizer.defaults[name] for name in ("lr", "betas", "eps")}
    adam = torch.optim.Adam(dense, **settings)
    return [build(sparse), adam] if sparse else [adam]
