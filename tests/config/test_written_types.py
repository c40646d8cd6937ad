"""What is told from sources is what their signatures say, and no library is imported for it."""

import re
import subprocess
import sys

import pytest

from recsys_lab.config.library_arguments import used_arguments
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.config.written_types import check_written, written_types
from recsys_lab.run.command_line import CONF
from tests.run_cases import ROOT

TARGET = re.compile(r"_target_: (\S+)")
TARGETS = sorted(
    {name for path in CONF.rglob("*.yaml") for name in TARGET.findall(path.read_text())}
)


@pytest.mark.parametrize("target", TARGETS)
def test_written_types_are_those_of_the_signature(target: str) -> None:
    used, written = used_arguments(target), written_types(target)
    assert {n: hint for n, hint in written.items() if n in used} == {
        n: hint for n, hint in used.items() if n in written
    }


def test_most_arguments_are_known() -> None:
    found = written_types("recsys_lab.models.builders.skipgram_side_info")
    named = {"embedding_dim", "l2", "score", "popularity_weight", "fields", "pooling", "kernel"}
    assert named <= found.keys()
    assert "window" in written_types("recsys_lab.data.modules.SequenceDataModule")
    assert "every_n_batches" in written_types("recsys_lab.run.learning_curve.LearningCurve")
    assert written_types("recsys_lab.nothing.there") == {}
    assert written_types("os.system") == {}


@pytest.mark.parametrize(
    ("section", "target", "key", "value", "told"),
    [
        ("model", "recsys_lab.models.builders.skipgram", "score", "cos", r"mean cosine\?\)"),
        ("data", "recsys_lab.data.modules.SequenceDataModule", "window", 0, "must be >= 1, got 0"),
        ("optimizer", "torch.optim.SGD", "lr", -1, "optimizer.lr must be > 0"),
        ("trainer", "pytorch_lightning.Trainer", "max_epochs", 0, "trainer.max_epochs must be"),
    ],
)
def test_a_bad_value_is_named(
    section: str, target: str, key: str, value: object, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        check_written(section, {"_target_": target, key: value})
    check_written(section, {"_target_": target, key: "???"})  # which has to be given: told later


def test_bad_values_and_absent_files_are_answered_before_torch_is_imported() -> None:
    code = (
        "import sys\nfrom recsys_lab.run.command_line import train\n"
        "for words in (['catalog=edges', 'catalog.path=nope.csv'], ['data.window=0'],\n"
        "              ['model.score=cos'], ['trainer.max_epochs=0'], ['curve.max_pairs=0']):\n"
        "    try:\n        train(words)\n"
        "    except SystemExit as stop:\n        print(str(stop).splitlines()[0])\n"
        "print('torch' in sys.modules, 'pytorch_lightning' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    *told, last = done.stdout.splitlines()
    assert [line.split()[0] for line in told] == [
        "catalog.path:", "data.window", "model.score", "trainer.max_epochs", "curve.max_pairs",
    ]  # fmt: skip
    assert last == "False False", done.stdout + done.stderr
