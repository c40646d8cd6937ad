"""Paths as they are typed, where Hydra would read something else."""

import pytest

from recsys_lab.config.path_words import literal_path, quoted


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("0_model=mf,lr=0.2", "2024", "a,b", "null", "${x}=1", "a{b"):
        (tmp_path / name).mkdir()


@pytest.mark.parametrize("name", ["0_model=mf,lr=0.2", "2024", "a,b", "${x}=1", "a{b"])
@pytest.mark.parametrize("key", ["resume", "evaluate", "catalog.path", "+my.path", "hydra.run.dir"])
def test_what_exists_is_taken_literally(key, name):
    assert literal_path(f"{key}={name}") == f"{key}={quoted(name)}"
    assert literal_path(literal_path(f"{key}={name}")) == f"{key}={quoted(name)}"


@pytest.mark.parametrize(
    "word",
    [
        "resume=null", "resume=auto", "resume=", "resume='0_model=mf,lr=0.2'", "seed=2024",
        "catalog.path=a.csv,b.csv", "catalog.path=parts/*.csv", "hydra.run.dir=o/${now:%Y}",
        "~catalog.path", "hydra.searchpath=[file:///x]", "model=a=b",
    ],
)  # fmt: skip
def test_other_words_are_left_to_hydra(word):
    assert literal_path(word) == word


def test_what_hydra_cannot_read_is_a_path_with_its_interpolations():
    assert literal_path("ckpt_path=x/lr=1.ckpt") == "ckpt_path='x/lr=1.ckpt'"
    word = "hydra.sweep.dir=o/lr=${optimizer.lr}"
    assert literal_path(word) == "hydra.sweep.dir='o/lr=${optimizer.lr}'"
