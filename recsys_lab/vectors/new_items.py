"""The items of a catalogue that a run does not have, with their pairs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from recsys_lab.catalog.pairs import ItemPairs, build_pairs
from recsys_lab.catalog.relations import relation_masks
from recsys_lab.readers.records import Records
from recsys_lab.vectors.store import TEXT_COLUMNS

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings


class NewItems(NamedTuple):
    """New items n and their pairs; rows 0 .. N - 1 are items of the run, new items follow.

    Attributes:
        items: n rows with TEXT_COLUMNS.
        pairs: those with at least one new end, over N + n items.
        relations: (P,) uint8 mask of each pair, see `PairRelations`.
        num_known: items of the catalogue that the run has.
    """

    items: pl.DataFrame
    pairs: ItemPairs
    relations: np.ndarray
    num_known: int

    @property
    def num_pairs(self) -> np.ndarray:
        """(n,) pairs of each new item."""
        new_ends = self.pairs.ids.ravel().astype(np.int64) - (
            self.pairs.num_items - len(self.items)
        )
        return np.bincount(new_ends[new_ends >= 0], minlength=len(self.items))


def select_new(embeddings: "Embeddings", records: Records, *, keep_outside: bool) -> NewItems:
    """Compare a catalogue as read with the items of a run.

    Listings between items of the run are left out: their vectors stay. Those of an item that
    neither the run nor the selection has are left out, too.

    Args:
        embeddings: of the run.
        records: the catalogue as read.
        keep_outside: whether items that are only listed are new items, too.
    """
    num_known = len(embeddings)
    known = pl.DataFrame({"item": embeddings.ids}).with_row_index("row")
    listed = records.items.join(known, on="item", how="left", maintain_order="left")
    is_new = listed["row"].is_null() & (keep_outside | listed["has_metadata"])
    rows = listed["row"].cast(pl.Int64).fill_null(-1).to_numpy().copy()
    num_new = int(is_new.sum())
    rows[is_new.to_numpy()] = num_known + np.arange(num_new)
    sources, targets = rows[records.sources], rows[records.targets]
    used = (sources >= 0) & (targets >= 0) & (np.maximum(sources, targets) >= num_known)
    ends = sources[used].astype(np.int32), targets[used].astype(np.int32)
    total = num_known + num_new
    pairs = build_pairs(*ends, records.weights[used], total)
    relations = (
        np.zeros(len(pairs), np.uint8)
        if records.relations is None
        else relation_masks(*ends, records.relations[used], total)
    )
    names = list(embeddings.info.get("relations", []))
    relations = _translated(relations, records.relation_names, names)
    items = listed.filter(is_new).select(TEXT_COLUMNS)
    return NewItems(items, pairs, relations, len(listed) - int(listed["row"].null_count()))


def _translated(masks: np.ndarray, names: Sequence[str], known: list[str]) -> np.ndarray:
    """Masks by the relations of the run; others are not named there."""
    found = np.zeros_like(masks)
    for number, name in enumerate(names):
        if name in known:
            found |= (masks >> number & 1) << known.index(name)
    return found
