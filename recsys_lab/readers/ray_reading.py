"""Reading of many files on a Ray cluster: a task for each, and one table of ids for all.

A task unpacks and parses a file, checks its lines and codes its ids by themselves, which is nearly
all the work of reading. It returns integers, and each id once; Ray moves them to disk where memory
is short. The process that started the tasks joins the parts in the order of the files, by the
function that joins those of a single process, so the records are the same.
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from recsys_lab.compute.ray_cluster import connect
from recsys_lab.compute.threads import CORES
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.records import Records

log = logging.getLogger(__name__)

OPTION = "prepare=ray"
_LOG_EVERY = 5.0  # seconds


@runtime_checkable
class PartedSource(Protocol):
    """A source whose files can be read apart from each other."""

    def parts(self) -> list[tuple[Any, ...]]:
        """The arguments of `read_part`, a path first, for each part."""
        ...

    def read_part(self, *part: Any) -> Any:
        """Read one."""
        ...

    def join(self, parts: Iterable[Any]) -> Records:
        """The records of all parts, in their order."""
        ...


@dataclass(frozen=True)
class RayReading:
    """Reads the parts of a source by tasks of Ray.

    Attributes:
        address: of the cluster, such as auto or host:port; None starts one on this machine. Its
            nodes see the files under the same paths.
    """

    address: str | None = None

    def check(self, source: object) -> None:
        """Refuse a source that one process alone can read.

        Raises:
            CatalogError: it is one.
        """
        if not isinstance(source, PartedSource):
            raise CatalogError(
                f"{OPTION} reads Amazon metadata and lists of edges (catalog=amazon, "
                f"catalog=edges), got {type(source).__name__}: use prepare=local"
            )

    def __call__(self, source: Any) -> Records:
        """The records of a source, as its `read` gives them; a single part is read here.

        Raises:
            CatalogError: as of `read`, or a node was lost.
            ClusterError: Ray is not installed, or no cluster answers.
        """
        self.check(source)
        parts = source.parts()
        if len(parts) == 1:
            records: Records = source.read()
            return records
        ray = connect(self.address, OPTION)
        log.info("reading %d files by tasks of Ray", len(parts))
        read = ray.remote(num_cpus=1)(_read_part)
        shared = ray.put(source)
        tasks = [read.remote(shared, os.path.abspath(part[0]), *part[1:]) for part in parts]
        try:
            found: Records = source.join(_results(ray, tasks))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, CatalogError):
                raise CatalogError(str(error.cause)) from error
            raise
        except ray.exceptions.RayError as error:
            raise CatalogError(
                f"a node of the Ray cluster was lost ({type(error).__name__}): start the command "
                "again"
            ) from error
        finally:
            for task in tasks:
                ray.cancel(task)
        return found


def _read_part(source: PartedSource, *part: Any) -> Any:
    os.environ[CORES] = "1"  # of the task
    return source.read_part(*part)


def _results(ray: Any, tasks: list[Any]) -> Iterator[Any]:
    """The results of tasks in their order, each forgotten by Ray once it is used."""
    total, logged = len(tasks), time.monotonic()
    while tasks:
        yield ray.get(tasks.pop(0))
        if time.monotonic() - logged >= _LOG_EVERY:
            logged = time.monotonic()
            log.info("%d of %d files read", total - len(tasks), total)
