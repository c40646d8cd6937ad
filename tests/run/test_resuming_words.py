"""The words that `resume=` and `evaluate=` stand for."""

import json
import os
import shlex
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from recsys_lab.config.command_words import as_value
from recsys_lab.config.overrides import compose_words
from recsys_lab.config.path_words import quoted
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.results.run_folder import how_to_resume
from recsys_lab.run.command_line import CONF
from recsys_lab.run.resuming import with_earlier_words

OWN = ("data.window=3", "+trainer.min_epochs=1", "optimizer=sparse_adam")


@cache
def _composed(words: tuple[str, ...]) -> DictConfig:
    return compose_words(words, CONF)


def composed(words: tuple[str, ...]) -> DictConfig:
    return _composed(words).copy()


class Runs:
    """Run folders in a project, as Hydra leaves them, with an empty checkpoint each."""

    def __init__(self, project: Path) -> None:
        self.project = project

    def __call__(self, name: str, *words: str, hydra: tuple[str, ...] = (), **changed: Any) -> Path:
        folder = self.project / "outputs" / "train" / "runs" / name
        (folder / ".hydra").mkdir(parents=True)
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "best.ckpt").touch()
        config = composed(words)
        for key, value in changed.items():
            OmegaConf.update(config, key.replace("__", "."), value)
        runtime = {"cwd": str(self.project), "output_dir": str(folder), "config_sources": []}
        stored = {
            "config": config,
            "overrides": list(words),
            "hydra": {"hydra": {"runtime": runtime, "overrides": {"hydra": list(hydra)}}},
        }
        for part, content in stored.items():
            OmegaConf.save(OmegaConf.create(content), folder / ".hydra" / f"{part}.yaml")
        return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return Runs(project)


def words(*typed: str) -> list[str]:
    return with_earlier_words(typed, CONF)


def resumed(folder: Path) -> list[str]:
    place = f"'{folder}'"
    return [f"resume={place}", f"hydra.run.dir={place}"]


def test_a_run_is_gone_on_with_by_its_stored_words(run: Runs) -> None:
    folder = run("a", *OWN, "train=true", "resume_with_changes=true", "ckpt_path=x.ckpt")
    assert words(f"resume={folder}") == [*OWN, *resumed(folder)]
    place = "outputs/train/runs/a"
    assert words(f"resume={place}", f"hydra.run.dir={place}") == [*OWN, *resumed(folder)]


def test_words_typed_beside_it_take_the_place_of_stored_ones(run: Runs) -> None:
    folder = run("a", *OWN)
    typed = ("data.window=4", "trainer.min_epochs=2", "seed=1")
    expected = [OWN[1], OWN[2], *typed, *resumed(folder)]
    assert words(f"resume={folder}", *typed) == expected
    config = compose_words(expected, CONF)
    assert (config.data.window, config.trainer.min_epochs, config.seed) == (4, 2, 1)


def test_a_default_that_has_changed_since_is_as_it_was(run: Runs) -> None:
    """Also of the sections that are not compared with the checkpoint's; unless typed anew."""
    folder = run("a", "data.window=3", curve__max_pairs=17, catalog__num_items=5)
    extra = ["catalog.num_items=5", "curve.max_pairs=17"]
    found = words(f"resume={folder}")
    assert found[0] == "data.window=3"
    assert sorted(found[1:3]) == extra
    assert "curve.max_pairs=17" not in words(f"resume={folder}", "curve.max_pairs=18")
    assert "catalog.num_items=5" not in words(f"resume={folder}", "catalog=edges")


def store(folder: Path, part: str, content: Any) -> None:
    OmegaConf.save(OmegaConf.create(content), folder / ".hydra" / f"{part}.yaml")


@pytest.mark.parametrize("own", [("model=mf", "+trainer.min_epochs=1"), OWN, ("data=pairs",)])
def test_a_preset_that_is_gone_is_replaced_by_its_values(run: Runs, own: tuple[str, ...]) -> None:
    folder = run("a", *own)
    store(folder, "overrides", ["experiment=mine", "seed=1"])
    found = words(f"resume={folder}", "curve.max_pairs=9")
    expected = composed((*own, "curve.max_pairs=9", f"resume='{folder}'"))
    assert compose_words(found, CONF) == expected


def test_no_option_of_hydra_is_taken_from_a_folder(run: Runs) -> None:
    """They can run code: callbacks, handlers of logs, files of configurations."""
    run_code = "hydra.callbacks.x._target_=os.system"
    folder = run("a", "seed=1", hydra=(f"+{run_code}", "hydra.searchpath=[file:///x]"))
    stored = ["seed=1", f"+{run_code}", f"++{run_code}", "+hydra={callbacks:{x:1}}", "hydra/env=x"]
    stored += ["+experiment@hydra.callbacks=mf_bias", "+seed@hydra=1", "(", "--config-dir"]
    for place in (["seed=1"], stored, ["experiment=mine"]):
        store(folder, "overrides", place)
        config = OmegaConf.to_container(composed(("seed=1",)))
        assert isinstance(config, dict)
        nested = {"callbacks": {"x": {"_target_": "os.system"}}}
        odd = {"+hydra": nested, "++hydra.y": 1, "~hydra": 2, "a@hydra.b": 3, "hydra.z": 4}
        store(folder, "config", config | {"hydra": nested} | odd)
        assert words(f"resume={folder}") == ["seed=1", *resumed(folder)]


