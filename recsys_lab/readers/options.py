"""Checks of the options that several sources share."""

from collections.abc import Iterable, Mapping

from recsys_lab.readers.account import CatalogError


def check_weights(place: str, weights: Mapping[str, float], names: Iterable[str]) -> None:
    """Refuse unknown names, and weights that are all 0."""
    names = tuple(names)
    for name in weights:
        if name not in names:
            raise CatalogError(
                f"{place} has no relation {name!r}; the relations are {', '.join(names)}"
            )
    if not any(weight > 0 for weight in weights.values()):
        raise CatalogError(f"{place} ignores every relation; give at least one a weight above 0")
