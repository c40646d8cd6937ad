"""Runs made of other runs are one experiment where those differ in their seeds alone."""

from pathlib import Path

from recsys_lab.report.comparison import compare
from recsys_lab.report.names import settings
from recsys_lab.results.run_folder import find_run_folders, read_run
from tests.run_folder_cases import metrics, write_run


def start_of(run: Path) -> str:
    return str(run / "embeddings" / "items.parquet")


def rows(folder: Path) -> dict[str, list[int]]:
    """The label of each experiment, with its seeds."""
    (table,) = compare([read_run(run) for run in find_run_folders([folder])]).tables
    return {entry.label: entry.seeds for entry in table.experiments}


def test_the_seeds_of_used_runs_are_no_settings(tmp_path: Path) -> None:
    for seed in range(2):
        first = write_run(tmp_path / f"{seed}_seed={seed}", seed, metrics(seed))
        start = start_of(first)
        second = tmp_path / f"distilled_{seed}"
        choices = {"experiment": "distilled"}
        write_run(second, seed, metrics(seed), choices=choices, start=start)
        parts = [str(first), str(second)]
        choices = {"experiment": "mixture"}
        write_run(tmp_path / f"mixture_{seed}", seed, metrics(seed), choices=choices, runs=parts)
    assert rows(tmp_path) == {
        "skipgram on pairs": [0, 1],
        "distilled": [0, 1],
        "mixture": [0, 1],
    }


def test_other_settings_of_used_runs_are_settings(tmp_path: Path) -> None:
    choices = {"experiment": "distilled"}
    for dim in (8, 16):
        first = write_run(tmp_path / f"of_{dim}", 0, metrics(0), embedding_dim=dim)
        folder = tmp_path / f"distilled_{dim}"
        write_run(folder, 0, metrics(0), choices=choices, start=start_of(first))
    assert len([label for label in rows(tmp_path) if label.startswith("distilled")]) == 2


def test_runs_below_a_folder_and_runs_that_have_moved_are_found(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    for seed in range(2):
        write_run(parts / str(seed), seed, metrics(seed))
    whole = write_run(tmp_path / "mixture", 0, metrics(0), runs=[str(parts)])
    assert settings(read_run(whole))["model.runs"] == "skipgram on pairs+skipgram on pairs"

    start = start_of(tmp_path / "was_here" / "first")
    moved = write_run(tmp_path / "moved" / "second", 0, metrics(0), start=start)
    assert settings(read_run(moved))["model.start"] == start  # there is no run
    write_run(tmp_path / "moved" / "first", 0, metrics(0))
    assert settings(read_run(moved))["model.start"] == "skipgram on pairs"


def test_the_length_of_lists_changes_no_result(tmp_path: Path) -> None:
    runs: list[str] = []
    before = write_run(tmp_path / "before", 0, metrics(0), runs=runs)
    long = write_run(tmp_path / "long", 0, metrics(0), runs=runs, list_length=100)
    assert settings(read_run(before)) == settings(read_run(long))


def test_runs_that_seem_to_use_one_another_are_read_once(tmp_path: Path) -> None:
    write_run(tmp_path / "part", 0, metrics(0))
    mixtures = [
        write_run(tmp_path / name, 0, metrics(0), runs=[str(tmp_path)]) for name in ("a", "b")
    ]
    for run in mixtures:
        assert settings(read_run(run))["model.runs"] == "skipgram on pairs"
    for job, other in (("0", "1"), ("1", "0")):  # jobs of a sweep over jobs of an earlier one
        start = start_of(tmp_path / "gone" / other)
        write_run(tmp_path / "sweep" / job, 0, metrics(0), start=start)
    assert settings(read_run(tmp_path / "sweep" / "0"))["model.start"] == "skipgram on pairs"
