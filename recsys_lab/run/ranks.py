"""The processes that train copies of a model together: how they start, meet and end.

Rank 0 is the process of the run. It starts the others (`rank_worker`), unless torchrun or Slurm has
done so, and gives each job to them: its configuration and the folders of its prepared data.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import distributed as dist
from torch.distributed import (  # type: ignore[attr-defined]  # not exported by their stubs
    FileStore,
    PrefixStore,
    Store,
    TCPStore,
)

from recsys_lab.compute.signals import with_parent
from recsys_lab.compute.started import Place, started_place
from recsys_lab.compute.threads import WORKERS
from recsys_lab.models.groups import DistributedGroup
from recsys_lab.models.task import TrainingError
from recsys_lab.results.run_folder import how_to_resume

_POLL = 0.05  # seconds
_PATIENCE = 5.0  # seconds for the reason of an end to be known
_FAREWELL = 15.0  # seconds for ranks, which may not have come yet, to see that all is over
_START = 1800.0  # seconds for the ranks to be ready
_TIMEOUT = timedelta(minutes=60)  # of an exchange: rank 0 may rank a large catalogue before it
GONE = "rank 0 has ended without a reason: it was killed, or its machine failed"
_LOST = "another rank has ended without a reason: it was killed, or its machine failed"


class RankError(TrainingError):
    """Another rank has ended."""


class Ranks:
    """One rank of a job, with its connection to the others.

    Args:
        place: of this rank.
        store: of the job, which all ranks see.
        children: the other ranks, by their number, if this one has started them.
        whole: the store of all jobs, in which ranks that were started with it say that they end.

    Attributes:
        group: passes tensors; None before `connect`.
    """

    def __init__(
        self,
        place: Place,
        store: Store,
        children: Mapping[int, "subprocess.Popen[bytes]"] | None = None,
        whole: Store | None = None,
    ) -> None:
        self.place = place
        self.group: DistributedGroup | None = None
        self._store = store
        self._children = children or {}
        self._whole = whole

    def connect(self, device: torch.device) -> None:
        """Wait for all ranks to be ready, and connect them.

        Raises:
            RankError: one has ended.
        """
        self._store.set(f"ready/{self.place.rank}", "")
        names = [f"ready/{rank}" for rank in range(self.place.size)]
        until = time.monotonic() + _START
        while not self._store.check(names):
            if reason := self._ended() or ("" if time.monotonic() < until else _LOST):
                raise RankError(reason)
            time.sleep(_POLL)
        backend = "gloo"
        if device.type == "cuda":
            torch.cuda.set_device(device)
            backend = "cpu:gloo,cuda:nccl"
        dist.init_process_group(
            backend,
            store=PrefixStore("group", self._store),
            rank=self.place.rank,
            world_size=self.place.size,
            timeout=_TIMEOUT,
        )
        self.group = DistributedGroup(device)

    def leave(self) -> None:
        """End the connection; the job is over for this rank."""
        if self.place.rank == 0:
            with suppress(RuntimeError):  # the store is gone
                self._store.set("left", "")
        self.group = None
        if dist.is_initialized():
            dist.destroy_process_group()

    def is_over(self) -> bool:
        """Whether rank 0 has left the job; it may take a moment to say so."""
        return self._within_patience(lambda: self._store.check(["left"]))

    def report(self, message: str) -> None:
        """Tell rank 0 why this rank ends."""
        with suppress(RuntimeError):
            self._store.set(f"error/{self.place.rank}", message)

    def reason(self) -> str:
        """Why another rank has ended, once that is known; empty if none has."""
        found = ""

        def look() -> bool:
            nonlocal found
            found = self._ended()
            return bool(found)

        self._within_patience(look)
        return found

    def lost(self) -> str:
        """Why nothing more is heard of rank 0; empty as long as its store answers."""
        try:
            self._store.check(["left"])
        except RuntimeError:
            return GONE
        return ""

    def _ended(self) -> str:
        for rank in range(1, self.place.size):
            if self._store.check([f"error/{rank}"]):
                said = self._store.get(f"error/{rank}").decode()
                return f"rank {rank} has ended: {said}"
            if self._whole is not None and self._whole.check([f"bye/{rank}"]):
                return f"rank {rank} has ended"
        for rank, child in self._children.items():
            if (code := child.poll()) is not None:
                return f"rank {rank} has ended: {_status(code)}"
        return ""

    def _within_patience(self, is_so: Any) -> bool:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            try:
                if is_so():
                    return True
            except RuntimeError:  # the store is gone, with rank 0
                return False
            time.sleep(_POLL)
        return False


def _status(code: int) -> str:
    if code >= 0:
        return f"its process has ended with status {code}"
    name = signal.Signals(-code).name
    short = ", perhaps by the system for want of memory" if code == -signal.SIGKILL else ""
    return f"its process was ended by {name}{short}"


class Starter(Protocol):
    """Gives rank 0 the ranks of each job."""

    def ranks(self, job: str) -> Ranks:
        """The ranks of a new job, described by JSON."""
        ...

    def end(self) -> None:
        """End what was started for the job."""
        ...


class Children:
    """Starts the other ranks on this machine, for one job.

    Args:
        size: number of ranks, this process being the first.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._folder = tempfile.TemporaryDirectory(prefix="recsys_lab-")
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def ranks(self, job: str) -> Ranks:
        """See `Starter`."""
        path = str(Path(self._folder.name, "store"))
        store = open_children_store(path, self._size)
        store.set("job", job)
        command = [sys.executable, "-m", "recsys_lab.run.rank_worker", path]
        for rank in range(1, self._size):
            variables = {
                "RANK": str(rank),
                "WORLD_SIZE": str(self._size),
                "LOCAL_RANK": str(rank),
                "PYTHONPATH": os.pathsep.join(x or os.getcwd() for x in sys.path),
                WORKERS: _share(self._size),
            }
            self._children[rank] = subprocess.Popen(  # noqa: S603 - this very program
                command, env=with_parent(os.environ | variables), stdin=subprocess.DEVNULL
            )
        return Ranks(Place(0, self._size, 0, self._size), store, self._children)

    def end(self) -> None:
        """See `Starter`; they hold nothing that has to be saved."""
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.wait()
        self._folder.cleanup()


