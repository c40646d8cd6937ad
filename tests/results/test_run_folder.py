"""Damaged and odd run folders: each has its problem in one sentence, and stops nothing else."""

import logging
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_lab.config.targets import ConfigurationError
from recsys_lab.report.__main__ import write_comparison
from recsys_lab.report.comparison import compare
from recsys_lab.results import latest_run
from recsys_lab.results.latest_run import resolve_run
from recsys_lab.results.run_folder import Run, read_run
from recsys_lab.run.embed import stored_configuration
from recsys_lab.serve.exhibits import Exhibits
from recsys_lab.vectors.answers import answer
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.export import export
from recsys_lab.vectors.similar import Wishes
from tests.results.run_folder_damages import ODD, files_of, mutated
from tests.run_folder_cases import metrics, write_run
from tests.soak import times

SAID = (VectorsError, ConfigurationError)


def copy_of(folder: Path, to: Path) -> Path:
    """A copy without what is large and not read."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("checkpoints", "figures", "events*"))
    return to


def report(*folders: Path) -> list[Run]:
    """The runs of a comparison."""
    runs = [read_run(folder) for folder in folders]
    comparison = compare(runs)
    shown = [run for t in comparison.tables for entry in t.experiments for run in entry.runs]
    reasons = [problem.reason for problem in comparison.problems]
    assert all("\n" not in reason and reason for reason in reasons)
    return shown


def uses_of(folder: Path, item: str, out: Path) -> list[Callable[[], object]]:
    """What commands do with a run folder; each works, or says what is wrong."""
    return [
        lambda: answer(Embeddings.load(folder), [item], 3, Wishes(), explain=True),
        lambda: export(Embeddings.load(folder), "npy", out / "x.npy"),
        lambda: Embeddings.load(folder).known_pairs,
        lambda: stored_configuration(folder),
    ]


def use_damaged(folder: Path, good: Path, item: str, out: Path) -> int:
    """Use a damaged folder beside a good one; how many uses were refused by a sentence."""
    assert str(good) in [str(run.folder) for run in report(good, folder)]
    refused = []
    for use in uses_of(folder, item, out):
        try:
            use()
        except SAID as error:
            refused.append(str(error))
    assert not [sentence for sentence in refused if "\n" in sentence]
    return len(refused)


@pytest.fixture(scope="module")
def pair(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A good run and a copy of it, as a run of another seed, to be damaged."""
    home = tmp_path_factory.mktemp("damaged")
    good, bad = copy_of(finished, home / "good"), copy_of(finished, home / "bad")
    for path in (bad / "metrics.json", bad / ".hydra" / "config.yaml"):
        path.write_text(
            path.read_text().replace('"seed": 0', '"seed": 1').replace("\nseed: 0", "\nseed: 1")
        )
    return good, bad


ODD_FILES = [
    pytest.param(name, content, id=f"{name}-{number}")
    for name, contents in ODD.items()
    for number, content in enumerate(contents)
]


@pytest.mark.parametrize(("name", "content"), ODD_FILES)
def test_odd_files_stop_nothing(
    pair: tuple[Path, Path], tmp_path: Path, name: str, content: bytes
) -> None:
    good, bad = pair
    (path,) = (file for file in files_of(bad) if file.name == name)
    whole = path.read_bytes()
    path.write_bytes(content)
    try:
        refused = use_damaged(bad, good, Embeddings.load(good).ids[0], tmp_path)
        assert refused or name not in ("embeddings.json",)
        if name in ("metrics.json", "config.yaml") and content[:2] in (
            b"",
            b"[]",
            b"nu",
            b"3",
            b"{",
        ):
            assert read_run(bad).problem
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("test/auc/uniform/seen", 7.786),
        ("baseline/popularity/hr@10/all", -0.1),
        ("validation/recall@20/all", 1.01),
        ("test/map@10/all", 33),
    ],
)
def test_a_share_outside_0_and_1_is_the_problem_of_its_run(
    tmp_path: Path, name: str, value: float
) -> None:
    run = read_run(write_run(tmp_path / "run", values=metrics() | {name: value}))
    assert run.problem == f"metrics.json: {name} is {value}, not within 0 and 1"
    edge = read_run(write_run(tmp_path / "edge", values=metrics() | {name: 1 + 1e-9}))
    assert not edge.problem


