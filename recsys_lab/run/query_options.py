"""Whether the data module makes the sequences that a model of histories trains on."""

from collections.abc import Mapping
from typing import Any

from recsys_lab.config.targets import ConfigurationError


def check_query(configuration: Mapping[str, Any]) -> None:
    """Refuse the histories of `model=starspace` where batches are pairs.

    Raises:
        ConfigurationError: naming the keys.
    """
    if configuration["model"].get("query") != "history":
        return
    negatives = configuration["data"].get("negatives")
    if negatives is None:
        raise ConfigurationError(
            "model.query=history trains on sequences: use data=sequences, or model.query=item"
        )
    if negatives == "per_pair":
        raise ConfigurationError(
            "model.query=history takes no data.negatives=per_pair: use in_batch or shared"
        )
