"""What SIGINT and SIGTERM do to a command: it ends with 128 + their number, without a traceback.

Nothing heavy is imported here, so that it holds while the rest is being imported.
"""

import logging
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PARENT = "RECSYS_LAB_PARENT"  # process id and machine of the command that a worker belongs to
_POLL, _GRACE = 0.5, 20.0  # seconds
_SAME = 1.0  # seconds in which two signals count as one: a terminal and a parent may both send it

log = logging.getLogger(__name__)


class Interrupted(SystemExit):
    """A signal ends the process.

    Attributes:
        name: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


class Receiver:
    """Tells first and second signals apart.

    Args:
        first: called with the number of the first signal.
        second: called with that of one that comes later.
    """

    def __init__(self, first: Callable[[int], None], second: Callable[[int], None]) -> None:
        self._first, self._second = first, second
        self.number: int | None = None
        self._at = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.number is None:
            self.number, self._at = number, time.monotonic()
            self._first(number)
        elif time.monotonic() - self._at > _SAME:
            self._second(number)


def handle(handler: Any) -> dict[int, Any]:
    """Give the signals to a handler; returns those before. Only the main thread has any."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, handler) for number in SIGNALS}


def give_back(before: dict[int, Any]) -> None:
    """Undo `handle`."""
    for number, handler in before.items():
        signal.signal(number, handler)


def exit_at_once() -> None:
    """Let a signal end the process where it stands, as while it imports."""
    handle(exit_by)


def ignore_interrupts() -> None:
    """Leave what a terminal or a launcher sends to all processes to the one that leads."""
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def exit_by(number: int, frame: FrameType | None = None) -> None:
    """End the process by the number of a signal."""
    with suppress(Exception):  # the signal may have come in the middle of a print
        logging.raiseExceptions = False
        log.error("interrupted by %s", signal.Signals(number).name)
    os._exit(128 + number)


_raised: int | None = None


def interrupt(number: int) -> None:
    """Raise `Interrupted` in the main thread, where the process is to end."""
    global _raised
    _raised = number
    raise Interrupted(number)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a signal raise `Interrupted`, so that half-written files are removed.

    A second one ends the process at once.

    Raises:
        Interrupted: also where a library has made an error of its own of it, as torch's archives
            do.
    """
    global _raised
    _raised = None
    before = handle(Receiver(interrupt, exit_by))
    try:
        yield
    except BaseException:
        if _raised is not None:
            raise Interrupted(_raised) from None
        raise
    finally:
        give_back(before)


def with_parent(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker, with this process as the one that it belongs to."""
    return {**variables, _PARENT: f"{os.getpid()} {platform.node()}"}


def lead() -> None:
    """Let workers that this process starts end with it."""
    os.environ.update(with_parent({}))
    # joblib's tracker cleans up behind them, and would warn of what it finds
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")


def leave() -> None:
    """In a process of a cluster, belong to no command: the cluster ends it."""
    os.environ.pop(_PARENT, None)


def is_worker() -> bool:
    """Whether this process runs jobs of a sweep for another one."""
    parent, _ = _parent()
    return parent != os.getpid()


def _parent() -> tuple[int, str]:
    """Process id and machine of the command that this process belongs to; else its own."""
    number, _, machine = os.environ.get(_PARENT, "").partition(" ")
    return (int(number), machine) if number else (os.getpid(), platform.node())


def follow() -> None:
    """In a worker, take the signals, and end when the process that it works for has ended."""
    if not is_worker() or any(one.name == _PARENT for one in threading.enumerate()):
        return
    exit_at_once()
    parent, machine = _parent()
    if machine == platform.node():  # else it is a job of a cluster, which ends it
        threading.Thread(target=_end_with, args=(parent,), name=_PARENT, daemon=True).start()


def _end_with(parent: int) -> None:
    is_child = os.getppid() == parent
    while os.getppid() == parent if is_child else _is_alive(parent):
        time.sleep(_POLL)
    os.kill(os.getpid(), signal.SIGTERM)  # a checkpoint is written where there is one to write
    time.sleep(_GRACE)
    os._exit(128 + signal.SIGTERM)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:  # no such process
        return False
    return True
