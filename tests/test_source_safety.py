"""No line of the package runs text or loads objects from files."""

import ast
from pathlib import Path

import pytest

import recsys_lab

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "literal_eval", "read_pickle"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve"}
SOURCES = sorted(Path(recsys_lab.__file__).parent.rglob("*.py"))


def offences(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").split(".")[0], *(alias.name for alias in node.names)]
            names = [] if node.module == "recsys_lab.commands.compile" else names  # of kernels
        elif isinstance(node, ast.Name) and node.id != "compile":
            names = [node.id]
        elif isinstance(node, ast.Attribute) and node.attr not in ("eval", "compile"):
            names = [node.attr]  # module.eval() and torch.compile() are something else
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "weights_only"):
            safe = node.arg == "weights_only"
            if not (isinstance(node.value, ast.Constant) and node.value.value is safe):
                found.append(f"{node.value.lineno}: {node.arg}")
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            given = [keyword.arg for keyword in node.keywords]
            found += [] if "weights_only" in given else [f"{node.lineno}: torch.load"]
        bad = (FORBIDDEN_CALLS | FORBIDDEN_MODULES).intersection(names)
        found += [f"{node.lineno}: {name}" for name in bad]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_source_runs_no_text(path):
    assert offences(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "run = exec",
        "import pickle as p",
        "from ast import literal_eval as read",
        "ast.literal_eval(x)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_the_check_sees(source):
    assert offences(ast.parse(source))
