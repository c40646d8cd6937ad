"""A stateful loader over batches that are a pure function of (epoch, batch number)."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import ThreadsOrZero
from recsys_lab.data.batch import Batch

_LOOKAHEAD = 2  # batches in flight for each thread


class BatchLoader:
    """Yields the batches of an epoch, drawn ahead by threads.

    Threads and not processes: the kernels release the interpreter lock, and nothing is copied. The
    order, and every batch in it, is the same for any number of threads.

    Args:
        draw: (epoch, number) -> batch.
        num_batches: batches in an epoch.
        num_workers: threads that draw ahead; 0 draws in the calling thread.
        epoch: number of the epoch that an iteration belongs to, asked when it starts. Lightning
            restores its own count in every kind of resume, but not always a loader's state.
    """

    @checked
    def __init__(
        self,
        draw: Callable[[int, int], Batch],
        num_batches: int,
        num_workers: ThreadsOrZero,
        epoch: Callable[[], int],
    ) -> None:
        self._draw = draw
        self._num_batches = num_batches
        self._num_workers = num_workers
        self._epoch = epoch
        self._start = 0  # number of the batch that the next iteration starts with
        self._next = 0  # number of the batch that comes next

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[Batch]:
        epoch, start = self._epoch(), self._start
        self._start, self._next = 0, start
        numbers = range(start, self._num_batches)
        for batch in (
            self._ahead(epoch, numbers) if self._num_workers else self._inline(epoch, numbers)
        ):
            # Counted before it is handed out, so that a state saved in the step points behind it.
            self._next = (self._next + 1) % self._num_batches
            yield batch

    def _inline(self, epoch: int, numbers: range) -> Iterator[Batch]:
        for number in numbers:
            yield self._draw(epoch, number)

    def _ahead(self, epoch: int, numbers: range) -> Iterator[Batch]:
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
        """Number of the batch that comes next in this epoch; 0 at its end."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration start where the state was taken."""
        self._start = state["next"]
