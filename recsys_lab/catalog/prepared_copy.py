"""Prepared data for the other processes of a run, read without any look at the input files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.catalog.split import Split
from recsys_lab.catalog.stored_arrays import (
    load_arrays,
    read_event_split,
    read_events,
    read_split,
)

_FACTS = ("num_pairs", "vocabulary_hash", "split_hash", "understood")


def describe(prepared: PreparedData[Any]) -> dict[str, Any]:
    """Where prepared data lies and what it holds, as JSON values."""
    return {name: getattr(prepared, name) for name in _FACTS} | {
        "catalog_folder": str(prepared.catalog_folder.resolve()),
        "split_folder": str(prepared.split_folder.resolve()),
    }


def read_copy(described: Mapping[str, Any]) -> PreparedData[Any]:
    """The prepared data that `describe` has described."""
    catalog, folder = Path(described["catalog_folder"]), Path(described["split_folder"])
    items = pl.read_parquet(catalog / "items.parquet")
    arrays = load_arrays(folder / "split.npz")
    split: Split | EventSplit
    if (facts := _manifest(folder).get("facts")) is None:
        split = read_split(arrays, items.height)
    else:
        users = pl.read_parquet(catalog / "users.parquet")
        kinds = _manifest(catalog)["kind_names"]
        events = read_events(load_arrays(catalog / "events.npz"), users, kinds)
        split = read_event_split(arrays, facts, events, items.height)
    return PreparedData(
        catalog=ItemCatalog(items),
        split=split,
        catalog_folder=catalog,
        split_folder=folder,
        **{name: described[name] for name in _FACTS},
    )


def _manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found
