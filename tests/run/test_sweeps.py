"""Sweeps by the command: run again in their folder, and searched by Optuna."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG

from recsys_lab.config.targets import ConfigurationError
from recsys_lab.results.search_results import read_search
from recsys_lab.run.study import ask, open_study
from recsys_lab.run.study_sweeper import _distribution
from tests.run_cases import BRIEF, bare, results

optuna = pytest.importorskip("optuna")
from optuna.distributions import (  # noqa: E402
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

WORDS = (
    *BRIEF,
    "catalog.num_items=300",
    "hydra.callbacks.sweep_end.page=false",
    "embeddings=false",
)
SEARCH = ("hparams_search=optuna", "optimizer.lr=tag(log,interval(0.01,1))", "data.window=2,3")
SPACE = {
    "optimizer.lr": FloatDistribution(0.01, 1.0, log=True),
    "data.window": CategoricalDistribution(["2", "3"]),
}


def run(cwd: Path, *words: str) -> str:
    done = bare(cwd, *words, *WORDS, "hydra.sweep.dir=sweep")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def state(folder: Path) -> dict:
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.mark.soak
def test_run_again_it_skips_goes_on_and_keeps(tmp_path: Path) -> None:
    numbered = "hydra.sweep.subdir=${hydra.job.num}"
    first = run(tmp_path, "-m", "seed=0,1", numbered)
    assert "2 of 2 runs finished" in first
    sweep = tmp_path / "sweep"
    before, expected = state(sweep / "0"), results(sweep / "1")
    (sweep / "1" / "metrics.json").unlink()  # as if it had been killed in its test
    again = run(tmp_path, "-m", "seed=0,1", numbered)
    assert again.count("finished before, skipped") == 1
    assert again.count("nothing is left to train") == 1
    assert state(sweep / "0") == before
    assert results(sweep / "1") == expected

    done = bare(tmp_path, "-m", "seed=5,1", numbered, *WORDS, "hydra.sweep.dir=sweep")
    assert done.returncode == 1
    assert "0 holds a run with other options (seed=0, not 5), which is kept" in done.stderr
    assert state(sweep / "0") == before


@pytest.mark.soak
def test_a_sweep_without_a_sound_job_tells_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "selves.csv").write_text("a,a\nb,b\n")
    words = ["-m", "seed=0,1", "catalog=edges", "catalog.path=selves.csv", *BRIEF]
    done = bare(tmp_path, *words, "hydra.sweep.dir=sweep")
    assert done.returncode == 1
    assert "0 of 2 runs finished, 2 failed or stopped" in done.stdout
    for seed in (0, 1):
        assert f"job {seed} seed={seed}: failed: " in done.stdout


def trials_of(folder: Path) -> list:
    found = open_study(folder).trials
    return [(one.number, one.state.name, one.params, one.value) for one in found]


def asked(folder: Path) -> optuna.Study:
    """A study with a trial that runs, as a search that was killed leaves it."""
    study = open_study(folder)
    ask(study, SPACE, seed=0)
    return study


def test_a_search_goes_on_repeats_and_tests_its_best_trial(tmp_path: Path) -> None:
    left = asked(tmp_path / "sweep").trials[0].params
    shown = run(tmp_path, *SEARCH, "hydra.sweeper.n_trials=2")
    trials = trials_of(tmp_path / "sweep")
    assert [(number, state) for number, state, *_ in trials] == [(0, "COMPLETE"), (1, "COMPLETE")]
    assert trials[0][2] == left
    best = max(trials, key=lambda one: one[3])[0]
    (tested,) = tmp_path.glob("sweep/*/metrics.json")
    assert tested.parent.name.startswith(f"{best}_")
    assert f"the best of 2 trials is {best}, which is tested" in shown
    assert "1 run tested, 1 trial not tested" in shown
    for folder in tmp_path.glob("sweep/*_window*"):  # TensorBoard compares trials, too
        board = EventAccumulator(str(folder)).Reload()
        assert "val/best/ndcg@10" in board.Tags()["scalars"]
        assert board.SummaryMetadata(SESSION_START_INFO_TAG)

    other = asked(tmp_path / "other")
    other.tell(0, trials[0][3])
    ask(other, SPACE, seed=0)
    assert other.trials[1].params == trials[1][2] != left


def test_options_are_searched_as_they_are_typed() -> None:
    words = {
        "a=interval(0.1,1)": FloatDistribution(0.1, 1.0),
        "a=tag(log,interval(0.1,1))": FloatDistribution(0.1, 1.0, log=True),
        "a=int(interval(1,8))": IntDistribution(1, 8),
        "a=range(2,9,3)": IntDistribution(2, 8, step=3),
        "a=mf,'x y'": CategoricalDistribution(["mf", "'x y'"]),
        "a=choice(8,16)": CategoricalDistribution(["8", "16"]),
    }
    for word, expected in words.items():
        (override,) = OverridesParser.create().parse_overrides([word])
        assert _distribution(override) == expected, word
    (override,) = OverridesParser.create().parse_overrides(["a=tag(log,interval(-1,1))"])
    with pytest.raises(ConfigurationError, match=r"cannot search a=tag\(log,interval\(-1,1\)\)"):
        _distribution(override)


@pytest.mark.soak
def test_a_failed_trial_is_one_and_the_search_goes_on(tmp_path: Path) -> None:
    (tmp_path / "selves.csv").write_text("a,a\nb,b\n")
    ring = [f"i{a:03d},i{(a + step) % 200:03d}" for a in range(200) for step in (1, 2, 3)]
    (tmp_path / "ring.csv").write_text("\n".join(ring))
    words = (*BRIEF, "hydra.sweep.dir=sweep", "hparams_search=optuna", "catalog=edges")
    search = (*words, "catalog.path=selves.csv,ring.csv")
    done = bare(tmp_path, *search, "hydra.sweeper.n_trials=8")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {(trial[2]["catalog.path"], trial[1]) for trial in trials_of(tmp_path / "sweep")}
    assert found == {("ring.csv", "COMPLETE"), ("selves.csv", "FAIL")}
    assert "catalog.path=selves.csv: failed: " in done.stdout
    done = bare(tmp_path, *words, "catalog.path=ring.csv", "optimizer.lr=0.1,1")
    assert done.returncode == 1
    assert "holds a search of other options (catalog.path: " in done.stderr
    assert "val/ndcg@10" not in done.stdout  # the leaderboard of the other search


@pytest.mark.soak
def test_poor_trials_are_pruned(tmp_path: Path) -> None:
    longer = ("trainer.max_epochs=6", "hydra.sweep.dir=sweep", "hydra.sweeper.n_trials=20")
    done = bare(tmp_path, *SEARCH, *WORDS, *longer)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = open_study(tmp_path / "sweep").trials
    pruned = [one for one in trials if one.state.name == "PRUNED"]
    assert pruned
    assert all(len(one.intermediate_values) < 6 for one in pruned)
    assert all(len(one.intermediate_values) == 6 for one in trials if one not in pruned)
    assert ", pruned after " in done.stdout
    assert "importance for val/ndcg@10: optimizer.lr " in done.stdout
    assert set(read_search(tmp_path / "sweep").importance) == {"optimizer.lr", "data.window"}
