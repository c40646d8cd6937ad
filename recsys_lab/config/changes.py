"""What differs between two configurations, as words of a command line."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from recsys_lab.config.command_words import as_value

IS_KEY = re.compile(r"(?!hydra\b)[A-Za-z_]\w*(\.[\w-]+)*")  # of a value of the project


def changes(before: dict[str, Any], now: dict[str, Any], is_whole: bool) -> Iterator[str]:
    """Words that turn a composed configuration into a stored one.

    A section of another target is replaced. Of others, keys that are in `now` alone stay, since
    they came later; those that are in `before` alone are left out if the composed configuration
    comes of all words of the run, since they are gone.
    """
    for key, value in _superfluous(before, now, ""):
        yield from [f"{key}=0"] if value is None else []  # Hydra deletes nothing that is null
        yield f"~{key}"
    stored, composed = flat(before), flat(now)
    other = tuple(
        key.removesuffix("_target_")
        for key, value in stored.items()
        if key.endswith("_target_") and composed.get(key) != value
    )
    for key, value in stored.items():
        if not IS_KEY.fullmatch(key):
            continue
        if key in composed and composed[key] != value:
            yield f"{key}={as_value(value)}"
        elif key not in composed and (not is_whole or key.startswith(other)):
            yield f"++{key}={as_value(value)}"


def _superfluous(
    before: Mapping[str, Any], now: Mapping[str, Any], place: str, *, is_other: bool = False
) -> Iterator[tuple[str, Any]]:
    """Keys of a composed configuration that a stored section of another target lacks."""
    if "_target_" in before or "_target_" in now:
        is_other = before.get("_target_") != now.get("_target_")
    for key, value in now.items():
        stored = before.get(key)
        if key not in before:
            yield from [(f"{place}{key}", value)] if is_other else []
        elif isinstance(value, dict) and isinstance(stored, dict):
            yield from _superfluous(stored, value, f"{place}{key}.", is_other=is_other)


def flat(values: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Values by their whole names; an empty section is a value."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{place}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, dict) and value else {name: value}
    return found
