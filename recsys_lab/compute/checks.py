"""Checks of arguments by the types of their signature, ranges included.

`window: Annotated[int, Ge(1)]` is the one place where a range stands: `checked` holds every caller
of a function or class to it, and the configuration is held to it before anything is built.
"""

import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from inspect import isclass, signature
from numbers import Integral, Real
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, MinLen

from recsys_lab.compute.near_words import did_you_mean
from recsys_lab.compute.ranges import Distinct, Pattern

_SHOWN = 60  # letters of a value in a message
_PLAIN = {int: "an integer", float: "a finite number", str: "text", bool: "true or false"}
_Target = TypeVar("_Target", bound=Callable[..., Any])


def checked(target: _Target) -> _Target:
    """Let a function or a class check those of its arguments whose type has a range or choices.

    Raises:
        ValueError: when it is called; naming the argument, its range and its value.
    """
    if isclass(target):
        target.__init__ = checked(target.__init__)  # type: ignore[method-assign]
        return target
    names = tuple(signature(target).parameters)

    @cache
    def ranges() -> dict[str, Any]:
        hints = get_type_hints(target, include_extras=True)
        return {name: hint for name, hint in hints.items() if has_range(hint)}

    @wraps(target)
    def call(*values: Any, **named: Any) -> Any:
        for name, hint in ranges().items():
            if name in named:
                check_value(name, named[name], hint)
            elif (place := names.index(name)) < len(values):
                check_value(name, values[place], hint)
        return target(*values, **named)

    return call  # type: ignore[return-value]


def has_range(hint: Any) -> bool:
    """Whether a type says more than a class does."""
    return get_origin(hint) in (Annotated, Literal) or any(map(has_range, get_args(hint)))


def check_value(name: str, value: Any, hint: Any) -> None:
    """Refuse a value that is not of a type; of a mapping each value, by its own name.

    Raises:
        ValueError: such as "window must be >= 1, got 0".
    """
    origin = _class_of(hint)
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, Mapping):
        for key, inner in value.items():
            check_value(f"{name}.{key}", inner, get_args(hint)[1])
        return
    if (wanted := _wanted(value, hint)) is not None:
        shown = repr(value)
        if len(shown) > _SHOWN:
            shown = f"{shown[:_SHOWN]}..."
        raise ValueError(f"{name} must be {wanted}, got {shown}{_near(value, hint)}")


def _near(value: Any, hint: Any) -> str:
    """What a misspelt word, or the first one of a list, may mean; of a word alone its list."""
    words = _words_of(hint)
    if isinstance(value, str):
        if value.startswith("[") and _takes_list(hint):  # Hydra has found no list in it
            return " (put each entry that holds = or , in quotes, as in ['a=b','c'])"
        is_entry = value != "" and _wanted([value], hint) is None
        return f" (did you mean [{value}]?)" if is_entry else did_you_mean(value, words)
    if isinstance(value, Sequence):
        wrong = [one for one in value if isinstance(one, str) and one not in words]
        return did_you_mean(wrong[0], words) if wrong else ""
    return ""


def _takes_list(hint: Any) -> bool:
    kind = get_origin(hint) or hint
    is_list = isclass(kind) and kind is not str and issubclass(kind, Sequence)
    return is_list or any(map(_takes_list, get_args(hint)))


def _words_of(hint: Any) -> list[str]:
    """The texts that a type allows one of; none if it allows any."""
    if get_origin(hint) is Literal:
        return [one for one in get_args(hint) if isinstance(one, str)]
    return [word for inner in get_args(hint) for word in _words_of(inner)]


def _class_of(hint: Any) -> type | None:
    origin = get_origin(hint)
    return origin if isclass(origin) else None


def _wanted(value: Any, hint: Any) -> str | None:
    """What a value should be; None if it is that."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        base, *bounds = arguments
        broken = (bound for bound in bounds if not _holds(value, bound))
        return _wanted(value, base) or next(map(_words, broken), None)
    if origin in (Union, types.UnionType):
        wanted = [_wanted(value, argument) for argument in arguments]
        if None in wanted:
            return None
        one_kind = len(arguments) == 2 and type(None) in arguments
        return " or ".join(filter(None, wanted)) if one_kind else describe(hint)
    return None if _is_of(value, hint) else describe(hint)


def _is_of(value: Any, hint: Any) -> bool:
    """Whether a value is of a type that has no bounds of its own."""
    arguments, origin = get_args(hint), _class_of(hint)
    if get_origin(hint) is Literal:  # where True is not 1
        return any(value == x and isinstance(value, bool) == isinstance(x, bool) for x in arguments)
    if hint is None or hint is type(None):
        return value is None
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool) and _is_finite(value)
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str) and value != ""
    if hint is bool:
        return isinstance(value, bool)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    if origin is not None and issubclass(origin, Sequence):
        if not isinstance(value, Sequence) or isinstance(value, str):
            return False
        if origin is tuple and Ellipsis not in arguments:
            return len(value) == len(arguments) and all(
                _wanted(inner, each) is None for inner, each in zip(value, arguments, strict=True)
            )
        return all(_wanted(inner, arguments[0]) is None for inner in value)
    return True  # Any, or a type of a library, which checks its arguments itself


def _is_finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond 1e308
        return False


def _holds(value: Any, bound: Any) -> bool:
    match bound:
        case Ge(least):
            return bool(value >= least)
        case Gt(least):
            return bool(value > least)
        case Le(most):
            return bool(value <= most)
        case Lt(most):
            return bool(value < most)
        case MinLen(least):
            return len(value) >= least
        case Pattern(expression):
            return re.fullmatch(expression, value) is not None
        case Distinct():
            return len(set(value)) == len(value)
        case GroupedMetadata():
            return all(_holds(value, one) for one in bound)
    raise TypeError(f"{bound!r} is no bound that is checked")


def _words(bound: Any) -> str:
    match bound:
        case Ge(end):
            return f">= {_number(end)}"
        case Gt(end):
            return f"> {_number(end)}"
        case Le(end):
            return f"<= {_number(end)}"
        case Lt(end):
            return f"< {_number(end)}"
        case MinLen(least):
            return f"a list of {least} or more"
        case Pattern(_, words):
            return words
        case Distinct():
            return "a list that names nothing twice"
    return " and ".join(map(_words, bound))


def _number(end: Any) -> str:
    return str(end) if isinstance(end, int) else f"{end:g}"


def describe(hint: Any) -> str:
    """The words for a type, such as "an integer >= 1 or null"."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        lower = next((x for x in arguments[1:] if not isinstance(x, Le | Distinct)), None)
        kind = describe(arguments[0])
        if isinstance(lower, Pattern):
            return lower.words
        if isinstance(lower, MinLen):
            return f"{kind}, not empty"
        return kind if lower is None else f"{kind} {_words(lower)}"
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(describe, arguments)))
    if hint is None or hint is type(None):
        return "null"
    kind_of = _class_of(hint)
    if kind_of is not None and issubclass(kind_of, Mapping):
        return f"names with {describe(arguments[1])} each"
    if kind_of is not None and issubclass(kind_of, Sequence):
        return f"a list, each {describe(arguments[0])}"
    return _PLAIN.get(hint, str(hint))
