"""Prefixes of the configuration in messages of the library."""

import pytest

from recsys_lab.config.targets import ConfigurationError
from recsys_lab.models.task import TrainingError
from recsys_lab.run.argument_names import named, with_prefixes

SECTIONS = {
    "catalog": {"path", "max_bad_fraction", "relation_weights", "seed", "val_path"},
    "split": {"by", "val_fraction", "test_fraction", "negatives", "seed"},
    "data": {"window", "num_negatives", "negatives"},
    "optimizer": {"lr"},
}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("window must be >= 1, got 0", "data.window must be >= 1, got 0"),
        ("data.window must be >= 1, got 0", None),
        ("the window=3 is too wide: use window=2",
         "the data.window=3 is too wide: use data.window=2"),
        ("a.json: 3 bad lines; allow more with max_bad_fraction=",
         "a.json: 3 bad lines; allow more with catalog.max_bad_fraction="),
        ("allow more with catalog.max_bad_fraction=", None),
        ("relation_weights.also_bought must be finite",
         "catalog.relation_weights.also_bought must be finite"),
        ("val_fraction + test_fraction must be below 1",
         "split.val_fraction + split.test_fraction must be below 1"),
        ("leave it out with negatives='[uniform]'",
         "leave it out with split.negatives='[uniform]'"),
        ("by must be pairs or items", "split.by must be pairs or items"),
        ("chosen by chance along a path", None),
        ("path: there is no file x", "catalog.path: there is no file x"),
        ("paths differ", None),
        ("path.json: no line is kept", None),
        ("cannot read /data/val_path/val_path.txt", None),
        ("no item 'num_negatives' and num_negatives == 3",
         "no item 'num_negatives' and data.num_negatives == 3"),
        ("the loss is nan: lower lr=0.5", "the loss is nan: lower optimizer.lr=0.5"),
        ("seed must be >= 0", "catalog.seed must be >= 0"),
        ("my_window=3", None),
    ],
)  # fmt: skip
def test_prefixes(message: str, expected: str | None) -> None:
    assert with_prefixes(message, SECTIONS) == (expected or message)
    assert with_prefixes(expected or message, SECTIONS) == (expected or message)  # once


def test_no_section_changes_nothing() -> None:
    assert with_prefixes("window must be >= 1", {}) == "window must be >= 1"
    assert with_prefixes("window must be >= 1", {"model": set()}) == "window must be >= 1"


@pytest.mark.parametrize("kind", [ValueError, TrainingError])
def test_errors_of_the_library_become_errors_of_the_configuration(kind: type) -> None:
    outer, inner = named({"catalog": {"path"}}), named({"data": {"window"}})
    with pytest.raises(ConfigurationError, match=r"^data\.window must") as raised, outer, inner:
        raise kind("window must be >= 1")
    assert isinstance(raised.value.__cause__, kind)


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), named(SECTIONS):
        raise KeyError("window")
