"""The number of processes of a training; read without Hydra, which `fit` does not need."""

from collections.abc import Mapping
from typing import Any


def rank_count(trainer: Mapping[str, Any]) -> int:
    """The number of processes that train copies of the model."""
    if trainer.get("strategy") != "ddp":
        return 1
    return int(trainer["devices"]) * int(trainer.get("num_nodes", 1))
