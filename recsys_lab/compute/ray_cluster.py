"""Ray, and the cluster that work is handed to."""

import os
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from recsys_lab.compute.signals import exit_by, give_back, handle
from recsys_lab.compute.threads import usable_cores

LOCAL = "local"  # instead of an address: a cluster on this machine
_ANSWERS_IN = 10.0  # seconds
_LOCAL_STORE = 256 * 2**20  # bytes for objects in shared memory; beyond them Ray spills to disk


class ClusterError(ValueError):
    """Ray or its cluster cannot be used; the message is one sentence for the user."""


def check_ray(option: str) -> None:
    """Refuse an option that needs Ray where it is not installed; Ray is not imported.

    Raises:
        ClusterError: it is not installed.
    """
    if find_spec("ray") is None:
        raise ClusterError(f"{option} needs Ray: pip install 'recsys-lab[ray]'")


def check_cluster(address: str, option: str) -> None:
    """Refuse a cluster that does not answer now, though it is needed later; it is left again.

    Raises:
        ClusterError: Ray is not installed, or no cluster answers.
    """
    check_ray(option)
    if address == LOCAL:
        return
    if not _ray(address).is_initialized():
        connect(address, option).shutdown()


def connect(address: str | None, option: str) -> Any:
    """Ray, connected to a cluster; a process has one at a time, until it ends.

    Args:
        address: such as auto or host:port; None or local starts a cluster on this machine, which
            ends with this process.
        option: that asks for it, for messages.

    Raises:
        ClusterError: Ray is not installed, or no cluster answers.
    """
    check_ray(option)
    address = None if address == LOCAL else address
    ray = _ray(address)
    if ray.is_initialized():
        return ray
    before = handle(exit_by)  # Ray takes SIGTERM, and an address may be waited for
    try:
        _check_answers(address)
        ray.init(log_to_driver=False, logging_level="error", **_place(address))
    except Exception as error:  # a bare one of Ray where starting a node takes too long
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        mode = os.environ.get("RAY_AUTH_MODE", "disabled")
        hint = f"; RAY_AUTH_MODE is {mode}, which the cluster has to be, too"
        raise ClusterError(
            f"no Ray cluster can be used at {address or 'this machine'} ({reason}): {option} takes "
            "auto or host:port of a cluster that runs, or local to start one here"
            f"{hint if type(error) is ConnectionError else ''}"  # refused by Ray, not by the system
        ) from error
    finally:
        give_back(before)
    return ray


def _ray(address: str | None) -> Any:
    """Ray, with settings that it reads when it is imported."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # else all else on this machine goes first
    if address is not None and _has_token():  # so does ray start --head
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    return ray


def _has_token() -> bool:
    """Whether this user has a token, which Ray writes to this file when it needs one."""
    is_named = any(name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return is_named or Path(os.path.expanduser("~/.ray/auth_token")).exists()  # without a home, too


def _check_answers(address: str | None) -> None:
    """Ask an address itself: Ray would wait for minutes."""
    host, _, port = str(address).rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS_IN).close()


def _place(address: str | None) -> dict[str, Any]:
    if address is not None:
        return {"address": address}
    return {
        "address": "local",
        "num_cpus": usable_cores(),
        "include_dashboard": False,
        "object_store_memory": _LOCAL_STORE,
    }
