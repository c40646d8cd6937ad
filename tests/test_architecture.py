"""The shape of the tree: imports point one way, files and functions stay small."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "recsys_lab").rglob("*.py"))

# What each room may import of this project; a room may always import itself.
ALLOWED = {
    "catalog": {"threads", "parallel"},
    "graph": {"threads", "parallel", "prefetch"},
    "data": {"catalog", "graph", "threads"},
    "models": {"data.batch", "threads", "prefetch"},
    "evaluation": {"threads", "parallel"},
}


def room_of(path: Path) -> str:
    relative = path.relative_to(ROOT / "recsys_lab")
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    room = room_of(path)
    ours = {name.removeprefix("recsys_lab.") for name in imports_of(path) if "recsys_lab." in name}
    if room in ALLOWED:
        for name in ours:
            inside = name == room or name.startswith(f"{room}.")
            assert inside or any(name.startswith(allowed) for allowed in ALLOWED[room]), (
                f"{room} must not import {name}"
            )
    if room != "experiment":
        assert "experiment" not in ours
    if room in ("catalog", "graph"):
        assert not {n.split(".")[0] for n in imports_of(path)} & {"torch", "pytorch_lightning"}
    if room in ("catalog", "graph", "data", "models", "evaluation"):
        assert not {n.split(".")[0] for n in imports_of(path)} & {"hydra", "omegaconf"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines <= 50, f"{node.name} has {lines} lines"


def test_no_drawer_for_odds_and_ends() -> None:
    assert not {path.stem for path in SOURCES} & {"utils", "helpers", "base", "common", "misc"}


def test_entry_point_stays_thin() -> None:
    assert len((ROOT / "train.py").read_text().splitlines()) <= 30
