"""What updates the weights of a net: the net itself, compiled kernels, or autograd."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from recsys_lab.compute.threads import num_threads
from recsys_lab.data.batch import Batch, first_context
from recsys_lab.models.blocks import Kernel
from recsys_lab.models.compiled_form import CompiledForm
from recsys_lab.models.encoders import IdEncoder, SideInfoEncoder
from recsys_lab.models.fused import train_batch
from recsys_lab.models.fused_loss import fused_loss
from recsys_lab.models.gpu_loss import gpu_loss
from recsys_lab.models.graph_contexts import GraphContexts
from recsys_lab.models.group_steps import NO_TABLE, Settings, Table, Tables
from recsys_lab.models.learned_shares import Parts
from recsys_lab.models.optimizers import RowWiseAdagrad
from recsys_lab.models.summed_rows import Sides, own_rows

Update = Callable[[Batch, float], tuple[Tensor, Tensor]]  # batch, rate -> loss, positives' weight
FUSED_NEEDS = (
    "kernel=fused trains item ids with centers and contexts in tables of their own, by "
    "optimizer=row_wise_adagrad or sgd, on a CPU in float32 (trainer=cpu): choose these, or "
    "kernel=auto"
)

FLOAT32 = "32-true"  # of Lightning's precisions
WORDS = {  # for the log
    "net": "steps of the model's own, in float32 (kernel=net)",
    "fused": "compiled kernels, in float32 (kernel=fused)",
    "fused_loss": "compiled kernels for the loss and autograd, in float32 (kernel=fused_loss)",
    "triton": "Triton kernels for the loss and autograd, with precision {precision} (kernel=auto)",
    "autograd": "torch's operations and autograd, with precision {precision} (kernel=autograd)",
}


class CompilableNet(Protocol):
    """A net whose blocks the compiled kernels can compute, if `kernel` lets them."""

    kernel: Kernel

    def compiled_form(self) -> CompiledForm | None:
        """What the kernels need to know; None: they cannot compute the loss."""
        ...


@runtime_checkable
class SelfUpdatingNet(Protocol):
    """A net that trains its own tables in place, without gradients for an optimiser."""

    def begin(self, frequencies: np.ndarray) -> None:
        """Get ready to train on sequences with these shares (N,) of the items."""
        ...

    def update(self, batch: Batch, rate: float) -> tuple[Tensor, Tensor]:
        """Train on a batch; returns what `loss` does, of before the update."""
        ...


class Updater(NamedTuple):
    """What was chosen; all but "net" and "fused" leave gradients for the optimiser."""

    kernel: Literal["net", "fused", "fused_loss", "triton", "autograd"]
    update: Update
    close: Callable[[], None] = lambda: None  # lets threads go


def choose_updater(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    frequencies: np.ndarray,
    set_gradients: Callable[[Tensor], None],
    precision: str = FLOAT32,
) -> Updater:
    """Choose what updates the weights; the only place where that is decided.

    Args:
        net: the model.
        optimizer: over its parameters.
        frequencies: (N,) share of each item in what is trained.
        set_gradients: takes a loss and replaces all gradients by its own.
        precision: of Lightning; mixed precision is autograd's alone.

    Raises:
        ValueError: the net asks for the kernels and they cannot train it, or the precision is none
            of the net's.
    """
    check_precision(net, precision)
    if isinstance(net, SelfUpdatingNet):
        net.begin(frequencies)
        return Updater("net", net.update)
    kernel: Kernel = getattr(net, "kernel", "autograd")
    known = None if kernel == "autograd" else _form_of(net)
    form = known if precision == FLOAT32 else None
    plain = all(p.device.type == "cpu" and p.dtype == torch.float32 for p in net.parameters())
    if form and plain and takes_tables(optimizer) and _is_tables(form):
        fused = FusedTables(form, optimizer)
        return Updater("fused", fused.update, fused.close)
    if kernel == "fused":
        raise ValueError(FUSED_NEEDS)

    def by_loss(loss_of: Callable[[Batch], tuple[Tensor, Tensor]]) -> Update:
        def update(batch: Batch, rate: float) -> tuple[Tensor, Tensor]:
            loss, weight = loss_of(batch)
            set_gradients(loss)
            return loss.detach(), weight

        return update

    if form and plain and form.biases is None:
        return Updater("fused_loss", by_loss(partial(fused_loss, form)))
    if known and (on_gpu := gpu_loss(net, known)):
        return Updater("triton", by_loss(on_gpu))
    return Updater("autograd", by_loss(lambda batch: net.loss(batch)))  # type: ignore[operator]


def check_precision(net: nn.Module, precision: str) -> None:
    """Refuse a precision that a net cannot be trained with.

    Raises:
        ValueError: naming the precision and what to do.
    """
    if precision == FLOAT32:
        return
    if precision != "bf16-mixed":
        raise ValueError(f"precision={precision} is not supported: take 32-true or bf16-mixed")
    if isinstance(net, SelfUpdatingNet):
        raise ValueError(
            f"precision={precision} has no effect on a model that updates its own tables: leave it "
            "out"
        )
    if getattr(net, "kernel", "autograd") == "fused":
        raise ValueError(
            f"precision={precision} does not go with kernel=fused, which trains in float32: take "
            "kernel=auto or kernel=autograd, or leave it out"
        )


def _form_of(net: nn.Module) -> CompiledForm | None:
    """The form of a net, unless a subclass has a loss that the form knows nothing of."""
    classes = type(net).__mro__
    owners = [next((c for c in classes if n in vars(c)), None) for n in ("loss", "compiled_form")]
    return net.compiled_form() if owners[1] and owners[0] is owners[1] else None  # type: ignore[operator]


def takes_tables(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the kernels know the steps of an optimiser."""
    return isinstance(optimizer, RowWiseAdagrad | torch.optim.SGD)


