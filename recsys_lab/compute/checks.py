"""Checks of arguments, with one sentence that names the argument and its value."""

from collections.abc import Iterable


def check_at_least(least: float, **values: float) -> None:
    """Refuse values below the least, and NaN."""
    for name, value in values.items():
        if not value >= least:
            raise ValueError(f"{name} must be >= {least}, got {value}")


def check_choice(choices: Iterable[object], **values: object) -> None:
    """Refuse values that are none of the choices."""
    choices = tuple(choices)
    for name, value in values.items():
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}")
