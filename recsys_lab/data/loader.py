"""A stateful loader over batches that are a pure function of (epoch, batch number)."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from recsys_lab.data.batch import Batch

_LOOKAHEAD = 2  # batches in flight for each thread


class BatchLoader:
    """Yields the batches of one epoch after the other, drawn ahead by threads.

    Threads and not processes: the kernels release the interpreter lock, and nothing is copied. The
    order, and every batch in it, is the same for any number of threads.

    Args:
        draw: (epoch, number) -> batch.
        num_batches: batches in an epoch.
        num_workers: threads that draw ahead; 0 draws in the calling thread.
    """

    def __init__(
        self, draw: Callable[[int, int], Batch], num_batches: int, num_workers: int
    ) -> None:
        if num_workers < 0:
            raise ValueError(f"data.num_workers must be >= 0, got {num_workers}")
        self._draw = draw
        self._num_batches = num_batches
        self._num_workers = num_workers
        self._epoch = 0
        self._next = 0  # number of the batch that comes next
        self._resumed = False

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[Batch]:
        if self._next and not self._resumed:  # the last epoch was left early
            self._epoch, self._next = self._epoch + 1, 0
        self._resumed = False
        batches = self._inline() if self._num_workers == 0 else self._ahead()
        for batch in batches:
            self._next += 1
            if self._next == self._num_batches:  # so that a state saved now points at what follows
                self._epoch, self._next = self._epoch + 1, 0
            yield batch

    def _inline(self) -> Iterator[Batch]:
        epoch = self._epoch
        for number in range(self._next, self._num_batches):
            yield self._draw(epoch, number)

    def _ahead(self) -> Iterator[Batch]:
        epoch, numbers = self._epoch, iter(range(self._next, self._num_batches))
        pending: deque[Future[Batch]] = deque()
        pool = ThreadPoolExecutor(self._num_workers, thread_name_prefix="batches")
        try:
            for number in numbers:
                pending.append(pool.submit(self._draw, epoch, number))
                if len(pending) >= _LOOKAHEAD * self._num_workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands: what has been handed out."""
        return {"epoch": self._epoch, "next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the state was taken."""
        self._epoch, self._next, self._resumed = state["epoch"], state["next"], True
