"""Training in several processes that Ray Train starts, each of which runs the command."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys_lab.compute.signals import with_parent
from recsys_lab.compute.threads import CORES
from recsys_lab.config.path_words import quoted


def train_worker(config: Mapping[str, Any]) -> None:
    """What a worker of Ray Train runs: one rank of `python train.py WORDS`.

    The workers are the ranks, whatever nodes they are on. A run that has a checkpoint goes on from
    it, as after a failure (`FailureConfig`).

    Args:
        config: `folder`, the absolute path of the run folder, which all nodes see; `words`, those
            of the command line.

    Raises:
        ValueError: a key is missing or unknown, or the folder is no absolute path.
        RuntimeError: the command has failed.
    """
    folder, words = _checked(config)
    import ray
    from ray import train
    from ray.train.collective import broadcast_from_rank_zero

    context = train.get_context()
    rank, size = context.get_world_rank(), context.get_world_size()
    address, port = broadcast_from_rank_zero(
        [ray.util.get_node_ip_address(), _free_port()] if rank == 0 else None
    )
    each = context.get_local_world_size()
    cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
    place = {
        "RANK": rank,
        "WORLD_SIZE": size,
        "LOCAL_RANK": context.get_local_rank(),
        "LOCAL_WORLD_SIZE": each,
        "MASTER_ADDR": address,
        "MASTER_PORT": port,
        CORES: max(1, int(cpus)) * each,  # which the ranks of a machine share
    }
    words = command(folder, words, size)
    ended = subprocess.run(words, env=_environment(place), stdin=subprocess.DEVNULL, check=False)  # noqa: S603 - this very program
    if ended.returncode:
        raise RuntimeError(
            f"rank {rank} has ended with status {ended.returncode}: see what it printed, and "
            f"{folder}/train.log"
        )


def command(folder: str, words: Sequence[str], size: int) -> list[str]:
    """The command line of each rank."""
    ranks = ("trainer=ddp", "trainer.devices=1", f"trainer.num_nodes={size}")
    own = (f"hydra.run.dir={quoted(folder)}", "resume=auto")
    return [sys.executable, "-m", "recsys_lab", "train", *ranks, *words, *own]


def _checked(config: Mapping[str, Any]) -> tuple[str, list[str]]:
    if set(config) != {"folder", "words"}:
        raise ValueError(
            f"train_loop_config has {', '.join(sorted(config)) or 'nothing'}: it takes folder, the "
            "run folder, and words, a list of those of the command line"
        )
    folder = str(config["folder"])
    if not Path(folder).is_absolute():
        raise ValueError(
            f"folder={folder} of train_loop_config is no absolute path: workers have other folders"
        )
    return folder, [str(word) for word in config["words"]]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        return int(one.getsockname()[1])


def _environment(place: Mapping[str, object]) -> dict[str, str]:
    known = {k: v for k, v in os.environ.items() if not k.startswith("TORCHELASTIC_")}
    path = os.pathsep.join(x or os.getcwd() for x in sys.path)
    return with_parent({**known, **{k: str(v) for k, v in place.items()}, "PYTHONPATH": path})
