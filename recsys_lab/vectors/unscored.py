"""Items that a model cannot score, and why."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from recsys_lab.vectors.store import ADDED_COLUMN


def why_not(items: pl.DataFrame, info: Mapping[str, Any], row: int) -> str:
    """Why the model cannot score an item, in half a sentence."""
    if info.get("fields") and info.get("model", {}).get("context_side_info") is False:
        return (
            "no training pair holds it, and the contexts of the model are item ids alone "
            "(model.context_side_info=true scores such items)"
        )
    if ADDED_COLUMN in items.columns and items[ADDED_COLUMN][int(row)]:
        known = " and no side information that training met" if info.get("fields") else ""
        return f"it was added with no pair with an item that has a vector{known}"
    if path := info.get("file"):
        return f"{path} has no vector for it"
    if info.get("fields"):
        return "no training pair holds it, nor any of its side information"
    return "no training pair holds it, and the model has no side information"
