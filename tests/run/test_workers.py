import pytest

from recsys_lab.compute.threads import WORKERS, usable_cores
from recsys_lab.run.workers import share_cores

JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
LOCAL = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"


@pytest.mark.parametrize(
    ("launcher", "num_jobs", "num_threads", "threads", "told"),
    [
        (
            {"_target_": JOBLIB, "n_jobs": 2},
            9,
            None,
            4,
            "2 jobs at a time: 4 threads each",
        ),
        ({"_target_": JOBLIB, "n_jobs": -1}, 99, None, 1, "8 jobs at a time: 1 thread each"),
        ({"_target_": JOBLIB, "n_jobs": 20}, 3, None, 2, "3 jobs at a time: 2 threads each"),
        ({"_target_": JOBLIB, "n_jobs": 2}, 9, 3, 4, "2 jobs at a time: num_threads=3 each"),
        ({"_target_": LOCAL}, 16, None, 1, "16 jobs at a time: 1 thread each"),
        ({"_target_": JOBLIB, "n_jobs": 2}, 1, None, 8, ""),
        ({"_target_": "x.BasicLauncher"}, 9, None, 8, ""),
    ],
)
def test_the_cores_are_divided(
    launcher: dict, num_jobs: int, num_threads: int | None, threads: int, told: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.setattr("pathlib.Path.read_text", lambda _: "max 100000")  # of the quota
    monkeypatch.setenv(WORKERS, "1")
    share_cores(launcher, num_jobs, num_threads)
    assert usable_cores() == threads
    said = capsys.readouterr().err
    assert said.startswith(told)
    assert bool(said) == bool(told)
