"""`recsys-lab train`, and how commands end."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from recsys_lab import __version__
from tests.forked import run_forked

COMMAND = [sys.executable, "-m", "recsys_lab"]


def recsys_lab(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return run_forked(["-m", "recsys_lab", *words], folder, timeout=60)


def test_train_takes_the_words_of_hydra(tmp_path: Path) -> None:
    done = recsys_lab(tmp_path, "train", "seed=3", "-c", "job", "model=mf", "-p", "seed")
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr
    done = recsys_lab(tmp_path, "train", "--help")
    assert "cold_start" in done.stdout
    done = recsys_lab(tmp_path, "train", "model=mff")
    assert done.returncode == 1
    assert "did you mean mf?" in done.stderr
    done = recsys_lab(tmp_path, "--version")
    assert done.stdout.strip() == f"recsys-lab {__version__}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["train"], ["similar", "nowhere", "x"], ["--help"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_without_a_traceback(
    words: list[str], number: signal.Signals, tmp_path: Path
) -> None:
    environment = os.environ | {"PYTHONVERBOSE": ""}
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=tmp_path, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for_its_own_handler(process)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert "Traceback" not in told
    too_late = int("nowhere" in words)
    assert process.returncode in (128 + number, too_late)


def wait_for_its_own_handler(process: subprocess.Popen[str]) -> None:
    """Until then SIGTERM ends it, and Python itself has a traceback for SIGINT."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        time.sleep(1)
        return
    caught, ends = 1 << (signal.SIGTERM - 1), time.monotonic() + 60
    while process.poll() is None:  # it may be over before this looks
        with suppress(OSError):
            if int(status.read_text().split("SigCgt:")[1].split()[0], 16) & caught:
                return
        assert time.monotonic() < ends
        time.sleep(0.005)


_SIGNAL_BEFORE = """
import os, runpy, signal, sys

class Finder:
    def find_spec(self, name, *others):
        if name == "recsys_lab.compute.signals":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
runpy.run_module("recsys_lab", run_name="__main__")
"""


@pytest.mark.skipif(os.name != "posix", reason="sends a signal to itself")
def test_a_signal_before_its_own_handler_leaves_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SIGNAL_BEFORE], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