def mutate(pair: tuple[Path, Path], out: Path, count: int, seed: int) -> None:
    good, bad = pair
    rng, item = random.Random(seed), Embeddings.load(good).ids[0]
    files = {path: path.read_bytes() for path in files_of(bad)}
    for number in range(count):
        path, other = rng.choice(list(files)), rng.choice(list(files))
        path.unlink()
        if rng.random() > 0.03:
            path.write_bytes(mutated(files[path], files[other], rng))
        began = time.monotonic()
        try:
            use_damaged(bad, good, item, out)
            if number % 50 == 0:
                runs = [read_run(folder) for folder in pair]
                write_comparison(compare(runs), out / "comparison")
                Exhibits.open([good])
        except Exception as error:
            kept = out / f"damaged_{path.name}"
            kept.write_bytes(path.read_bytes())
            error.add_note(f"mutation {number} of seed {seed}: {path}, kept in {kept}")
            raise
        finally:
            path.write_bytes(files[path])
        assert time.monotonic() - began < 60


def test_mutated_files_stop_nothing(pair: tuple[Path, Path], tmp_path: Path) -> None:
    mutate(pair, tmp_path, 40, seed=0)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 5))
def test_thousands_of_mutated_files_stop_nothing(
    pair: tuple[Path, Path], tmp_path: Path, seed: int
) -> None:
    mutate(pair, tmp_path, times(1_000), seed)


def test_a_damaged_run_is_not_served_and_the_others_are(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = pair
    torn = copy_of(bad, tmp_path / "torn")
    items = torn / "embeddings" / "items.parquet"
    items.write_bytes(items.read_bytes()[:-9])
    assert [run.folder for run in Exhibits.open([torn, good]).runs] == [good.name]
    assert f"not shown: {items} is not a Parquet file" in capsys.readouterr().err
    with pytest.raises(VectorsError, match="is not a Parquet file"):
        Exhibits.open([torn])


LAST = ("checkpoints", "last.ckpt")


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        ("10:00:02 WARNING stopped by SIGINT at step 30; go on with ...\n", "interrupted"),
        ("10:00:02 ERROR   interrupted; go on with the options of this run\n", "interrupted"),
        (
            "10:00:02 ERROR   no\n10:00:09 WARNING stopped by SIGTERM at step 3; ...\n",
            "interrupted",
        ),
        (
            "10:00:02 INFO    stopped by the way\n10:00:09 ERROR   lr must be > 0\n",
            "failed: lr must",
        ),
        ("10:00:02 INFO    begins\n", "unfinished: no metrics.json and no error logged"),
        ("", "unfinished: no metrics.json and no error logged"),
    ],
)
def test_a_stopped_run_is_listed_as_interrupted(tmp_path: Path, log: str, kind: str) -> None:
    run = write_run(tmp_path / "run", log=log)
    assert read_run(run).problem.startswith(kind)
    assert "goes on" not in read_run(run).problem
    run.joinpath(*LAST).parent.mkdir()
    run.joinpath(*LAST).touch()
    goes_on = read_run(run).problem.endswith(f"python train.py resume={run} goes on")
    assert goes_on == (not kind.startswith("failed"))


def test_the_latest_run_is_one_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(latest_run, "RUNS", tmp_path)
    sound = write_run(tmp_path / "a", values=metrics())
    time.sleep(0.01)
    torn = write_run(tmp_path / "b", values=metrics())
    (torn / "metrics.json").write_text("[")
    write_run(tmp_path / "c")
    (tmp_path / "d").write_text("")
    with caplog.at_level(logging.WARNING):
        assert resolve_run(Path("latest")) == sound
    assert caplog.messages[0].startswith(f"{torn} is not the latest run: metrics.json is damaged")
    shutil.rmtree(sound)
    with pytest.raises(ValueError, match="there is no finished run in"):
        resolve_run(Path("latest"))


def test_the_latest_run_may_be_a_job_of_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial of a search is none to go on with, and a sweep is no run."""
    monkeypatch.setattr(latest_run, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(latest_run, "SWEEPS", tmp_path / "sweeps")
    sweep = tmp_path / "sweeps" / "s"
    folders = [write_run(tmp_path / "runs" / "a", values=metrics())]
    folders += [write_run(sweep / f"{k}_b", values=metrics(k, 0.1 + k / 10)) for k in range(3)]
    for age, folder in enumerate(reversed(folders)):
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "last.ckpt").touch()
        for path in (folder / "metrics.json", folder / "checkpoints" / "last.ckpt"):
            os.utime(path, (1e9 - age, 1e9 - age))
    assert resolve_run(Path("latest")) == sweep / "2_b"
    assert resolve_run(Path("latest"), "checkpoints/*.ckpt") == sweep / "2_b"
    (sweep / "study.db").touch()
    assert resolve_run(Path("latest")) == sweep / "2_b"
    assert resolve_run(Path("latest"), "checkpoints/*.ckpt") == folders[0]
    with pytest.raises(
        ValueError, match="is the folder of 3 runs, as of a sweep: name one"
    ) as told:
        resolve_run(sweep)
    value = 0.3
    assert f"such as {sweep}/2_b (NDCG@10 {value:.4f}); it also has 1_b, 0_b" in str(told.value)
