"""A search on the comparison page: its trials, and the importance of its options."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn
from omegaconf import OmegaConf

from recsys_lab.compute.signals import SIGNALS, give_back
from recsys_lab.figures.many_runs import draw_importance
from recsys_lab.report.__main__ import write_comparison
from recsys_lab.report.comparison import compare
from recsys_lab.results.run_folder import find_run_folders, read_run
from recsys_lab.results.search_results import FILE_NAME, SearchResults, write_search
from recsys_lab.run.sweep_end import SweepEnd
from recsys_lab.run.sweep_jobs import OtherRun
from tests.report.test_leaderboard import MONITOR, job
from tests.run_folder_cases import metrics

LOG = "12:00:00 INFO    not tested: trial {}, val/ndcg@10 0.1{}\n"


@pytest.fixture
def search(tmp_path: Path) -> Path:
    folder = tmp_path / "search"
    job(folder / "0_a", ["seed=0", "lr=0.1<b>"], (0.7,), log=LOG.format(0, ""))
    job(folder / "1_b", ["seed=0", "lr=0.2"], (0.8,), values=metrics(0, 0.1))
    job(folder / "2_c", ["seed=0", "lr=0.3"], (), log=LOG.format(2, ", pruned after 2 epochs"))
    return folder


def test_the_page_has_its_trials_and_the_importance(search: Path) -> None:
    write_search(search, SearchResults(MONITOR, {"lr": 0.7, "data.window": 0.3}))
    comparison = compare([read_run(folder) for folder in find_run_folders([search.parent])])
    assert not comparison.problems
    (found,) = comparison.searches
    rows = [(one.number, one.drawn, one.value, one.note) for one in found.trials]
    assert rows == [
        ("1", "lr=0.2", "0.8000", "tested"),
        ("0", "lr=0.1<b>", "0.7000", ""),
        ("2", "lr=0.3", "–", "pruned after 2 epochs"),
    ]
    page = write_comparison(comparison, search / "comparison").read_text()
    assert page.count('alt="Importance of the options"') == 1
    assert "0.1&lt;b&gt;" in page
    assert '<a href="../2_c/">2</a>' in page
    assert (search / "comparison" / "importance.png").is_file()
    markdown = (search / "comparison" / "comparison.md").read_text()
    assert "| 2 | lr=0.3 | – | pruned after 2 epochs |" in markdown
    assert "![Importance of the options](importance.png)" in markdown


@pytest.mark.parametrize("text", ["[]", "{", '{"monitor": "x", "importance": {"a": "b"}}'])
def test_without_a_sound_file_trials_are_runs_without_a_test(search: Path, text: str) -> None:
    (search / FILE_NAME).write_text(text)
    comparison = compare([read_run(folder) for folder in find_run_folders([search])])
    assert not comparison.searches
    assert len(comparison.problems) == 2


def test_importance_is_drawn_from_the_largest_down(tmp_path: Path) -> None:
    (axis,) = draw_importance({"b": 0.2, "a$x$": 0.8}, tmp_path / "x.png").axes
    assert [bar.get_width() for bar in axis.patches] == [0.2, 0.8]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["b", "a$x$"]
    assert [text.get_text() for text in axis.texts] == ["20%", "80%"]


@pytest.fixture
def signals() -> Iterator[None]:
    """The handlers before, which a sweep replaces in its process."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    give_back(before)


def sweep(folder: Path, *outcomes: object) -> SweepEnd:
    end = SweepEnd(page=False)
    words = ["hydra.sweep.dir", "hydra.job.config.override_dirname.exclude_keys", "monitor"]
    config = OmegaConf.create()
    for name, value in zip(words, [str(folder), ["seed"], MONITOR], strict=True):
        OmegaConf.update(config, name, value)
    end.on_multirun_start(config)
    for outcome in outcomes:
        end.on_job_end(config, JobReturn(_return_value=outcome))
    return end


@pytest.mark.usefixtures("signals")
def test_a_sweep_that_was_refused_shows_nothing_of_others(search: Path, capsys) -> None:
    sweep(search, OtherRun("a"), OtherRun("b")).show()
    assert capsys.readouterr().out == "b\n"
    sweep(search, OtherRun("a"), OtherRun("b"), 0.5).show()
    assert "1 run tested, 2 trials not tested" in capsys.readouterr().out


@pytest.mark.usefixtures("signals")
def test_a_job_alone_is_shown_without_constants(tmp_path: Path, capsys) -> None:
    job(tmp_path / "0", ["seed=0", "lr=0.1"], (0.7,), values=metrics(0, 0.1))
    sweep(tmp_path, 0.5).show(is_stopped=True)
    shown = capsys.readouterr().out
    assert "lr=0.1" in shown
    assert "seed=0" not in shown
    assert f"the same command goes on with hydra.sweep.dir={tmp_path}" in shown
