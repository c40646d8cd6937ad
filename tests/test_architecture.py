"""The shape of the tree: imports point one way, files and functions stay small."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "recsys_lab").rglob("*.py"))

# What each room may import of this project; a room may always import itself. The one atomic write,
# `results.files`, its hidden files and the sentences about what cannot be written are for anyone.
# Models and evaluation do not know each other: a model gives plain vectors (`models.scoring`),
# `evaluation.scorers` has the one formula that scores pairs of them, and `run` passes the vectors
# on. Evaluation takes the names of slices and metrics from `results`.
ANYONE = {"compute", "results.files", "results.part_files", "results.write_errors"}
ALLOWED: dict[str, set[str]] = {
    "compute": set(),
    "results": set(),
    "config": set(),
    "readers": set(),
    "catalog": {"readers"},
    "graph": set(),
    "data": {"readers", "catalog", "graph"},
    "models": {"data.batch", "readers", "vectors.score_form"},  # of vectors trained elsewhere
    "evaluation": {"results.metric_names"},
    "figures": set(),
    "report": {"results", "figures"},
    "vectors": {"readers", "catalog", "graph", "evaluation.histories"},  # one way of pooling
    "run": {
        "readers", "catalog", "graph", "data", "models", "evaluation", "results", "report",
        "figures", "config", "vectors",
    },
    "serve": {"vectors", "graph", "evaluation", "results", "report.names"},
    "commands": {
        "readers", "config", "models.task", "report", "results", "run", "vectors", "serve",
    },
}  # fmt: skip
NO_TORCH = {
    "readers", "catalog", "graph", "results", "report", "figures", "vectors", "serve", "commands",
}  # fmt: skip
NO_HYDRA = {
    "readers", "catalog", "graph", "data", "models", "evaluation", "figures", "vectors", "serve",
}  # fmt: skip


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
    room, names = room_of(path), imports_of(path)
    if room in ("__init__", "__main__"):
        return  # the interface, which imports when a name is used, and the entry of the commands
    allowed = ANYONE | ALLOWED.get(room, set()) | {room}
    for name in (n.removeprefix("recsys_lab.") for n in names if n.startswith("recsys_lab.")):
        assert any(f"{name}.".startswith(f"{one}.") for one in allowed), f"{room} imports {name}"
    libraries = {name.split(".")[0] for name in names}
    if room in NO_TORCH:
        assert not libraries & {"torch", "pytorch_lightning"}
    if room in NO_HYDRA:
        assert not libraries & {"hydra", "omegaconf"}


def test_every_room_has_its_place() -> None:
    folders = {path.parent.name for path in SOURCES} - {"recsys_lab"}
    assert folders == set(ALLOWED)
    assert {path.name for path in SOURCES if path.parent.name == "recsys_lab"} == {
        "__init__.py",
        "__main__.py",
    }


def test_the_documentation_names_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert set(re.findall(r"^  (\w+)/ ", text, re.MULTILINE)) == set(ALLOWED)


def test_no_file_bears_the_name_of_another() -> None:
    files = [path for path in SOURCES if not path.stem.startswith("__")]
    names = [path.stem for path in files if room_of(path) != "commands"]  # named by their command
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines <= 50, f"{node.name} has {lines} lines"


def test_no_drawer_for_odds_and_ends() -> None:
    assert not {path.stem for path in SOURCES} & {"utils", "helpers", "base", "common", "misc"}


def test_entry_point_stays_thin() -> None:
    assert len((ROOT / "train.py").read_text().splitlines()) <= 30


def test_benchmarks_use_public_names() -> None:
    """As somebody does who has only the documentation."""
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        tree = ast.parse(path.read_text())
        imported = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        of_package = [n for n in imported if (n.module or "").startswith("recsys_lab")]
        names = {alias.asname or alias.name for node in of_package for alias in node.names}
        assert not [name for name in names if name.startswith("_")], path.name
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                private = node.attr.startswith("_") and node.value.id in names
                assert not private, f"{path.name} uses {node.value.id}.{node.attr}"
