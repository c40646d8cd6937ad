"""`recsys-lab train`, and how commands end."""

import os
import signal
import subprocess
import sys
import time
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
    wait_for_its_own_handler(process.pid)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert "Traceback" not in told
    assert process.returncode in (128 + number, 0)  # 0: too late


def wait_for_its_own_handler(process: int) -> None:
    """Until then SIGTERM ends it, and Python itself has a traceback for SIGINT."""
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        time.sleep(1)
        return
    caught, ends = 1 << (signal.SIGTERM - 1), time.monotonic() + 60
    while not int(status.read_text().split("SigCgt:")[1].split()[0], 16) & caught:
        assert time.monotonic() < ends
        time.sleep(0.005)
