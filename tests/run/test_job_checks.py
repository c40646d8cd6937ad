"""Every job of a command is checked before the first one runs, and before a folder is made."""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from recsys_lab.config.configuration import register_resolvers
from recsys_lab.config.overrides import compose_jobs
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.run import experiment, job_checks
from recsys_lab.run.command_line import CONF
from tests.forked import run_forked
from tests.run_cases import ROOT


def check(*words: str) -> int:
    register_resolvers()
    jobs = compose_jobs(words, CONF)
    assert jobs is not None
    job_checks.check_jobs(jobs)
    return len(jobs)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("catalog.num_items=5", "catalog.num_items must be >= 100, got 5"),
        ("split.val_fraction=2", "split.val_fraction must be > 0 and < 1, got 2"),
        ("split.val_fraction=0.6 split.test_fraction=0.5", "split.val_fraction + split.test_frac"),
        ("data.window=0", "data.window must be >= 1, got 0"),
        ("data.walks_per_group=1", "walks_per_group must be >= 2 with data.negatives"),
        ("data/source=stored_walks data.source.path=walks", "data.source.path must be a path th"),
        ("data/source=sequence_file data.source.path=no.txt", "data.source.path: no.txt does not"),
        ("model.l2=-1", "model.l2 must be >= 0, got -1"),
        ("model=external vectors=no.txt", "vectors: there is no file no.txt"),
        ("catalog=edges catalog.path=no.csv", "catalog.path: no.csv does not exist"),
        ("catalog=amazon catalog.path=https://a/b.gz", "catalog.path: https://a/b.gz is an add"),
        ("optimizer.lr=-1", "optimizer.lr must be > 0, got -1"),
        ("optimizer.eps=inf", "optimizer.eps must be a finite number, got inf"),
        ("optimizer=sparse_adam +optimizer.betas=[0.9,1.5]", "optimizer.betas must be a list"),
        ("optimizer=sgd +optimizer.momentum=0.9", "optimizer.momentum does not go with sparse"),
        ("schedule.final=nan", "schedule.final must be a finite number, got nan"),
        ("schedule.final=2", "schedule.final must be >= 0 and <= 1, got 2"),
        ("curve.max_pairs=0", "curve.max_pairs must be >= 1, got 0"),
        ("evaluation.mixture=[slits]", "slist (did you mean slist?)"),
        ("evaluation.mixture=[popularity]", "evaluation.mixture names 'popularity'"),
        ("model=starspace model.query=history data=pairs", "trains on sequences: use data=sequenc"),
        ("model=starspace model.query=history data.negatives=per_pair", "use in_batch or shared"),
        ("data.num_rejected_types=1", "num_rejected_types are of events: use data/source=events"),
        ("history.decay=2", "history.decay must be > 0 and <= 1, got 2"),
        ("nodes.user_types=[age,age]", "nodes.user_types must be a list that names nothing twice"),
        ("experiment=mixture model.runs=[a/0_seed=0]", "in quotes, as in ['a=b','c'])"),
        ("nodes.user_types=age", "each text, got 'age' (did you mean [age]?)"),
        ("data=interactions data.pairs=[useritem]", "['useritem'] (did you mean user_item?)"),
        ("data=interactions data.pairs=user_item", "'user_item' (did you mean [user_item]?)"),
        ("evaluation.replicates=1", "evaluation.replicates must be 0 or an integer >= 2, got 1"),
        ("trainer.max_epochs=-7", "trainer.max_epochs must be"),
        ("+trainer.max_time=soon", "trainer.max_time must be given as DD:HH:MM:SS"),
        ("+trainer.val_check_interval=2", "trainer.val_check_interval has no effect"),
        ("+trainer.profiler=fast", "trainer.profiler must be simple or advanced or pytorch"),
        ("monitor=val/nothing", "monitor must be one of val/auc/uniform/all"),
        ("ckpt_path=no.ckpt", "ckpt_path: there is no file no.ckpt"),
        (f"ckpt_path={'x' * 300}", "ckpt_path: cannot look for xxx"),
        ("train=false", "train=false evaluates a checkpoint"),
        ("train=false test=false ckpt_path=a", "train=false with test=false does nothing"),
        ("seed=0,1", "seed=0,1 gives several values: for a sweep add -m"),
        ("-m data.window=5,0", "data.window must be >= 1, got 0 (in the job data.window=0)"),
        ("-m seed=1,2 data.window=range(0,5)", "got 0 (in the job seed=1 data.window=0)"),
        ("-m optimizer=sgd,row_wise_adagrad +optimizer.momentum=0", "in the job optimizer=row"),
        ("-m experiment=glob(mf*) model.l2=0.1,-1", "in the job experiment=mf_bias_pairs model"),
        pytest.param(
            "-m hydra/launcher=joblib data.window=1,0", "(in the job data.window=0)",
            marks=pytest.mark.skipif(
                find_spec("hydra_plugins.hydra_joblib_launcher") is None, reason="the extra sweep"
            ),
        ),
        ("hydra.mode=MULTIRUN data.window=1,0", "(in the job data.window=0)"),
        ("-m seed=range(0,50) data.window=range(1,50) model.l2=0,-1", "in the job seed=0 data.wi"),
        ("-m hydra.sweeper._target_=my.Sweeper optimizer.lr=interval(-1,1)", "optimizer.lr=-1"),
        ("-m optimizer.lr=interval(0.1,1)", "Hydra's basic sweeper takes lists and ranges"),
        ("-m seed=range(0,1000000)", "seed=range(0,1000000) has more than 100,000 values"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(words: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        check(*words.split())
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_jobs_are_counted_and_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    monkeypatch.setattr(experiment, "check_run", lambda plain: checked.append(plain["seed"]))
    assert check("seed=3") == 1
    assert check("-m", "seed=0,1", "data.window=range(1,4)") == 6
    assert checked == [3, 0, 0, 0, 1, 1, 1]


def test_the_sweep_of_a_configuration_is_checked(tmp_path: Path) -> None:
    """Hydra takes swept values from its own configuration, too."""
    (tmp_path / "experiment").mkdir()
    hydra = "{mode: MULTIRUN, sweeper: {params: {data.window: '1,0'}}}"
    text = f"# @package _global_\nhydra: {hydra}\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"in the job data\.window=0"):
        check("--config-dir", str(tmp_path), "experiment=mine")


def test_what_is_the_same_in_all_jobs_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    real = experiment._data_factory

    def counting(plain: dict) -> Callable:
        return lambda **pieces: built.append(1) or real(plain)(**pieces)

    monkeypatch.setattr(experiment, "_data_factory", counting)
    check(
        "-m", "optimizer.lr=0.011,0.012", "seed=0,1", "data.window=7,8,9", "data.num_negatives=77"
    )
    assert len(built) == 3


@pytest.mark.parametrize("words", [["-m", "train=false,true"], ["train=false"]])
def test_a_refused_command_leaves_no_folder(words: list[str], tmp_path: Path) -> None:
    done = run_forked([str(ROOT / "train.py"), *words], tmp_path, timeout=120)
    assert done.returncode == 1
    place, told, end = done.stderr.splitlines()
    assert "folder" in place
    assert end == "no folder was made"
    assert told.startswith("train=false evaluates a checkpoint")
    assert not done.stdout
    assert not list(tmp_path.iterdir())


def test_a_search_without_optuna_is_refused_early(monkeypatch: pytest.MonkeyPatch) -> None:
    register_resolvers()
    monkeypatch.setitem(sys.modules, "optuna", None)
    jobs = compose_jobs(["hparams_search=optuna", "seed=1,2"], CONF)
    assert jobs is not None
    with pytest.raises(ConfigurationError, match=r"needs Optuna: pip install"):
        job_checks.check_outlines(jobs)


def test_a_launcher_without_a_sweep_is_told(capsys: pytest.CaptureFixture) -> None:
    register_resolvers()
    for words, told in (
        (["hydra/launcher=ray"], "hydra/launcher=ray is ignored"),
        (["seed=1"], ""),
    ):
        jobs = compose_jobs(words, CONF)
        assert jobs is not None
        job_checks.check_outlines(jobs)
        found = capsys.readouterr().err
        assert (told in found) if told else not found
