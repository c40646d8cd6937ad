"""The words of a command line as Hydra reads them, and what is known before the imports."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra._internal.utils import get_args_parser
from omegaconf import OmegaConf

from recsys_lab.config.command_words import in_order
from recsys_lab.config.configuration import register_resolvers
from recsys_lab.config.library_arguments import used_arguments
from recsys_lab.config.overrides import Jobs, compose_jobs
from recsys_lab.config.paths import PATHS, anchor
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.config.trainer_arguments import NOT_LISTED, REFUSED
from recsys_lab.run.job_checks import check_outlines
from tests.run_cases import ROOT

CONF = ROOT / "conf"


def composed(*words: str) -> Jobs:
    register_resolvers()
    jobs = compose_jobs(words, CONF)
    assert jobs is not None
    return jobs


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("seed=1 -m model=mf,mf_bias", "--multirun seed=1 model=mf,mf_bias"),
        ("seed=1 --cfg=job data=pairs -p model", "--cfg job --package model seed=1 data=pairs"),
        ("-sc query=bash", "--shell-completion query=bash"),
        ("seed=1 -i", "--info all seed=1"),
        ("trainer.profiler=simple", "++trainer.profiler=simple"),
        ("catalog.kinds.view=0", "++catalog.kinds.view=0"),
        ("+trainer.profiler=simple", "+trainer.profiler=simple"),
        ("trainer.max_epochs=3", "trainer.max_epochs=3"),
        ("~trainer.max_epochs", "~trainer.max_epochs"),
        ("trainer.profilr=simple", "trainer.profilr=simple"),
        ("logger=null", "logger=[]"),
        ("-m experiment=null,mf_pairs", "--multirun experiment=[],mf_pairs"),
        ("model=null vectors=null", "model=null vectors=null"),
    ],
)
def test_words_are_put_in_order(typed: str, read: str) -> None:
    assert in_order(typed.split()) == read.split()
    options, unread = get_args_parser().parse_known_args(read.split())
    assert not unread, "Hydra reads all of them"
    assert in_order(read.split()) == read.split()
    assert options.overrides


def test_every_argument_of_the_trainer_is_listed_or_added() -> None:
    files = (CONF / "trainer").glob("*.yaml")
    listed = {key for file in files for key in yaml.safe_load(file.read_text())}
    settable = set(used_arguments("pytorch_lightning.Trainer"))
    assert settable - listed == NOT_LISTED - set(REFUSED)
    assert not listed & NOT_LISTED


@pytest.mark.parametrize("word", ["curve=bogus", "evaluation=3", "~checkpoint", "model=[]"])
def test_a_section_without_choices_is_explained(word: str) -> None:
    section = word.strip("~").partition("=")[0]
    with pytest.raises(ConfigurationError, match=f"^{section} must be a section"):
        check_outlines(composed(word))


def test_refusals_come_before_imports_of_seconds() -> None:
    code = (
        "import sys; from recsys_lab.run.command_line import train\n"
        "for word in sys.argv[1:]:\n"
        "    try: train([word])\n"
        "    except SystemExit as stop: print(stop)\n"
        "print('torch' in sys.modules)"
    )
    words = ["curve=bogus", "model=mff", "trainer.gradient_clip_val=1", "seed=x", "trainer.d=1"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert len(done.stdout.splitlines()) == len(words) + 1, done.stdout
    assert done.stdout.splitlines()[-1] == "False"
    assert not done.stderr


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        ([], "outputs/train/runs/skipgram_sequences_2"),
        (["experiment=mf_pairs"], "outputs/train/runs/mf_pairs_2"),
        (["-m", "seed=0,1"], "outputs/train/multiruns/2"),
        (["debug=limit"], "outputs/train/debug/2"),
        (["hydra.run.dir=here"], "here"),
        (["-m", "seed=0,1", "hydra.sweep.dir=a/${hydra.job.name}"], "a/train"),
        (["hydra.run.dir=here/${seed}"], None),  # of values that are set later
        (["hydra.run.dir=${hydra.job.override_dirname}"], None),
    ],
)
def test_the_folder_is_known_early(words: list[str], folder: str | None) -> None:
    found = composed(*words).folder
    assert found is None if folder is None else str(found).startswith(folder)


def test_relative_paths_start_where_the_command_was_called() -> None:
    [(_, cfg)] = composed(
        "catalog=edges", "catalog.path=a.csv", "catalog.val_path=/b.csv", "prepared_dir=../p"
    )
    anchor(cfg, Path("/home/me"))
    found = {name: OmegaConf.select(cfg, name) for name in PATHS}
    assert {name: path for name, path in found.items() if path is not None} == {
        "catalog.path": "/home/me/a.csv",
        "catalog.val_path": "/b.csv",
        "prepared_dir": "/home/me/../p",
    }
