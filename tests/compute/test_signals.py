"""Signals end a process with 128 + their number, at any time, and its workers with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recsys_lab.compute.signals import Interrupted, Receiver, interruptible
from tests.run_cases import ROOT

BOTH = [signal.SIGINT, signal.SIGTERM]


def test_a_second_signal_counts_when_it_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, heard = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    receive = Receiver(lambda n: heard.append(("first", n)), lambda n: heard.append(("second", n)))
    for moment, number in ((5.0, 2), (5.5, 15), (6.0, 2), (6.5, 15)):
        clock[0] = moment
        receive(number, None)
    assert heard == [("first", 2), ("second", 15)]
    assert receive.number == 2


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_is_told_from_the_error_that_a_library_makes_of_it(number: int) -> None:
    before = signal.getsignal(number)

    @interruptible()
    def write() -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(9)
        except SystemExit as stop:
            raise RuntimeError("unexpected pos 662") from stop

    with pytest.raises(Interrupted) as stopped:
        write()
    assert stopped.value.code == 128 + number
    assert stopped.value.name == signal.Signals(number).name
    assert signal.getsignal(number) is before


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="other"), interruptible():
        raise RuntimeError("other")


@pytest.mark.parametrize("number", BOTH)
def test_while_it_imports(number: int, tmp_path: Path) -> None:
    """Within the first seconds of `python train.py`."""
    with subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), "catalog.num_items=300"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path,
    ) as process:  # fmt: skip
        first = process.stdout.readline()  # comes before the imports of seconds
        process.send_signal(number)
        said = process.stdout.read()
    assert first.startswith("run folder: ")
    assert process.returncode == 128 + number
    assert said == f"interrupted by {signal.Signals(number).name}\n"


LEADER = """
import subprocess, sys, time
from recsys_lab.compute.signals import exit_at_once, lead
exit_at_once()
lead()
worker = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=sys.stdout)
time.sleep(60)
"""
WORKER = """
import os, signal, time
from recsys_lab.compute.signals import Interrupted, follow, interruptible, is_worker
assert is_worker()
follow()
try:
    with interruptible():
        print(os.getpid(), flush=True)
        time.sleep(60)
except Interrupted as stop:
    print(stop.name, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_worker_ends_with_the_process_that_it_works_for(number: int) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", LEADER, WORKER], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        worker = int(process.stdout.readline())
        process.send_signal(number)
        began = time.monotonic()
        said = process.stdout.read()  # until the worker has ended, too
    assert said == "SIGTERM\n"
    assert time.monotonic() - began < 5
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    while is_there(worker):  # until it is reaped
        assert time.monotonic() - began < 5


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
