"""Types of arguments as they are written in this project's sources, without importing them.

The modules that are configured import torch and Lightning, which takes seconds. Most of their
arguments have types of `compute.ranges` and plain ones, which the source tells. Other arguments
are left to the check of the imported signature.
"""

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Union

from recsys_lab.compute import ranges
from recsys_lab.compute.checks import check_value
from recsys_lab.config.library_arguments import KNOWN_ARGUMENTS
from recsys_lab.config.targets import ConfigurationError

_PLAIN: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool}
_OWN = "recsys_lab."
_MISSING = "???"  # of OmegaConf: a value that has to be given


def check_written(section: str, node: Any) -> None:
    """Compare the values of a section with those types of its target that are known early.

    Raises:
        ConfigurationError: as the later check of all values.
    """
    if not isinstance(node, Mapping) or not isinstance(target := node.get("_target_"), str):
        return
    types = written_types(target)
    for key, value in node.items():
        if key in types and value != _MISSING:
            try:
                check_value(f"{section}.{key}", value, types[key])
            except ValueError as error:
                raise ConfigurationError(str(error)) from error


@cache
def written_types(target: str) -> Mapping[str, Any]:
    """The arguments of a target whose types are known without imports."""
    if (known := KNOWN_ARGUMENTS.get(target)) is not None:
        return {name: hint for name, hint in known.items() if hint not in (None, Any)}
    if not target.startswith(_OWN):
        return {}
    module, _, name = target.rpartition(".")
    found = (one for one in _body(module) if isinstance(one, ast.FunctionDef | ast.ClassDef))
    written = next((_annotations(one) for one in found if one.name == name), {})
    types = {argument: _type_of(node, module) for argument, node in written.items()}
    return {argument: hint for argument, hint in types.items() if hint is not _UNKNOWN}


@cache
def _body(module: str) -> list[ast.stmt]:
    """The statements of a module's source; none if it cannot be found."""
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        return []
    if spec is None or spec.origin is None:
        return []
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body


def _annotations(written: ast.FunctionDef | ast.ClassDef) -> dict[str, ast.expr]:
    """The annotations of a function, of a class's `__init__`, or of a dataclass's fields."""
    if isinstance(written, ast.ClassDef):
        for one in written.body:
            if isinstance(one, ast.FunctionDef) and one.name == "__init__":
                return _annotations(one)
        fields = [one for one in written.body if isinstance(one, ast.AnnAssign)]
        return {one.target.id: one.annotation for one in fields if isinstance(one.target, ast.Name)}
    every = [*written.args.args, *written.args.kwonlyargs]
    return {one.arg: one.annotation for one in every if one.annotation is not None}


_UNKNOWN = object()


def _type_of(node: ast.expr, module: str) -> Any:
    """The type that an annotation in a module names; `_UNKNOWN` for any but the plain forms."""
    match node:
        case ast.Constant(value=None):
            return type(None)
        case ast.Name(id=name):
            return _PLAIN[name] if name in _PLAIN else _named(name, module)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            both = _type_of(left, module), _type_of(right, module)
            return _UNKNOWN if _UNKNOWN in both else Union.__getitem__(both)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            choices = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            plain = [choice.value for choice in choices if isinstance(choice, ast.Constant)]
            return Literal[tuple(plain)] if len(plain) == len(choices) else _UNKNOWN
        case ast.Subscript(value=ast.Name(id="Sequence"), slice=inner):
            each = _type_of(inner, module)
            return _UNKNOWN if each is _UNKNOWN else Sequence[each]  # type: ignore[valid-type]
    return _UNKNOWN


def _named(name: str, module: str) -> Any:
    """The type that a module gives a name, or imports from this project."""
    for one in _body(module):
        if isinstance(one, ast.ImportFrom) and name in [alias.name for alias in one.names]:
            if one.module == ranges.__name__:
                return getattr(ranges, name)
            is_own = one.module is not None and one.module.startswith(_OWN)
            return _named(name, str(one.module)) if is_own else _UNKNOWN
        if isinstance(one, ast.Assign) and name in [getattr(x, "id", "") for x in one.targets]:
            return _type_of(one.value, module)
    return _UNKNOWN
