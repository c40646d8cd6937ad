"""Options that do not go with labels that are to be found."""

from collections.abc import Mapping
from typing import Any

from recsys_lab.catalog.nodes import holds_labels
from recsys_lab.config.targets import ConfigurationError

_PAIRS = "item_label"  # as `data.interactions` names them


def check_labels(configuration: Mapping[str, Any]) -> None:
    """Refuse labels that the model is told of an item, and labels that no pair trains.

    Raises:
        ConfigurationError: naming the keys.
    """
    labels, model = configuration["nodes"]["labels"], configuration["model"]
    told = dict.fromkeys(model.get("fields") or (), "fields")
    if cold := model.get("cold_field"):
        told[cold] = "cold_field"
    for label in labels:
        for name in (name for name in told if holds_labels(name, label)):
            key = f"model.{told[name]}"
            raise ConfigurationError(
                f"{key} has {name}, which holds the labels of nodes.labels=[{label}]: "
                f"leave {name} out of {key}"
            )
    pairs = configuration["data"].get("pairs")
    if labels and pairs is not None and _PAIRS not in pairs:
        raise ConfigurationError(
            f"data.pairs=[{','.join(pairs)}] trains no labels of "
            f"nodes.labels=[{','.join(labels)}]: add {_PAIRS} to data.pairs"
        )
