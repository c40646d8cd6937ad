"""Fields whose values are to be found, which a model must not be told."""

from collections.abc import Mapping
from typing import Any

from recsys_lab.config.targets import ConfigurationError

_LEVELS = "category"  # holds the labels of all levels, category_0, category_1, ..


def check_label_fields(configuration: Mapping[str, Any]) -> None:
    """Refuse a model that gets the labels of an item as side information.

    Raises:
        ConfigurationError: naming both keys.
    """
    labels, model = configuration["nodes"]["labels"], configuration["model"]
    told = dict.fromkeys(model.get("fields") or (), "fields")
    if cold := model.get("cold_field"):
        told[cold] = "cold_field"
    for name, key in told.items():
        for label in labels:
            if name == label or (_LEVELS in (name, label) and _is_level(name, label)):
                raise ConfigurationError(
                    f"model.{key} has {name}, which tells the model what nodes.labels=[{label}] "
                    f"asks for: leave {name} out of model.{key}"
                )


def _is_level(*names: str) -> bool:
    return all(name == _LEVELS or name.startswith(f"{_LEVELS}_") for name in names)
