"""Options that do not go with labels that are to be found."""

from collections.abc import Mapping
from typing import Any

from recsys_lab.catalog.nodes import tells
from recsys_lab.config.configuration import section_of
from recsys_lab.config.targets import ConfigurationError, parameters_of

_PAIRS = "item_label"  # as `data.interactions` names them


def check_labels(configuration: Mapping[str, Any]) -> None:
    """Refuse labels that the model is told of an item, and labels that nothing trains.

    Raises:
        ConfigurationError: naming the keys.
    """
    labels, model = configuration["nodes"]["labels"], configuration["model"]
    told = dict.fromkeys(model.get("fields") or (), "fields")
    if cold := model.get("cold_field"):
        told[cold] = "cold_field"
    for label in labels:
        for name in (name for name in told if tells(name, label)):
            key = f"model.{told[name]}"
            raise ConfigurationError(
                f"{key} has {name}, which tells the model the labels of nodes.labels=[{label}]: "
                f"leave {name} out of {key}"
            )
    if labels and configuration["train"] and not _are_trained(configuration):
        raise ConfigurationError(
            f"nothing trains the labels of nodes.labels=[{','.join(labels)}]: use "
            f"data=interactions with data.pairs=[{_PAIRS}]"
        )


def _are_trained(configuration: Mapping[str, Any]) -> bool:
    sections = (section_of(configuration, name) for name in ("data", "data.source"))
    targets = [section["_target_"] for section in sections if section]
    takes_nodes = any("nodes" in parameters_of(target)[0] for target in targets)
    return takes_nodes and _PAIRS in configuration["data"].get("pairs", (_PAIRS,))
