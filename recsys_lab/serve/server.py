"""Starts and stops the server."""

import socket
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import uvicorn

from recsys_lab.serve.application import build_application
from recsys_lab.serve.exhibits import Exhibits
from recsys_lab.vectors.errors import VectorsError


def serve(paths: Sequence[Path], host: str, port: int) -> None:
    """Serve the page of some runs until Ctrl-C; prints its address.

    Args:
        paths: run folders, or files of vectors.
        host: name or address to listen on.
        port: 0 for any that is free.

    Raises:
        VectorsError: a run has no embeddings, or the host or port cannot be used.
    """
    exhibits = Exhibits.open(paths)
    listener = _listen(host, port)
    is_local = _is_local(host)
    if not is_local:
        sys.stderr.write(
            f"warning: {host} may be reached from other machines, and the page asks for no "
            "password; leave --host out to serve this machine alone\n"
        )
    address = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"http://{address}:{listener.getsockname()[1]}/\n")
    sys.stdout.flush()
    Thread(target=_load, args=(exhibits,), daemon=True).start()
    app = build_application(exhibits, _names(host) if is_local else ["*"])
    settings = uvicorn.Config(
        app, log_level="error", access_log=False, server_header=False, lifespan="off",
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    with listener:
        try:
            uvicorn.Server(settings).run([listener])
        except KeyboardInterrupt:
            sys.stderr.write("\n")  # behind the ^C of the terminal


def _load(exhibits: Exhibits) -> None:
    """Read the runs while the first page is looked at."""
    try:
        exhibits.load()
    except ValueError as error:  # a damaged file, which its pages name
        sys.stderr.write(f"{error}\n")
    sys.stderr.write("ready; Ctrl-C ends\n")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise VectorsError(f"cannot serve at --host {host}: {_reason(error)}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise VectorsError(
            f"cannot serve at port {port} of {host} ({_reason(error)}): choose another port with "
            f"--port, or any that is free with --port 0"
        ) from error
    return listener


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).lower()


def _is_local(host: str) -> bool:
    """Whether only this machine can reach the host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _names(host: str) -> list[str]:
    """Names that a browser on this machine may call the server by."""
    return ["localhost", "127.0.0.1", "[::1]", f"[{host}]" if ":" in host else host]
