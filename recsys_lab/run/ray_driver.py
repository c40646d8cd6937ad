"""The driver of a sweep on Ray: it hands out jobs, repeats lost ones and takes their folders."""

import logging
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus

from recsys_lab.compute.counts import count_of
from recsys_lab.compute.signals import Interrupted, Receiver, exit_by, give_back, handle
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.results.folder_archive import PIECE, pack, pieces_of, read_piece, unpack
from recsys_lab.results.write_errors import explain
from recsys_lab.run.ray_jobs import Kind, NodeJob, Outcome, remove, run_on_node

if TYPE_CHECKING:
    from recsys_lab.run.ray_launcher import RayOptions

_POLL, _GRACE = 0.5, 60.0  # seconds; a job that is stopped writes a checkpoint

log = logging.getLogger(__name__)


class RayJobs:
    """Jobs of one launch.

    Args:
        ray: connected.
        options: of the launcher.
        jobs: by number.
    """

    def __init__(self, ray: Any, options: "RayOptions", jobs: Mapping[int, NodeJob]) -> None:
        self._ray, self._options = ray, options
        self._jobs = dict(jobs)
        self._waiting = deque(sorted(jobs))
        self._running: dict[Any, int] = {}  # by the reference to the outcome
        self._done: dict[int, JobReturn] = {}
        self._task = ray.remote(
            num_cpus=options.num_cpus, num_gpus=options.num_gpus, max_retries=0, max_calls=1
        )(run_on_node)

    def run(self) -> dict[int, JobReturn]:
        """Run them all.

        Raises:
            Interrupted: a signal has come; the jobs that ran have stopped, with a checkpoint.
        """
        signals = Receiver(lambda number: None, exit_by)
        before = handle(signals)
        try:
            while self._waiting or self._running:
                self._hand_out()
                self._take_ready()
                if signals.number is not None:
                    self._stop()
                    raise Interrupted(signals.number)
        finally:
            give_back(before)
        return self._done

    def _hand_out(self) -> None:
        most = self._options.n_jobs or len(self._jobs)
        while self._waiting and len(self._running) < most:
            self._start(self._waiting.popleft(), [])

    def _start(self, number: int, earlier: list[Any]) -> None:
        self._running[self._task.remote(self._jobs[number], earlier)] = number

    def _take_ready(self) -> None:
        ready, _ = self._ray.wait(list(self._running), timeout=_POLL)
        for reference in ready:
            number = self._running.pop(reference)
            try:
                self._take(number, self._ray.get(reference))
            except self._ray.exceptions.RayTaskError as error:
                self._fail(number, error.cause)
            except self._ray.exceptions.RayError as error:
                self._repeat(number, type(error).__name__)
            except OSError as error:  # of this machine's disk
                self._fail(number, ConfigurationError(explain(error)))

    def _take(self, number: int, outcome: Outcome) -> None:
        if outcome.kind is Kind.NEEDS_EARLIER:
            self._start(number, list(self._earlier(number)))
            return
        if outcome.archive is not None:
            self._bring(self._jobs[number].folder, outcome)
        if outcome.returned is None:
            self._repeat(number, outcome.kind.value)
        else:
            self._end(number, outcome.returned)

    def _end(self, number: int, returned: JobReturn) -> None:
        self._done[number] = returned
        word = "finished" if returned.status is JobStatus.COMPLETED else "failed"
        log.info("job %d %s: %d of %d", number, word, len(self._done), len(self._jobs))

    def _fail(self, number: int, error: Exception) -> None:
        overrides = list(self._jobs[number].config.hydra.overrides.task)
        returned = JobReturn(overrides=overrides, status=JobStatus.FAILED)
        returned.return_value = error
        self._end(number, returned)

    def _repeat(self, number: int, reason: str) -> None:
        """Run a job again whose node or process was lost, as often as the options allow."""
        job, retries = self._jobs[number], self._options.retries
        if job.losses >= retries:
            times = count_of(job.losses + 1, "time")
            self._fail(number, ConfigurationError(
                f"job {number}: its node or process was lost {times} ({reason}); the same command "
                f"goes on with hydra.sweep.dir={job.folder.parent}"
            ))  # fmt: skip
            return
        log.warning(
            "job %d: its node or process was lost (%s); it runs again (%d of %s)",
            number, reason, job.losses + 1, "1 retry" if retries == 1 else f"{retries} retries",
        )  # fmt: skip
        self._jobs[number] = replace(job, losses=job.losses + 1, has_earlier=job.folder.is_dir())
        self._waiting.append(number)

    def _earlier(self, number: int) -> Iterator[Any]:
        """References to the pieces of the folder that an earlier start has left."""
        with tempfile.TemporaryDirectory() as place:
            archive = Path(place) / "run.tar"
            pack(self._jobs[number].folder, archive)
            for piece in pieces_of(archive):
                yield self._ray.put(piece)

    def _bring(self, folder: Path, outcome: Outcome) -> None:
        """Take the folder of a job from its node, a piece at a time, and remove it there."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(outcome.node, soft=False)
        on_node = self._ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)
        get, read, archive = self._ray.get, on_node(read_piece), outcome.archive
        offsets = range(0, outcome.size, PIECE)
        unpack((get(read.remote(archive, offset)) for offset in offsets), folder)
        get(on_node(remove).remote(archive, folder))

    def _stop(self) -> None:
        """Let the jobs that run write a checkpoint and end."""
        for reference in self._running:
            self._ray.cancel(reference, force=False)
        end = time.monotonic() + _GRACE
        while self._running and time.monotonic() < end:
            ready, _ = self._ray.wait(list(self._running), timeout=_POLL)
            for reference in ready:
                folder = self._jobs[self._running.pop(reference)].folder
                with suppress(self._ray.exceptions.RayError, OSError, ValueError):
                    outcome = self._ray.get(reference)
                    if outcome.archive is not None:
                        self._bring(folder, outcome)
