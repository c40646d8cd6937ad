"""Which models train by the compiled kernels of `fused`, and what these are given."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from recsys_lab.compute.threads import num_threads
from recsys_lab.data.batch import Batch
from recsys_lab.models.blocks import Kernel
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.fused import NO_TABLE, Settings, Table, Tables, train_parts
from recsys_lab.models.mf import MatrixFactorization
from recsys_lab.models.optimizers import Build, RowWiseAdagrad
from recsys_lab.models.skipgram import SkipGram


def refusal(net: object, optimizer: torch.optim.Optimizer) -> str | None:
    """Why the kernels cannot train a net with an optimiser, in a few words; None if they can."""
    if isinstance(net, SkipGram):
        tables = [net.centers, net.contexts]
    elif isinstance(net, MatrixFactorization):
        tables = [net.encoder]
    else:
        return "takes a skip-gram or a matrix factorisation"
    if not all(isinstance(table, IdEncoder) for table in tables):
        return "takes item ids alone"
    if len({id(table) for table in tables}) < len(tables):
        return "takes centers and contexts in tables of their own"
    if not isinstance(optimizer, RowWiseAdagrad | torch.optim.SGD):
        return "goes with optimizer=row_wise_adagrad or sgd"
    if any(p.device.type != "cpu" or p.dtype != torch.float32 for p in net.parameters()):
        return "runs on a CPU in float32 (trainer=cpu)"
    return None


def check_kernel(kernel: Kernel | None, build: Build, accelerator: str) -> None:
    """Refuse kernels that are asked for where they cannot run, before any data is touched.

    Raises:
        ValueError: naming the choices that go with them.
    """
    net = SkipGram(IdEncoder(1, 1), IdEncoder(1, 1), "dot", torch.zeros(1))
    reason = refusal(net, build(net.parameters()))
    if accelerator != "cpu":
        reason = "runs on a CPU (trainer=cpu)"
    if kernel == "fused" and reason is not None:
        raise ValueError(f"model.kernel=fused {reason}: choose that, or model.kernel=auto")


class FusedTraining:
    """Updates the tables of a net, and the state of its optimiser, in place.

    Args:
        net: a skip-gram on ids, or a matrix factorisation.
        optimizer: row-wise Adagrad or SGD over its parameters; its state is that of `optimizer`'s
            own steps, so that checkpoints do not tell the two apart.

    Raises:
        ValueError: the kernels cannot train this (`refusal`).
    """

    def __init__(self, net: object, optimizer: torch.optim.Optimizer) -> None:
        if (reason := refusal(net, optimizer)) is not None:
            raise ValueError(f"model.kernel=fused {reason}: choose that, or model.kernel=auto")
        assert isinstance(net, SkipGram | MatrixFactorization)  # noqa: S101 - `refusal` has looked
        self._net = net
        self._optimizer = optimizer
        self._threads = num_threads()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="fused")

    def update(self, batch: Batch, rate: float) -> tuple[Tensor, Tensor]:
        """Train on a batch; returns what the net's `loss` does, of before each step."""
        net = self._net
        if isinstance(net, MatrixFactorization):
            one_table, logistic = True, net.loss_name == "logistic"
        else:
            one_table, logistic = False, True
        eps = float(self._optimizer.param_groups[0].get("eps", 0.0))
        settings = Settings(one_table, logistic, float(net.l2), float(rate), eps)
        loss, mass = train_parts([self._tables()] * self._threads, settings, batch, self._pool)
        return torch.tensor(loss), torch.tensor(mass)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown()

    def _tables(self) -> Tables:
        net = self._net
        if isinstance(net, MatrixFactorization):
            table = self._table(net.encoder.table)
            biases = NO_TABLE if net.biases is None else self._table(net.biases.table)
            shift = NO_TABLE if net.global_bias is None else self._table(net.global_bias)
            return Tables(table, table, biases, shift)
        assert isinstance(net.centers, IdEncoder)  # noqa: S101 - `refusal` has looked
        assert isinstance(net.contexts, IdEncoder)  # noqa: S101
        return Tables(
            self._table(net.centers.table), self._table(net.contexts.table), NO_TABLE, NO_TABLE
        )

    def _table(self, parameter: Tensor) -> Table:
        """A parameter (N, D) or (1,) with its accumulators (N,), sharing memory with torch."""
        values, sums = parameter.detach().numpy(), NO_TABLE.sums
        if isinstance(self._optimizer, RowWiseAdagrad):
            sums = self._optimizer.accumulator(parameter, by_row=True).numpy()
        values = values.reshape(len(values), -1)
        return Table(values, values, sums)
