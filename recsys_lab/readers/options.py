"""Checks of the options of the sources: one sentence with the value, the place and the remedy."""

import math
from collections.abc import Iterable, Mapping

from recsys_lab.readers.account import CatalogError


def check_weights(place: str, weights: Mapping[str, float], names: Iterable[str]) -> None:
    """Refuse unknown names, weights that are no finite number >= 0, and weights that are all 0."""
    names = tuple(names)
    for name, weight in weights.items():
        if name not in names:
            raise CatalogError(
                f"{place} has no relation {name!r}; the relations are {', '.join(names)}"
            )
        if not _is_number(weight) or not math.isfinite(weight) or weight < 0:
            raise CatalogError(
                f"{place}.{name} must be a finite number >= 0 (0 ignores it), got {weight!r}"
            )
        if 0 < weight < 1e-30 or weight > 1e30:
            raise CatalogError(f"{place}.{name} must be 0 or in [1e-30, 1e30], got {weight!r}")
    if not any(weight > 0 for weight in weights.values()):
        raise CatalogError(f"{place} ignores every relation; give at least one a weight above 0")


def check_count(place: str, value: int, smallest: int = 0) -> None:
    """Refuse what is no integer or below the smallest."""
    if not isinstance(value, int) or isinstance(value, bool) or value < smallest:
        raise CatalogError(f"{place} must be an integer >= {smallest}, got {value!r}")


def check_positive(place: str, value: float) -> None:
    """Refuse what is no finite number above 0."""
    if not _is_number(value) or not math.isfinite(value) or value <= 0:
        raise CatalogError(f"{place} must be a finite number > 0, got {value!r}")


def check_fraction(place: str, value: float) -> None:
    """Refuse what is not in [0, 1]."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise CatalogError(f"{place} must be a number in [0, 1], got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
