"""How ranks that train copies of one model pass tensors to each other."""

from collections.abc import Callable, Sequence
from threading import Barrier
from typing import Any, Protocol

import torch
from torch import Tensor
from torch import distributed as dist


class Group(Protocol):
    """The ranks of a training. Every rank calls the same methods in the same order."""

    rank: int
    size: int

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """The tensors (n,) of all ranks, in their order, on the same device; lengths may differ."""
        ...

    def swap(self, sent: Sequence[Tensor], received: Sequence[Tensor]) -> None:
        """Send tensor r (n, k) to rank r, and fill received tensor r with what rank r sends here.

        Both know its shape already. The tensors may lie on the device of the group or a CPU.
        """
        ...


class DistributedGroup:
    """The ranks of an initialised `torch.distributed`: gloo for CPUs, NCCL for GPUs.

    Args:
        device: where the tensors lie that are passed.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self._device = torch.device(device)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """See `Group`."""
        lengths = self._lengths([len(tensor)])[:, 0].tolist()
        most = max(lengths)
        if most == 0:
            return [tensor] * self.size
        padded = torch.zeros(most, dtype=tensor.dtype, device=self._device)
        padded[: len(tensor)] = tensor
        found = padded.new_empty(self.size * most)
        dist.all_gather_single(found, padded)
        return [found[r * most :][:n].to(tensor.device) for r, n in enumerate(lengths)]

    def swap(self, sent: Sequence[Tensor], received: Sequence[Tensor]) -> None:
        """See `Group`."""
        received[self.rank].copy_(sent[self.rank])
        others = [rank for rank in range(self.size) if rank != self.rank]
        jobs = [
            dist.P2POp(way, tensors[rank], rank)
            for rank in others
            for way, tensors in ((dist.isend, sent), (dist.irecv, received))
            if len(tensors[rank])
        ]
        for job in dist.batch_isend_irecv(jobs) if jobs else []:
            job.wait()

    def _lengths(self, own: Sequence[int]) -> Tensor:
        """Some lengths of every rank, on the CPU: (ranks, lengths)."""
        row = torch.tensor(own, device=self._device)
        found = row.new_empty(self.size * len(own))
        dist.all_gather_single(found, row)
        return found.view(self.size, -1).cpu()


class ThreadGroup:
    """Ranks that are threads of one process, for tests and simulations: `ThreadGroup.among(4)`."""

    def __init__(self, rank: int, board: list[Any], barrier: Barrier) -> None:
        self.rank = rank
        self.size = len(board)
        self._board = board
        self._barrier = barrier

    @classmethod
    def among(cls, size: int) -> list["ThreadGroup"]:
        """One for each of so many ranks; their calls wait for each other."""
        board: list[Any] = [None] * size
        barrier = Barrier(size)
        return [cls(rank, board, barrier) for rank in range(size)]

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """See `Group`."""
        return self._post(tensor.clone(), list)

    def swap(self, sent: Sequence[Tensor], received: Sequence[Tensor]) -> None:
        """See `Group`."""
        self._board[self.rank] = sent
        self._barrier.wait()
        for tensor, others in zip(received, self._board, strict=True):
            tensor.copy_(others[self.rank])
        self._barrier.wait()

    def abort(self) -> None:
        """Let no rank wait for this one any more: their calls raise `BrokenBarrierError`."""
        self._barrier.abort()

    def _post(self, own: Any, read: Callable[[list[Any]], list[Tensor]]) -> list[Tensor]:
        self._board[self.rank] = own
        self._barrier.wait()
        found = read(self._board)
        self._barrier.wait()
        return found