def test_relative_paths_start_where_the_run_was_started(
    run: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    folder = run("a", "catalog=edges", "catalog.path=edges.csv")
    (run.project / "edges.csv").touch()
    monkeypatch.chdir(tmp_path)
    assert words(f"resume={folder}")[-2:] == resumed(folder)
    assert Path.cwd() == run.project
    assert capsys.readouterr().err == (
        f"relative paths start at {run.project}, as when the run was started\n"
    )
    shutil.copytree(run.project, tmp_path / "copy")
    copy = tmp_path / "copy" / "outputs" / "train" / "runs" / "renamed"
    (copy.parent / "a").rename(copy)
    words(f"resume={copy}")
    assert Path.cwd() == tmp_path / "copy"
    (tmp_path / "copy" / "edges.csv").unlink()  # the outputs alone were moved
    words(f"resume={copy}")
    assert Path.cwd() == run.project
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder, elsewhere)
    monkeypatch.chdir(tmp_path)
    assert words("resume=elsewhere")[-2:] == resumed(elsewhere)
    assert Path.cwd() == run.project


@pytest.mark.parametrize("path", ["edges.csv", "[edges.csv,others.csv]", "*.csv"])
def test_all_paths_of_a_moved_run_have_to_be_in_its_new_place(
    run: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    folder = run("a", "catalog=edges", f"catalog.path={path}")
    names = ("edges.csv", "others.csv")
    for name in names:
        (run.project / name).touch()
    shutil.copytree(run.project, tmp_path / "copy")
    copy = tmp_path / "copy" / folder.relative_to(run.project)
    monkeypatch.chdir(tmp_path)
    words(f"resume={copy}")
    assert Path.cwd() == tmp_path / "copy"
    for name in names:
        (tmp_path / "copy" / name).unlink()  # the outputs alone were moved
    words(f"resume={copy}")
    assert Path.cwd() == run.project


def test_a_run_is_evaluated_by_its_best_checkpoint(run: Runs) -> None:
    folder = run("a", *OWN)
    best = folder / "checkpoints" / "best.ckpt"
    expected = [f"evaluate='{folder}'", "train=false", f"ckpt_path='{best}'"]
    assert words(f"evaluate={folder}", "evaluation.ks=[5]") == [
        *OWN,
        "evaluation.ks=[5]",
        *expected,
    ]
    best.unlink()
    with pytest.raises(ConfigurationError, match=f"{folder} holds no best checkpoint"):
        words(f"evaluate={folder}")
    config = OmegaConf.load(folder / ".hydra" / "config.yaml")
    config.ckpt_path = "other.ckpt"  # the run itself only evaluated
    OmegaConf.save(config, folder / ".hydra" / "config.yaml")
    assert words(f"evaluate={folder}")[-1] == "ckpt_path='other.ckpt'"
    config.vectors, config.ckpt_path = "vectors.txt", None
    OmegaConf.save(config, folder / ".hydra" / "config.yaml")
    assert words(f"evaluate={folder}")[-1] == f"evaluate='{folder}'"


def test_a_run_keeps_its_model_and_has_one_value_of_each_key(run: Runs) -> None:
    folder = run("a", "model=skipgram_side_info", "model.context_side_info=false", "data=pairs")
    path = folder / ".hydra" / "hydra.yaml"
    stored = OmegaConf.load(path)
    choices = {"model": "skipgram_side_info", "data": "pairs"}
    OmegaConf.update(stored, "hydra.runtime.choices", choices)
    OmegaConf.save(stored, path)
    told = "evaluate= takes the model that the run has trained, model=skipgram_side_info: leave"
    with pytest.raises(ConfigurationError, match=f"{told} model=mf out"):
        words("evaluate=outputs/train/runs/a", "model=mf")
    with pytest.raises(
        ConfigurationError, match="resume= takes the model that the run has trained"
    ):
        words("resume=outputs/train/runs/a", "model=mf")
    found = words("resume=outputs/train/runs/a", "model=mf", "resume_with_changes=true")
    assert "model.context_side_info=false" not in found  # which mf does not have
    same = words("resume=outputs/train/runs/a", "model=skipgram_side_info")
    assert "model.context_side_info=false" in same
    with pytest.raises(ConfigurationError, match=r"for a list write 'evaluation.ks=.5,20.'"):
        words("evaluate=outputs/train/runs/a", "evaluation.ks=5,20")
    with pytest.raises(ConfigurationError, match=r"seed=1,2 gives several values, .* give one"):
        words("resume=outputs/train/runs/a", "seed=1,2")


def test_latest_is_the_newest_run_of_its_kind(run: Runs) -> None:
    for age, name in enumerate(("new", "old")):
        folder = run(name)
        hashes = {"hash/split": "a", "hash/vocabulary": "b"}
        (folder / "metrics.json").write_text(json.dumps(hashes))
        for path in (folder / "checkpoints" / "best.ckpt", folder / "metrics.json"):
            os.utime(path, (1e9 - age, 1e9 - age))
    unfinished = run("unfinished")
    assert words("resume=latest") == resumed(unfinished)
    assert words("evaluate=latest")[0].endswith("/new'")


def test_auto_finds_the_newest_unfinished_run_with_the_same_options(run: Runs) -> None:
    def found(*typed: str) -> list[str]:
        return words(*typed, "resume=auto")[len(typed) + 1 :]

    assert found("seed=1") == []
    for age, name in enumerate(("newer", "older")):
        best = run(name, "seed=1") / "checkpoints" / "best.ckpt"
        os.utime(best, (1e9 - age, 1e9 - age))
    run("other", "seed=2")
    assert found("seed=1") == ["hydra.run.dir='outputs/train/runs/newer'"]
    assert found("seed=1", "hydra.run.dir=here") == []
    assert found("seed=3") == []
    (run.project / "outputs/train/runs/newer/metrics.json").touch()
    assert found("seed=1") == ["hydra.run.dir='outputs/train/runs/older'"]
    (run.project / "outputs/train/runs/older/.hydra/config.yaml").write_text("a: [")
    assert found("seed=1") == []
    assert words("-m", "seed=1,2", "resume=auto") == ["-m", "seed=1,2", "resume=auto"]
    assert words("seed=abc(", "resume=auto") == ["seed=abc(", "resume=auto"]  # told elsewhere


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["resume=nowhere"], "there is no folder nowhere: name the folder of a run"),
        (["resume=conf"], "conf is not the folder of a run, which has .hydra/config.yaml"),
        (["resume={run}/checkpoints/best.ckpt"], "is a file: .* a checkpoint with ckpt_path="),
        (["resume={run}", "ckpt_path=x"], "cannot be combined with ckpt_path=x: leave one out"),
        (["resume=auto", "ckpt_path=x"], "resume=auto cannot be combined with ckpt_path=x"),
        (["resume=auto", "train=false"], "resume=auto cannot be combined with train=false"),
        (["evaluate={run}", "resume=auto"], "resume=auto cannot be combined with evaluate="),
        (["resume={run}", "hydra.run.dir=x"], "resume= goes on in the folder that it names"),
        (["-m", "resume={run}"], "is for one run: a sweep goes on with resume=auto"),
        (["resume={run}", "seed=1,2"], "is for one run"),
        (["resume={bare}"], "holds no checkpoint yet: begin anew"),
        (["resume={cut}"], r"hydra.yaml cannot be read .*: name its checkpoint with ckpt_path="),
    ],
)
def test_what_cannot_be_resumed_is_said(run: Runs, typed: list[str], message: str) -> None:
    (run.project / "conf").mkdir()
    runs = {name: run(name) for name in ("run", "bare", "cut")}
    (runs["bare"] / "checkpoints" / "best.ckpt").unlink()
    (runs["cut"] / ".hydra" / "hydra.yaml").write_text("hydra: [")
    with pytest.raises(ConfigurationError, match=message):
        words(*(word.format(**runs) for word in typed))


