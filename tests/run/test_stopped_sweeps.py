"""A signal ends a sweep: the job that runs, the jobs that wait, and every process of it."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from recsys_lab.compute.counts import count_of
from recsys_lab.run.checkpoints import load_checkpoint
from tests.run_cases import command

WORDS = ("trainer.max_epochs=10000", "prepared_dir=prepared", "hydra.sweep.subdir=${hydra.job.num}")
LAUNCHERS = {  # words, jobs at a time, and what has to be installed
    "basic": (("seed=0,1,2",), 1, "hydra"),
    "joblib": (
        ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=0,1,2"),
        2,
        "hydra_plugins.hydra_joblib_launcher",
    ),
    "submitit": (
        ("hydra/launcher=submitit_local", "seed=0,1"),
        2,
        "hydra_plugins.hydra_submitit_launcher",
    ),
    "ray": (("hydra/launcher=ray", "hydra.launcher.n_jobs=2", "seed=0,1,2"), 2, "ray"),
}


def wait_until(condition: object, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


def processes(session: int) -> list[str]:
    """The processes of a session that are alive."""
    listed = subprocess.run(["ps", "-eo", "sid,stat,args"], capture_output=True, text=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()[1:]]
    return [row[2] for row in rows if row[0] == str(session) and row[1][0] != "Z"]


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_it_ends_with_all_its_processes(launcher: str, number: int, tmp_path: Path) -> None:
    words, jobs, needed = LAUNCHERS[launcher]
    pytest.importorskip(needed)
    python, script, *others = command(*WORDS, *words, "hydra.sweep.dir=sweep")
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(
            [python, script, "-m", *others],
            stdout=out, stderr=out, cwd=tmp_path, start_new_session=True,
        )  # fmt: skip
    begun = lambda: list(tmp_path.glob("sweep/*/checkpoints/last.ckpt"))  # noqa: E731
    wait_until(lambda: len(begun()) == jobs, 120)
    process.send_signal(number)
    assert process.wait(30) == 128 + number
    wait_until(lambda: not processes(process.pid), 5)
    shown = (tmp_path / "out").read_text()
    assert "Traceback" not in shown
    assert f"sweep: 0 of {count_of(jobs, 'run')} finished, {jobs} failed or stopped" in shown
    assert "the same command goes on with hydra.sweep.dir=sweep" in shown
    assert len(list(tmp_path.glob("sweep/*/train.log"))) == jobs  # the others have not begun
    for last in begun():
        assert load_checkpoint(last)["global_step"] > 0
        assert "interrupted by SIG" in (last.parents[1] / "train.log").read_text()
