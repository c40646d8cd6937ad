"""The training pairs of an item, and how its items are related, in human words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_lab.graph.rows import in_order, rows_of_pairs

RELATION_WORDS = {
    "also_bought": "also bought",
    "also_viewed": "also viewed",
    "bought_together": "bought together",
    "buy_after_viewing": "bought after viewing",
}


def relation_text(relations: Sequence[str] | None) -> str:
    """Relations in human words: "-" for items that are no training pair, "paired" without names."""
    if relations is None:
        return "-"
    words = [RELATION_WORDS.get(name, name.replace("_", " ")) for name in relations]
    return ", ".join(words) or "paired"


@dataclass(frozen=True)
class KnownPairs:
    """The training pairs among N items in compressed rows; every pair stands in both rows.

    Attributes:
        names: names of the relations, one for each bit of a mask.
        indptr: (N + 1,) int64, row i holds the pairs of item i.
        items: (E,) int32, the other items, ascending within a row.
        masks: (E,) uint8, the relations of the pairs.
    """

    names: tuple[str, ...]
    indptr: np.ndarray
    items: np.ndarray
    masks: np.ndarray

    @classmethod
    def from_table(cls, pairs: pl.DataFrame, names: Sequence[str], num_items: int) -> "KnownPairs":
        """Build from the columns head, tail and relations."""
        heads, tails = (
            np.ascontiguousarray(pairs[name].to_numpy(), np.int32) for name in ("head", "tail")
        )
        masks = pairs["relations"].to_numpy().astype(np.float32)  # exact, up to 255
        if not in_order(heads, tails):
            heads, tails = np.minimum(heads, tails), np.maximum(heads, tails)
            order = np.lexsort((tails, heads))
            heads, tails, masks = heads[order], tails[order], masks[order]
        indptr, items, values = rows_of_pairs(heads, tails, masks, num_items)
        return cls(tuple(names), indptr, items, values.astype(np.uint8))

    def of(self, row: int) -> np.ndarray:
        """The items (n,) that form a training pair with an item, ascending."""
        return self.items[self.indptr[row] : self.indptr[row + 1]]

    def relations(self, row: int, others: np.ndarray) -> list[list[str] | None]:
        """Names of the relations of an item to others (n,), see `Embeddings.relations`."""
        known = self.of(row)
        if not len(known):
            return [None] * len(others)
        place = np.searchsorted(known, others).clip(0, len(known) - 1)
        masks = self.masks[self.indptr[row] + place]
        return [
            [name for bit, name in enumerate(self.names) if mask >> bit & 1] if paired else None
            for mask, paired in zip(masks.tolist(), known[place] == others, strict=True)
        ]
