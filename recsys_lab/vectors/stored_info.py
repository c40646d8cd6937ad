"""What `embeddings.json` holds, with the types of its values."""

from typing import Any

import msgspec

Number = float | int


class Parent(msgspec.Struct):
    """Of embeddings that were added to."""

    folder: str
    num_items: int
    metrics: dict[str, Any] = {}


class History(msgspec.Struct):
    """What an event of a history weighs, see `evaluation.histories.HistoryWeights`."""

    decay: Number
    last: int | None = None
    vector: str = "pooled"


class StoredInfo(msgspec.Struct):
    """The file of a run's embeddings; what it holds beside this is not looked at."""

    format: int
    num_items: int
    num_scored: int
    dimension: int
    both_ways: bool
    biased: bool
    directed: bool = False
    score: str | None = None
    model: dict[str, Any] = {}
    relations: list[str] = []
    facts: dict[str, Any] = {}
    metrics: dict[str, Number | str | None] = {}
    parent: Parent | None = None
    file: str | None = None
    fields: list[str] = []
    price_edges: list[Number] = []
    size_exponent: Number | None = None
    cold_bias: Number = 0.0
    content_dimension: int = 0
    content_weight: Number = 0.0
    added: dict[str, int] = {}
    history: History | None = None
    filter_history: bool | None = None
    query: str = "user"
    list_length: int | None = None


def find_fault(info: dict[str, Any]) -> str:
    """What is wrong with the values, empty if nothing is."""
    try:
        msgspec.convert(info, StoredInfo)
    except msgspec.ValidationError as error:
        return str(error).replace("`", "").replace(" - at $.", " in ").replace("$.", "")
    return ""
