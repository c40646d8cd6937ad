"""The tests that docs/guarantees.md names exist, in the suite or in `make soak` as it says."""

import ast
import re

from tests.run_cases import ROOT

PAGE = (ROOT / "docs" / "guarantees.md").read_text()
_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`( \(soak\))?")


def is_soak(path: str, name: str) -> bool:
    """Whether a test is left out of the suite as a whole.

    Raises:
        StopIteration: there is no such test.
    """
    tree = ast.parse((ROOT / "tests" / path).read_text())
    found = next(x for x in tree.body if isinstance(x, ast.FunctionDef) and x.name == name)
    is_whole = any(ast.unparse(x) == "pytestmark = pytest.mark.soak" for x in tree.body)
    return is_whole or any(ast.unparse(x) == "pytest.mark.soak" for x in found.decorator_list)


def test_every_guarantee_names_tests_that_exist() -> None:
    lines = PAGE.partition("## Figures")[0].split("\n- ")[1:]
    assert len(lines) > 25
    for line in lines:
        named = _TEST.findall(line)
        assert named, line
        assert line.count("::") == len(named), line
        for path, name, soak in named:
            assert is_soak(path, name) == bool(soak), f"{path}::{name}"
