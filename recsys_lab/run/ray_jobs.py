"""A job of a sweep on a node of a Ray cluster; what is here runs there.

A node that sees the sweep's folder of the driver works in it. Any other node works in a folder of
the same path of its own, whose archive the driver takes before the folder is removed.
"""

import logging
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from recsys_lab.compute.process import prepare_process
from recsys_lab.compute.signals import leave
from recsys_lab.compute.threads import CORES
from recsys_lab.config.configuration import register_resolvers
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.results.folder_archive import pack, unpack
from recsys_lab.results.run_lock import is_in_use
from recsys_lab.results.write_errors import explain

_LOCK_WAIT, _POLL = 60.0, 0.5  # seconds, for the process of a node that was lost


@dataclass(frozen=True)
class NodeJob:
    """What a node needs of a job.

    Attributes:
        context: of Hydra.
        task: runs the experiment.
        config: of the job, Hydra's section included.
        state: of Hydra's singletons.
        cwd: folder in which the command was typed; relative paths start there.
        folder: of the run.
        marker: file in the driver's folder of the sweep, which nobody else has.
        num_threads: unless the configuration sets another number.
        has_earlier: whether the driver has a folder of an earlier start.
        losses: how often the job was lost before.
    """

    context: HydraContext
    task: TaskFunction
    config: DictConfig
    state: Any
    cwd: Path
    folder: Path
    marker: Path
    num_threads: int
    has_earlier: bool
    losses: int = 0


class Kind(Enum):
    """How a job has left its node."""

    ENDED = "ended"
    STOPPED = "stopped by a signal"
    NEEDS_EARLIER = "the folder of the earlier start is needed"


@dataclass(frozen=True)
class Outcome:
    """What a node says of a job.

    Attributes:
        kind: how it has left.
        returned: of the run; None unless it ended.
        archive: of the folder, if the driver does not see it.
        size: of the archive, in bytes.
        node: that has it.
    """

    kind: Kind
    returned: JobReturn | None = None
    archive: Path | None = None
    size: int = 0
    node: str = ""


def run_here(job: NodeJob) -> JobReturn:
    """Let Hydra run a job in this process."""
    return run_job(
        hydra_context=job.context,
        task_function=job.task,
        config=job.config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def run_on_node(job: NodeJob, earlier: Sequence[Any]) -> Outcome:
    """Run a job in a process of its own.

    Args:
        job: it is run.
        earlier: references to the pieces of an archive of its folder; for a node that does not see
            the driver's folders and has asked for it.

    Raises:
        ConfigurationError: the node cannot have folders of the same paths.
    """
    _prepare(job)
    try:
        if job.marker.is_file():
            os.chdir(job.cwd)
            return _run(job)
        return _run_apart(job, earlier)
    except OSError as error:
        raise ConfigurationError(f"on the node {os.uname().nodename}: {explain(error)}") from error
    finally:
        logging.shutdown()


def _prepare(job: NodeJob) -> None:
    prepare_process()
    leave()
    os.environ[CORES] = str(job.num_threads)
    setup_globals()
    register_resolvers()
    Singleton.set_state(job.state)


def _run(job: NodeJob) -> Outcome:
    end = time.monotonic() + _LOCK_WAIT
    while job.losses and is_in_use(job.folder) and time.monotonic() < end:
        time.sleep(_POLL)  # its process may end later than its node
    try:
        returned = run_here(job)
    except SystemExit:
        return Outcome(Kind.STOPPED)
    return Outcome(Kind.ENDED, returned)


def _run_apart(job: NodeJob, earlier: Sequence[Any]) -> Outcome:
    """Run where the driver's folders are not seen."""
    if "n_trials" in job.config.hydra.sweeper:
        raise ConfigurationError(
            f"the node {os.uname().nodename} does not see the folder of the search, "
            f"{job.folder.parent}: name one that all nodes share with hydra.sweep.dir="
        )
    job.cwd.mkdir(parents=True, exist_ok=True)
    os.chdir(job.cwd)
    import ray

    if earlier:
        unpack((ray.get(piece) for piece in earlier), job.folder)
    elif job.has_earlier:
        return Outcome(Kind.NEEDS_EARLIER)
    outcome = _run(job)
    archive = job.folder.with_name(f".{job.folder.name}.run.tar")
    size, node = pack(job.folder, archive), ray.get_runtime_context().get_node_id()
    return replace(outcome, archive=archive, size=size, node=node)


def remove(archive: Path, folder: Path) -> None:
    """Remove a folder and its archive, which the driver has now."""
    archive.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
