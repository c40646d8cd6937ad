import csv
import io
from pathlib import Path

from omegaconf import OmegaConf
from rich.console import Console

from recsys_lab.report.leaderboard import jobs_of, leaderboard, unfinished
from recsys_lab.results.run_folder import find_run_folders, read_run
from tests.run_folder_cases import metrics, write_run

MONITOR = "val/ndcg@10"


def job(folder: Path, words: list, curve: tuple = (), **options: object) -> None:
    write_run(folder, **options)
    OmegaConf.save(OmegaConf.create(words), folder / ".hydra" / "overrides.yaml")
    with (folder / "curve.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["step", MONITOR])
        writer.writeheader()
        writer.writerows({"step": n, MONITOR: value} for n, value in enumerate(curve))


def shown(folder: Path) -> tuple[list[list[str]], list]:
    jobs = jobs_of([read_run(one) for one in find_run_folders([folder])], MONITOR)
    out = Console(file=io.StringIO(), width=200)
    out.print(leaderboard(jobs, MONITOR))
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [line.split() for line in lines[2:]], unfinished(jobs)


def test_the_test_decides_and_unfinished_jobs_are_named(tmp_path: Path) -> None:
    job(tmp_path / "0_a", ["dim=8", "lr=0.1"], (0.2, 0.5, 0.4), values=metrics(0, 0.3))
    job(tmp_path / "1_b", ["dim=8", "lr=0.2"], (0.3,), values=metrics(0, 0.6))
    job(tmp_path / "2_c", ["dim=8", "lr=0.3"], log="12:00:00 ERROR   no luck\n")
    job(tmp_path / "10_d", ["dim=8", "lr=0.4"], log="12:00:00 WARNING interrupted by SIGINT\n")
    rows, others = shown(tmp_path)
    assert rows == [
        ["1", "1", "lr=0.2", "0.3000", "0.6000", "0.6000"],
        ["2", "0", "lr=0.1", "0.5000", "0.3000", "0.3000"],
    ]
    assert others == [("2 lr=0.3", "failed: no luck"), ("10 lr=0.4", "interrupted")]


def test_trials_are_ranked_by_what_they_maximise(tmp_path: Path) -> None:
    log = "12:00:00 INFO    not tested: trial {}, val/ndcg@10 0.1{}\n"
    job(tmp_path / "0_a", ["lr=0.123456789"], (0.7,), values=metrics(0, 0.1))
    job(tmp_path / "1_b", ["lr=0.2"], (0.8,), log=log.format(1, ""))
    job(tmp_path / "2_c", ["lr=0.3"], (0.1,), log=log.format(2, ", pruned after 2 epochs"))
    rows, others = shown(tmp_path)
    assert rows == [
        ["1", "1", "lr=0.2", "0.8000", "–", "–"],
        ["2", "0", "lr=0.1235", "0.7000", "0.1000", "0.1000"],
        ["3", "2", "lr=0.3", "0.1000", "pruned", "pruned"],
    ]
    assert not others
