"""`recsys-lab serve` as a user types it."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys_lab.commands.app import app
from tests.run_cases import ROOT
from tests.run_folder_cases import metrics, write_run
from tests.serve.served_cases import ASKED, two_runs, write_served_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return two_runs(tmp_path_factory.mktemp("served"))


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "recsys_lab", "serve", *map(str, words)]


@contextmanager
def started(*words: object) -> Iterator[tuple[subprocess.Popen, str]]:
    """The process and the first line of its standard output."""
    process = subprocess.Popen(
        command(*words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


def refusal(*words: object) -> str:
    """What a command that fails writes; nothing goes to standard output."""
    done = CliRunner().invoke(app, ["serve", *map(str, words)])
    assert done.stdout == ""
    assert not isinstance(done.exception, SystemExit), done.stderr
    return f"{type(done.exception).__name__}: {done.exception}"


def test_it_prints_its_address_serves_and_ends_quietly(runs: list[Path]) -> None:
    with started(*runs, "--port", 0) as (process, line):
        address = line.strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}?item={ASKED}") as answer:  # noqa: S310
            assert b"mf_pairs" in answer.read()
        assert process.stderr is not None
        while "ready" not in process.stderr.readline():
            pass
        port = int(address.rstrip("/").rpartition(":")[2])
        assert refusal(runs[0], "--port", port) == (
            f"VectorsError: cannot serve at port {port} of 127.0.0.1 (address already in use): "
            "choose another port with --port, or any that is free with --port 0"
        )
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err.strip()) == (130, "", "")


def test_other_machines_are_warned_of(runs: list[Path]) -> None:
    with started(*runs, "--port", 0, "--host", "0.0.0.0") as (process, line):  # noqa: S104
        assert line.startswith("http://0.0.0.0:")
        assert process.stderr is not None
        warning = process.stderr.readline()
    assert warning.startswith("warning: 0.0.0.0 may be reached from other machines")


def test_mistakes_are_answered_by_a_sentence(tmp_path: Path, runs: list[Path]) -> None:
    without = write_run(tmp_path / "old", 0, metrics())
    assert refusal(without) == (
        f"VectorsError: {without} has no embeddings: write them with "
        f"python -m recsys_lab embed {without}"
    )
    assert f"{tmp_path} is the folder of 1 run" in refusal(tmp_path)
    assert refusal(runs[0], "--host", "not:an:address").startswith(
        "VectorsError: cannot serve at --host not:an:address: "
    )
    damaged = write_served_run(tmp_path / "damaged", 0) / "embeddings" / "items.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert f"{damaged} is not a Parquet file that can be read" in refusal(damaged.parent.parent)
    assert CliRunner().invoke(app, ["serve", str(runs[0]), "--port", "70000"]).exit_code == 2


@pytest.mark.parametrize("name", ["fastapi", "uvicorn"])
def test_without_the_extra_the_command_says_what_to_install(runs: list[Path], name: str) -> None:
    """In a process that cannot import the library."""
    hide = f"import sys; sys.modules[{name!r}] = None; sys.argv[1:] = ['serve', {str(runs[0])!r}]; "
    done = subprocess.run(
        [sys.executable, "-c", hide + "from recsys_lab.commands.app import main; main()"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    wanted = f"the page needs {name}: pip install -c constraints.txt -e '.[serve]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", wanted)