class Started:
    """The ranks that torchrun or Slurm has started, for any number of jobs.

    Args:
        place: of this process, rank 0 among them.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._store = open_store(place)
        self._jobs = 0
        self.has_lost = False  # a rank, without which there are no more jobs

    def ranks(self, job: str) -> Ranks:
        """See `Starter`.

        Raises:
            RankError: a rank was lost in an earlier job.
        """
        if self.has_lost:
            raise RankError("a rank has ended in an earlier job: start the command again")
        store = job_store(self._store, self._jobs)
        self._jobs += 1
        store.set("job", job)
        return Ranks(self._place, store, whole=self._store)

    def end(self) -> None:
        """See `Starter`: they wait for the next job."""

    def dismiss(self) -> None:
        """Let the other ranks end; a store that ends with this process waits for them to see it."""
        with suppress(RuntimeError):  # the store is gone
            self._store.set("end", "")
            names = [f"bye/{rank}" for rank in range(1, self._place.size)]
            until = time.monotonic() + _FAREWELL
            is_awaited = not (self._place.has_store or self.has_lost)
            while is_awaited and not self._store.check(names) and time.monotonic() < until:
                time.sleep(_POLL)


def job_store(store: Store, number: int) -> Store:
    """The part of a store that belongs to a job."""
    return PrefixStore(f"job{number}", store)


def open_children_store(path: str, size: int) -> Store:
    """The store of `Children`, a file that no other user can read."""
    return job_store(FileStore(path, size), 0)


def open_store(place: Place) -> Store:
    """The store in which ranks find each other; rank 0 provides it where nobody else does."""
    return TCPStore(
        place.address,
        place.port,
        is_master=place.rank == 0 and not place.has_store,
        wait_for_workers=False,
        timeout=timedelta(minutes=10),
    )


def say_bye(store: Store, place: Place) -> None:
    """Tell rank 0 that this rank ends."""
    with suppress(RuntimeError):  # the store is gone
        store.set(f"bye/{place.rank}", "")


_started: Started | None = None


def lead_started() -> Started | None:
    """As rank 0 of processes that were started together, give them jobs; None if it is alone."""
    global _started
    place = started_place()
    if place is not None and place.rank == 0 and _started is None:
        _started = Started(place)
    return _started


def check_size(size: int, num_nodes: int) -> None:
    """Refuse another number of ranks than was started.

    Raises:
        TrainingError: naming the options.
    """
    place = started_place()
    if place is not None and place.rank > 0:
        raise TrainingError(
            f"this is rank {place.rank} of processes that were started together, of which rank 0 "
            "calls fit: begin the script with recsys_lab.run.rank_worker.serve_started()"
        )
    if place is not None and place.size != size:
        raise TrainingError(
            f"{place.size} processes were started, and trainer.devices x trainer.num_nodes is "
            f"{size}: take trainer=ddp, with devices= the processes of a machine and num_nodes= "
            "the machines"
        )
    if place is None and num_nodes > 1:
        raise TrainingError(
            f"trainer.num_nodes={num_nodes} needs a process for each rank on each machine: start "
            "the command by torchrun or srun"
        )


@contextmanager
def other_ranks(size: int, job: Mapping[str, Any], folder: Path) -> Iterator[Ranks | None]:
    """The other ranks of a job; None for one rank. They end with the context.

    Args:
        size: number of ranks.
        job: for `rank_worker`, as JSON values.
        folder: of the run, whose checkpoints an error names.

    Raises:
        RankError: another rank has ended before this one.
    """
    if size == 1:
        yield None
        return
    starter: Starter = lead_started() or Children(size)
    try:
        ranks = starter.ranks(json.dumps(job))
        with shared_cores(ranks.place.local_size), _explained(ranks, folder):
            try:
                yield ranks
            finally:
                ranks.leave()
    except RankError:
        if isinstance(starter, Started):
            starter.has_lost = True
        raise
    finally:
        starter.end()


@contextmanager
def _explained(ranks: Ranks, folder: Path) -> Iterator[None]:
    """Say which rank has ended where an exchange fails for that, and how the run goes on."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error)
        if not isinstance(error, RankError):
            if isinstance(error, TrainingError):
                raise
            is_exchange = isinstance(error, dist.DistError) or "onnection" in reason
            reason = ranks.reason() or (_LOST if is_exchange else "")
        if not reason:
            raise
        has_checkpoint = any((folder / "checkpoints").glob("*.ckpt"))
        hint = f"; go on with {how_to_resume(folder)}" if has_checkpoint else ""
        raise RankError(f"{reason}{hint}") from error


def _share(local_size: int) -> str:
    return str(local_size * int(os.environ.get(WORKERS, 1)))


@contextmanager
def shared_cores(local_size: int) -> Iterator[None]:
    """Share the cores of this machine among its ranks."""
    before = os.environ.get(WORKERS)
    os.environ[WORKERS] = _share(local_size)
    try:
        yield
    finally:
        if before is None:
            del os.environ[WORKERS]
        else:
            os.environ[WORKERS] = before