def _is_tables(form: CompiledForm) -> bool:
    """Whether the vectors are sums of rows of tables, in as many tables as the kernels expect."""
    encoders = (form.centers, form.contexts)
    is_one = form.centers is form.contexts
    return all(map(_is_table, encoders)) and is_one == form.one_table


def _is_table(encoder: Callable[[Tensor], Tensor]) -> bool:
    return type(encoder) in (IdEncoder, GraphContexts, SideInfoEncoder)


def _sides(form: CompiledForm) -> Sides | None:
    """What the vectors of items are sums of; None where they are rows."""
    encoders: list[Any] = [form.centers, form.contexts]
    if all(isinstance(one, IdEncoder) for one in encoders):
        return None
    return Sides(*map(_parts_of, encoders))


def _parts_of(encoder: IdEncoder | SideInfoEncoder) -> Parts:
    if isinstance(encoder, IdEncoder):
        return own_rows(len(encoder.table))
    learned = 0 if encoder.attention is None else encoder.attention.shape[1]
    weights = encoder.shares if learned else encoder.entry_weights()
    facts = encoder.starts, encoder.rows, weights.float(), encoder.most_values
    starts, rows, shares, most = (tensor.numpy() for tensor in facts)
    return Parts(starts, rows, shares, most, encoder.parts.numpy().astype(np.int16), learned)


class FusedTables:
    """Updates tables of items and their values, and the state of their optimiser, in place.

    Args:
        form: of a net whose encoders are tables, or sums of their rows.
        optimizer: row-wise Adagrad or SGD over its parameters; its state is that of `optimizer`'s
            own steps, so that checkpoints do not tell the two apart.
    """

    def __init__(self, form: CompiledForm, optimizer: torch.optim.Optimizer) -> None:
        self._form = form
        self._optimizer = optimizer
        self._threads = num_threads()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="fused")
        self._sides = _sides(form)

    def update(self, batch: Batch, rate: float) -> tuple[Tensor, Tensor]:
        """Train on a batch; returns what the net's `loss` does, of before each step."""
        form = self._form
        eps = float(self._optimizer.param_groups[0].get("eps", 0.0))
        settings = Settings(form.one_table, *form.loss, float(form.l2), float(rate), eps)
        tables = self._tables(first_context(batch))
        loss, mass = train_batch(tables, settings, batch, self._pool, self._threads, self._sides)
        return torch.tensor(loss), torch.tensor(mass)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown()

    def _tables(self, first_context: int) -> Tables:
        """The tables of the net, of contexts the part that begins with a row."""
        form = self._form
        parameters = [
            form.centers.table,  # type: ignore[attr-defined]
            form.contexts.table,  # type: ignore[attr-defined]
            form.biases.table if form.biases is not None else None,
            form.global_bias,
            getattr(form.centers, "attention", None),
            getattr(form.contexts, "attention", None),
        ]
        centers, contexts, *others = map(self._table, parameters)
        if isinstance(form.contexts, GraphContexts):
            part = slice(first_context, first_context + len(centers.values))
            contexts = Table(*(array[part] for array in contexts))
        return Tables(centers, contexts, *others)

    def _table(self, parameter: Tensor | None) -> Table:
        """A parameter (N, D) or (1,) with its accumulators (N,), sharing memory with torch."""
        if parameter is None:
            return NO_TABLE
        values, sums = parameter.detach().numpy(), NO_TABLE.sums
        if isinstance(self._optimizer, RowWiseAdagrad):
            sums = self._optimizer.accumulator(parameter, by_row=True).numpy()
        values = values.reshape(len(values), -1)
        return Table(values, values, sums)
