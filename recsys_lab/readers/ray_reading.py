"""Reading of many files by Ray: a task for each, and one table of ids for all.

A task unpacks and parses a file, checks its lines and codes its ids by themselves, which is nearly
all the work of reading. What it returns is integers, and each id once; Ray moves that to disk where
memory is short. The process that started the tasks joins the parts in the order of the files, by
the same function that finishes the reading of a single process, so the result is the same.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from recsys_lab.compute.threads import WORKERS
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.records import Records


@runtime_checkable
class PartedSource(Protocol):
    """A source of which files can be read apart from each other."""

    def parts(self) -> list[tuple[Any, ...]]:
        """The arguments of `read_part` for each part."""
        ...

    def read_part(self, *part: Any) -> Any:
        """Read one."""
        ...

    def join(self, parts: Iterator[Any]) -> Records:
        """The records of all parts, in their order."""
        ...


def check_parted(source: object) -> None:
    """Refuse a source that is read by one process alone.

    Raises:
        CatalogError: it is.
    """
    if not isinstance(source, PartedSource):
        raise CatalogError(
            f"prepare=ray does not read by {type(source).__name__}: it reads Amazon metadata and "
            "lists of edges (catalog=amazon, catalog=edges); use prepare=local"
        )


def read_by_ray(source: object) -> Records:
    """The records of a source, as its `read` gives them; its parts are read by tasks of Ray.

    It runs on the cluster that this process is connected to or that RAY_ADDRESS names, whose
    machines must see the files under the same paths; else on this machine, while it reads.

    Raises:
        CatalogError: as of `read`, or the source has no parts, or Ray is not installed.
    """
    check_parted(source)
    assert isinstance(source, PartedSource)  # noqa: S101 - narrows the type
    try:
        import ray  # type: ignore[import-not-found, unused-ignore]  # late: an extra
    except ImportError as error:
        raise CatalogError(
            "prepare=ray needs Ray: pip install 'recsys-lab[ray]', or use prepare=local"
        ) from error
    with _cluster(ray):
        task = ray.remote(_read_part).options(num_cpus=1)
        shared = ray.put(source)
        return source.join(_results(ray, [task.remote(shared, part) for part in source.parts()]))


def _read_part(source: PartedSource, part: tuple[Any, ...]) -> Any:
    os.environ[WORKERS] = str(os.cpu_count())  # a task has one core
    return source.read_part(*part)


def _results(ray: Any, references: list[Any]) -> Iterator[Any]:
    """The results of tasks, each forgotten by Ray once it is used."""
    references.reverse()
    while references:
        try:
            yield ray.get(references.pop())
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, CatalogError):
                raise CatalogError(str(error.cause)) from error
            raise


@contextmanager
def _cluster(ray: Any) -> Iterator[None]:
    """Connect to a cluster, or start one that ends here."""
    started = not ray.is_initialized()
    if started:
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        yield
    finally:
        if started:
            ray.shutdown()