@pytest.mark.parametrize("name", ["plain", "with space=1", "it's,x"])
def test_a_message_names_the_words_that_a_shell_and_hydra_read(run: Runs, name: str) -> None:
    folder = run(name)
    (word,) = shlex.split(how_to_resume(folder))
    resume = compose_words(words(word), CONF).resume
    assert resume == str(folder)


def test_nothing_is_the_latest(run: Runs) -> None:
    with pytest.raises(ValueError, match="there is no run with a checkpoint in outputs/train/runs"):
        words("resume=latest")
    with pytest.raises(ValueError, match="there is no finished run"):
        words("evaluate=latest")
    assert words("seed=1") == ["seed=1"]
    assert words("resume=null") == ["resume=null"]


VALUES = (None, True, 0, -1.5e-7, "a b", "it's", "a,b=c", r"back\slash\\", [1, "x,y", [None]], {})


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_are_read_back(value: Any) -> None:
    config = compose_words([f"+x={as_value(value)}"], CONF)
    assert OmegaConf.to_container(config)["x"] == value  # type: ignore[index,call-overload]


def test_a_path_is_taken_literally() -> None:
    for text in ("/a b/it's/c=d,e", "/${seed}/x", "\\'"):
        assert compose_words([f"+x={quoted(text)}"], CONF).x == text
    assert compose_words([f"+x={as_value('${seed}')}", "seed=3"], CONF).x == 3
