"""Objects of a user's own package, allowed by `plugins` and refused without."""

import re
import sys
from pathlib import Path

import pytest

from recsys_lab.config.configuration import check_configuration
from recsys_lab.config.targets import ConfigurationError, check_targets, factory
from tests.config.test_configuration import configuration

PACKAGE = """
import os
from os import getcwd
from recsys_lab.compute.threads import usable_cores

def build(items, *, size: int):
    return size

class Net:
    def __init__(self, items, *, size: int) -> None:
        self.size = size

    @staticmethod
    def make(items, *, size: int):
        return size

number = 3
"""


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one_package", "one_package_more"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(PACKAGE)
    (tmp_path / "one_package" / "deep.py").write_text("def build(items): ...\n")
    (tmp_path / "broken_package.py").write_text("import nothing_of_that_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.startswith("one_package")]:
        del sys.modules[name]


def own(target: str, *overrides: str) -> list[str]:
    gone = ("embedding_dim", "biases", "loss", "l2", "popularity_weight", "kernel")
    return [
        "model=mf",
        f"model._target_={target}",
        *(f"~model.{name}" for name in gone),
        *overrides,
    ]


@pytest.mark.parametrize("target", ["one_package.build", "one_package.Net", "one_package.Net.make"])
def test_what_a_plugin_defines_may_be_built(target: str) -> None:
    found = check_configuration(
        configuration(*own(target, "+model.size=3", "plugins=[one_package]"))
    )
    made = factory(found["model"])(items=None)
    assert getattr(made, "size", made) == 3


def test_a_module_of_a_plugin_is_imported_for_its_target() -> None:
    check_configuration(configuration(*own("one_package.deep.build", "plugins=[one_package]")))


def test_the_arguments_of_a_plugin_are_checked_like_all_others() -> None:
    for override, message in (
        ("+model.size=abc", r"^model\.size must be an integer, got 'abc'"),
        ("+model.sise=3", r"unknown key 'model\.sise'.*did you mean size\?"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            check_configuration(
                configuration(*own("one_package.build", "plugins=[one_package]", override))
            )


def test_a_package_that_is_no_plugin_is_refused_with_the_line_to_add() -> None:
    with pytest.raises(ConfigurationError, match=r"^model\._target_ .*add the line plugins: ") as e:
        check_configuration(configuration(*own("one_package.build", "+model.size=3")))
    assert str(e.value).endswith("plugins: [one_package]")
    assert "one_package" not in sys.modules  # nothing of it has run


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("one_package.os.system", "belongs to posix"),
        ("one_package.getcwd", "belongs to posix"),
        ("one_package.usable_cores", "belongs to recsys_lab.compute.threads"),
        ("one_package.number", "is neither"),
        ("one_package.os", "is neither"),
        ("one_package.nothing", "cannot find one_package.nothing"),
        ("one_package_more.build", "add the line plugins: [one_package_more]"),
        ("one_package", "must be one of"),
    ],
)
def test_what_a_plugin_only_imports_is_refused(target: str, reason: str) -> None:
    cfg = configuration(*own(target, "plugins=[one_package]"))
    with pytest.raises(ConfigurationError, match=rf"^model\._target_.*{re.escape(reason)}"):
        check_configuration(cfg)


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        ("[not_installed_anywhere]", "cannot import 'not_installed_anywhere'.*PYTHONPATH"),
        ("[broken_package]", "cannot import 'broken_package'.*nothing_of_that_name"),
        ("[os]", "plugins must name packages of your own, got 'os'"),
        ("[numpy]", "plugins must name packages of your own, got 'numpy'"),
        ("[yaml]", "plugins must name packages of your own, got 'yaml'"),
        ("[torch.hub]", "plugins must name packages of your own, got 'torch.hub'"),
        ("one_package", "plugins must be a list, each text, got 'one_package'"),
    ],
)
def test_plugins_that_cannot_be_used_are_named(plugins: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_configuration(configuration(f"plugins={plugins}"))


def test_no_line_is_proposed_for_the_libraries() -> None:
    for target in ("os.system", "torch.load", "recsys_lab.results.files.write_text", "nothing"):
        with pytest.raises(ConfigurationError, match=r"got '[\w.]+'$"):
            check_targets({"model": {"_target_": target}}, [])


def test_what_is_checked_is_what_is_built() -> None:
    """An interpolation is resolved once; what it leaves is text."""
    path = r"catalog.path='\${oc.create:{_target_: torch.load}}'"
    cfg = configuration("catalog=edges", path)
    found = check_configuration(cfg)
    assert factory(found["catalog"]).keywords["path"] == "${oc.create:{_target_: torch.load}}"


def test_nested_sections_and_lists_are_built() -> None:
    section = {
        "_target_": "builtins.dict",
        "one": {"_target_": "builtins.list"},
        "many": [{"a": {"_target_": "builtins.int"}}, 2],
    }
    assert factory(section)(more=1) == {"one": [], "many": [{"a": 0}, 2], "more": 1}
