"""The folder of embeddings that holds the items of a run and new ones."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from recsys_lab.vectors.adding import NOTHING, PAIRS, SIDE_INFORMATION, AddedItems
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.new_items import NewItems
from recsys_lab.vectors.store import (
    ADDED_COLUMN,
    INFO,
    Content,
    SideInfo,
    extend_embeddings,
    read_info,
)

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings


def write_added(
    embeddings: "Embeddings",
    new: NewItems,
    added: AddedItems,
    folder: Path,
    write_users: Callable[[Path], None] | None = None,
) -> dict[str, int]:
    """Write the items of a run and the new ones behind them; returns how many have which source.

    An added item is `seen` if it was folded in by its pairs. `write_users` writes the users, where
    they change.

    Raises:
        VectorsError: the folder holds the embeddings that are added to, or something else.
    """
    check_folder(embeddings, folder)
    is_folded = added.source == PAIRS
    items = new.items.with_columns(
        pl.Series("num_pairs", added.num_pairs.astype(np.int32)),
        pl.Series("seen", is_folded),
        pl.Series(ADDED_COLUMN, added.source, dtype=pl.String),
    )
    pairs = pl.DataFrame(
        {
            "head": new.pairs.heads,
            "tail": new.pairs.tails,
            "weight": new.pairs.weights,
            "relations": new.relations,
        }
    )
    counts = {
        name: int((added.source == name).sum()) for name in (PAIRS, SIDE_INFORMATION, NOTHING)
    }
    side_info = None
    if added.weights is not None:
        side_info = SideInfo(embeddings.values, *added.weights)
    content = Content(
        items,
        added.source != NOTHING,
        added.tables,
        pl.concat([embeddings.pairs, pairs]).sort("head", "tail"),
        _info(embeddings, counts, folder),
        side_info,
    )
    extend_embeddings(folder, embeddings.folder, content, write_users)
    return counts


def check_folder(embeddings: "Embeddings", folder: Path) -> None:
    """Refuse a folder that must not be written over."""
    if folder.resolve() in [x.resolve() for x in lineage(embeddings)]:
        raise VectorsError(f"{folder} holds the embeddings that are added to: choose another --out")
    if not folder.exists():
        return
    if not (folder / INFO).is_file():
        raise VectorsError(f"{folder} exists and holds no embeddings: choose another --out")
    if not read_info(folder).get("parent"):
        raise VectorsError(f"{folder} holds the embeddings of a run: choose another --out")


def lineage(embeddings: "Embeddings") -> Iterator[Path]:
    """The folder of embeddings, that of those which were added to, and so on to that of a run."""
    folder, info = embeddings.folder, embeddings.info
    yield folder
    while parent := info.get("parent"):
        folder = folder / parent["folder"]
        info = read_info(folder)
        yield folder


def _info(embeddings: "Embeddings", counts: dict[str, int], folder: Path) -> dict[str, Any]:
    """What the folder says of itself; how the run was measured stays with its parent."""
    parent = {
        "folder": os.path.relpath(embeddings.folder.resolve(), folder.resolve()),
        "num_items": len(embeddings),
        "metrics": embeddings.info.get("metrics", {}),
    }
    scored = embeddings.info["num_scored"] + counts[PAIRS] + counts[SIDE_INFORMATION]
    # hashes say which runs have the same items and pairs
    facts = embeddings.info.get("facts", {})
    return dict(embeddings.info) | {
        "facts": {name: value for name, value in facts.items() if not name.startswith("hash/")},
        "parent": parent,
        "metrics": {},
        "added": counts,
        "num_items": len(embeddings) + sum(counts.values()),
        "num_scored": scored,
    }
