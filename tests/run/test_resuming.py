"""Runs that start from a checkpoint: evaluated alone, refused, or stopped and gone on with."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recsys_lab.results.part_files import hidden_beside
from recsys_lab.run.checkpoints import load_checkpoint
from tests.forked import start_forked
from tests.run_cases import SMALL, bare, command, results, rows, train


def test_a_run_is_evaluated_again_with_its_options(finished: Path) -> None:
    """In another folder, by the name of the run alone."""
    folder = finished.parent / "evaluated"
    words = [f"evaluate={finished}", f"hydra.run.dir={folder}", "evaluation.ks=[5,10]"]
    done = bare(finished.parent, *words)
    assert done.returncode == 0, done.stderr
    found = results(folder)
    shared = found.keys() & results(finished).keys()
    assert "test/ndcg@10/all" in shared
    assert {name: found[name] for name in shared} == {n: results(finished)[n] for n in shared}
    assert "test/ndcg@5/all" in found
    assert not (folder / "curve.csv").exists()


def test_a_finished_run_has_nothing_left_to_train(finished: Path, tmp_path: Path) -> None:
    """In its own folder by `resume=auto`, which leaves what was there; also after a kill in the
    final test, which leaves no metrics."""
    folder = tmp_path / "again"
    shutil.copytree(finished, folder)
    for name in ("embeddings", "figures"):
        shutil.rmtree(folder / name)
    for name in ("metrics.json", "curve.csv"):
        (folder / name).unlink()
    done = train(folder, "resume=auto", f"prepared_dir={finished.parent / 'prepared'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"going on from {folder}/checkpoints/last.ckpt, step" in done.stdout
    assert "nothing is left to train" in done.stdout
    assert results(folder) == results(finished)
    assert rows(folder) == rows(finished)
    assert files(folder) == files(finished)


def test_options_of_training_change_no_finished_run(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    shutil.copytree(finished, folder)
    before = (folder / ".hydra" / "config.yaml").read_text()
    words = ["optimizer.lr=0.7", "evaluation.ks=[3]"]
    done = train(folder, "resume=auto", f"prepared_dir={finished.parent / 'prepared'}", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "without effect, since nothing was trained: optimizer.lr=0.7" in done.stdout
    after = OmegaConf.load(folder / ".hydra" / "config.yaml")
    assert after.optimizer == OmegaConf.create(before).optimizer
    assert after.evaluation.ks == [3]  # what the test is told counts
    assert results(folder)["test/hr@3/all"] > 0


def files(folder: Path) -> set[str]:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith("events.")}


def test_the_best_checkpoint_is_tested_even_if_a_later_folder_saw_only_worse(
    finished: Path,
) -> None:
    first, second = (finished.parent / name for name in ("short", "spoilt"))
    rising = ["schedule=constant", "trainer.max_epochs=2"]
    assert train(first, *rising).returncode == 0
    spoil = ["schedule=constant", "trainer.max_epochs=4", "optimizer.lr=20"]
    done = train(second, *spoil, f"ckpt_path={first / 'checkpoints' / 'last.ckpt'}")
    assert done.returncode == 0, done.stdout + done.stderr
    measured = [float(row["val/ndcg@10"]) for row in rows(second) if row["val/ndcg@10"]]
    assert measured[1] > max(measured[2:])  # the new rate did its harm, so it was not ignored
    found = {name: value for name, value in results(second).items() if name.startswith("test/")}
    assert found == {n: v for n, v in results(first).items() if n.startswith("test/")}


def test_a_checkpoint_of_another_model_is_refused(finished: Path) -> None:
    best = finished / "checkpoints" / "best.ckpt"
    for changed in ("model.embedding_dim=8", "model=mf"):
        done = train(finished.parent / "model", "train=false", f"ckpt_path={best}", changed)
        assert done.returncode == 1
        assert "belongs to another model" in done.stdout
        assert "Traceback" not in done.stdout + done.stderr


def test_a_checkpoint_of_another_split_is_refused(finished: Path) -> None:
    best = finished / "checkpoints" / "best.ckpt"
    done = train(finished.parent / "refused", "train=false", f"ckpt_path={best}", "split.seed=5")
    assert done.returncode == 1
    assert "belongs to other data" in done.stdout


def test_a_checkpoint_of_other_options_is_refused_unless_it_is_meant(finished: Path) -> None:
    last = finished / "checkpoints" / "last.ckpt"
    words = ["data.window=4", "trainer.max_epochs=4", f"ckpt_path={last}"]
    done = train(finished.parent / "other", *words)
    assert done.returncode == 1
    assert "this run has data.window=4: repeat it" in done.stdout
    assert "resume_with_changes=true" in done.stdout
    done = train(finished.parent / "meant", *words, "resume_with_changes=true")
    assert done.returncode == 0, done.stdout
    assert int(rows(finished.parent / "meant")[-1]["epoch"]) == 3
    longer = train(finished.parent / "longer", "trainer.max_epochs=4", f"ckpt_path={last}")
    assert "trainer.max_epochs=3 is 4 now" in longer.stdout


LONGER = ["trainer.max_epochs=8", "catalog.num_items=900"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume") / "whole"
    assert train(folder, *LONGER).returncode == 0
    return folder


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGINT, marks=pytest.mark.soak), signal.SIGTERM, signal.SIGKILL],
)
def test_a_stopped_run_goes_on_as_if_nothing_had_been(whole: Path, number: int) -> None:
    stopped = whole.parent / f"stopped_{number}"
    arguments = [f"hydra.run.dir={stopped}", f"prepared_dir={whole.parent / 'prepared'}", *LONGER]
    (printed := whole.parent / f"printed_{number}").mkdir()
    process = start_forked(command(*arguments)[1:], whole.parent, printed)
    last = stopped / "checkpoints" / "last.ckpt"
    while not last.exists() and process.is_alive():
        time.sleep(0.02)
    time.sleep(0.1)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == (-number if number == signal.SIGKILL else 128 + number)
    assert 0 < load_checkpoint(last)["global_step"] < int(rows(whole)[-1]["step"])
    if number == signal.SIGTERM:  # go on in another folder
        stopped = whole.parent / "elsewhere"
        done = train(stopped, *LONGER, f"ckpt_path={last}")
    elif number == signal.SIGINT:
        done = bare(whole.parent, f"resume={stopped}")
    else:
        stopped = move_and_damage(stopped)
        done = bare(stopped.parent, f"resume='{stopped}'")
        assert "last.ckpt (" in done.stdout
        assert "best.ckpt, step " in done.stdout
        assert "removed what a killed process left" in done.stdout
        assert not list(stopped.glob("**/.*.part"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert results(stopped) == results(whole)
    clocked = ("seconds", "train/items_per_second")
    unclocked = [name for name in rows(whole)[0] if name not in clocked]
    for resumed, expected in zip(rows(stopped), rows(whole), strict=True):
        assert [resumed[name] for name in unclocked] == [expected[name] for name in unclocked]
    events = EventAccumulator(str(stopped))
    events.Reload()
    steps = [point.step for point in events.Scalars("train/loss")]
    assert steps == [int(row["step"]) for row in rows(whole)]
    assert files(stopped) == files(whole)


def move_and_damage(folder: Path) -> Path:
    """The folder of a killed run under another name; its last checkpoint is cut short."""
    moved = folder.parent / "other place" / "renamed"
    moved.parent.mkdir()
    folder.rename(moved)
    last, best = (moved / "checkpoints" / f"{name}.ckpt" for name in ("last", "best"))
    content = last.read_bytes()
    last.unlink()  # it may be another name of the best one
    last.write_bytes(content[:-1000])
    assert best.is_file()
    hidden_beside(last).write_bytes(content[:1000])
    return moved


@pytest.mark.soak
def test_a_sweep_goes_on_job_by_job(tmp_path: Path) -> None:
    """The jobs that ended are tested again; the one that was killed, and the next, are trained."""
    words = ["-m", *SMALL, "seed=0,1", "evaluation.replicates=0", "hydra.sweep.dir=sweep"]
    words.append("hydra.callbacks.sweep_end.page=false")
    done = bare(tmp_path, *words, "resume=auto")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("resume=auto: no checkpoint to go on from") == 2
    jobs = sorted((tmp_path / "sweep").glob("*/"))
    before = [results(job) for job in jobs]
    (jobs[1] / "metrics.json").unlink()
    shutil.rmtree(jobs[1] / "checkpoints")
    done = bare(tmp_path, *words, "resume=auto", "skip_finished=false")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("nothing is left to train") == 1
    assert done.stdout.count("resume=auto: no checkpoint to go on from") == 1
    assert sorted((tmp_path / "sweep").glob("*/")) == jobs
    assert [results(job) for job in jobs] == before
    done = bare(tmp_path, f"resume={jobs[1]}", "trainer.max_epochs=4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(rows(jobs[1])[-1]["epoch"]) == 3
