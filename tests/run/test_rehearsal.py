"""What only the built parts show is found on forty items, before any data is read."""

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from recsys_lab.config.configuration import check_configuration, register_resolvers
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.run.experiment import assemble
from recsys_lab.run.rehearsal import rehearse
from tests.run_cases import EVENT_PRESETS, ROOT

PRESETS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml"))


def rehearsed(*words: str) -> None:
    register_resolvers()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        configuration: dict[str, Any] = check_configuration(compose("config", overrides=[*words]))
    rehearse(assemble(configuration), configuration)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_passes(preset: str) -> None:
    file = ["catalog.path=nowhere"] if preset in EVENT_PRESETS else []
    rehearsed(f"experiment={preset}", *file)


def test_what_reads_other_files_passes(tmp_path: Path) -> None:
    rehearsed("data/source=stored_walks", "data.source.path=nowhere.npy")
    rehearsed("data/source=sequence_file", "data.source.path=nowhere")
    (tmp_path / "vectors.txt").touch()
    rehearsed("model=external", f"vectors={tmp_path}/vectors.txt")
    rehearsed("monitor=val/auc/given/all", "catalog=edges", "catalog.path=nowhere")
    rehearsed("model=skipgram_side_info", "model.fields=[category_7,brand]")
    rehearsed("data=relations", "model.graph_weights=[1,2]")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("data.walks_per_group=1", "walks_per_group must be >= 2 with data.negatives=in_batch"),
        ("trainer.max_epochs=-1 trainer.max_time=00:01:00:00", "steps, which max_time leaves open"),
        (
            "+trainer.precision=bf16-mixed model.kernel=fused",
            "precision=bf16-mixed does not go with kernel=fused",
        ),
        (
            "+trainer.precision=bf16-mixed experiment=gensim_word2vec",
            "precision=bf16-mixed has no effect on a model that updates its own tables",
        ),
        ("data=relations", "the data has 2 graphs, and the model contexts for 1"),
        ("data=relations model=mf", "the data has 2 graphs, and the model contexts for 1"),
        ("model.graph_weights=[1,2,3]", "the data has 1 graph, and the model contexts for 3"),
        (
            "data=relations data/source=events model.graph_weights=[1,2] catalog=events "
            "catalog.path=nowhere split=leave_one_out",
            "relations draws walks of its own: use data/source=walks",
        ),
        ("monitor=val/nothing", "monitor must be one of val/auc/uniform/all, .*, got val/nothing"),
    ],
)
def test_a_mistake_is_named(words: str, message: str) -> None:
    with pytest.raises((ValueError, ConfigurationError), match=message):
        rehearsed(*words.split())


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rehearsed("experiment=skipgram")
    assert not list(tmp_path.iterdir())
