"""Whether torchrun or Slurm has started this process as one of several ranks."""

import os
from typing import NamedTuple

_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_FIRST_PORT = 15_000  # of Slurm, as Lightning has it; the end of the job's number is added


class Place(NamedTuple):
    """A rank among all.

    Attributes:
        rank: 0 .. size - 1.
        local_rank: among those of the same machine.
        local_size: ranks of the same machine.
        address: where rank 0 is found.
        port: of the store in which ranks find each other.
        has_store: whether the one who started the ranks provides it; else rank 0 does.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    address: str = ""
    port: int = 0
    has_store: bool = False


def is_started() -> bool:
    """Whether this process is one of several; imports nothing."""
    return int(os.environ["WORLD_SIZE"]) > 1 if _by_torchrun() else _by_slurm()


def _by_torchrun() -> bool:
    return all(name in os.environ for name in _TORCHRUN)


def _by_slurm() -> bool:
    return "SLURM_STEP_ID" in os.environ and int(os.environ.get("SLURM_NTASKS", 1)) > 1


def started_place() -> Place | None:
    """The place that the environment gives this process; None if it is the only one."""
    if not is_started():
        return None
    return _of_torchrun() if _by_torchrun() else _of_slurm()


def _of_torchrun() -> Place:
    here = os.environ
    rank, size, local, port = (int(here[n]) for n in _TORCHRUN if n != "MASTER_ADDR")
    each = int(here.get("LOCAL_WORLD_SIZE", size))
    agent = here.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return Place(rank, size, local, each, here["MASTER_ADDR"], port, agent)


def _of_slurm() -> Place:
    """The place of a process that srun has started."""
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

    here = os.environ
    nodes = here.get("SLURM_STEP_NODELIST") or here.get("SLURM_NODELIST", "127.0.0.1")
    port = _FIRST_PORT + int(here.get("SLURM_JOB_ID", "0")[-4:])
    size = int(here["SLURM_NTASKS"])
    return Place(
        int(here["SLURM_PROCID"]),
        size,
        int(here["SLURM_LOCALID"]),
        size // int(here.get("SLURM_NNODES", 1)),
        here.get("MASTER_ADDR") or SLURMEnvironment.resolve_root_node_address(nodes),
        int(here.get("MASTER_PORT", port)),
    )
