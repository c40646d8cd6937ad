"""Split pairs that lie in a file, in bounded memory; the result is that of `split_pairs`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recsys_lab.catalog.array_files import ArrayFile, stored_pieces
from recsys_lab.catalog.pairs import ItemPairs, pair_keys
from recsys_lab.catalog.split import (
    Negatives,
    SplitOptions,
    check_sizes,
    negatives_of_parts,
    parts_of_items,
    parts_of_pairs,
)
from recsys_lab.catalog.stored_arrays import pair_arrays
from recsys_lab.compute.process import return_freed_memory

# Bytes of a pair while its part is drawn, then for its part and its key, and for its negatives.
_DRAWN, _KEPT, _HELD_OUT = 17, 9, 95
_FIELDS = ("heads", "tails", "weights")
_ENDS = ("pairs/heads", "pairs/tails")


def bytes_of_split(num_pairs: int, options: SplitOptions) -> int:
    """Memory that `split_stored` takes, measured for the two protocols of negatives."""
    share = options.val_fraction + options.test_fraction
    if options.by == "items":
        share = 1 - (1 - share) ** 2  # a pair has two ends
    return int(num_pairs * max(_DRAWN, _KEPT + _HELD_OUT * share))


def split_stored(
    path: Path, num_pairs: int, num_items: int, options: SplitOptions
) -> "StoredSplit":
    """Draw the parts of the pairs in a file, and their negatives."""
    items = _items_of(path, num_items)
    if options.by == "pairs":
        parts = parts_of_pairs(num_pairs, options)
    else:
        part_of_item = parts_of_items(items, num_items, options)
        parts, place = np.empty(num_pairs, np.int8), 0
        for heads, tails in stored_pieces(path, *_ENDS):
            later = np.maximum(part_of_item[heads], part_of_item[tails])
            parts[place : place + len(later)] = later
            place += len(later)
    return_freed_memory()
    return StoredSplit(path, parts, items, num_items, options)


def _items_of(path: Path, num_items: int) -> np.ndarray:
    mask = np.zeros(num_items, bool)
    for heads, tails in stored_pieces(path, *_ENDS):
        mask[heads] = mask[tails] = True
    return np.flatnonzero(mask).astype(np.int32)


class StoredSplit:
    """The parts of pairs in a file: the held-out ones in memory, the others not."""

    def __init__(
        self,
        path: Path,
        parts: np.ndarray,
        items: np.ndarray,
        num_items: int,
        options: SplitOptions,
    ) -> None:
        self._path, self._parts = path, parts
        self._held = {"val": self._take(1, num_items), "test": self._take(2, num_items)}
        self._num_train = len(parts) - sum(map(len, self._held.values()))
        check_sizes(self._num_train, self._held)
        given: dict[str, Negatives] = {"val": {}, "test": {}}
        keys = self._keys(num_items)
        self._negatives = negatives_of_parts(self._held, given, options, keys, items)

    def _keys(self, num_items: int) -> np.ndarray:
        """Keys of all pairs."""
        keys, place = np.empty(len(self._parts), np.int64), 0
        for heads, tails in stored_pieces(self._path, *_ENDS):
            keys[place : place + len(heads)] = pair_keys(heads, tails, num_items)
            place += len(heads)
        return keys

    def _pieces(self, part: int, field: str) -> Iterator[np.ndarray]:
        place = 0
        for (piece,) in stored_pieces(self._path, f"pairs/{field}"):
            yield piece[self._parts[place : place + len(piece)] == part]
            place += len(piece)

    def _take(self, part: int, num_items: int) -> ItemPairs:
        heads, tails, weights = (np.concatenate([*self._pieces(part, name)]) for name in _FIELDS)
        return ItemPairs(heads, tails, weights, num_items)

    def write(self, path: Path) -> None:
        """Write what `split_arrays` names, in its order."""
        with ArrayFile(path) as file:
            for field, dtype in zip(_FIELDS, (np.int32, np.int32, np.float32), strict=True):
                shape = (self._num_train,)
                file.write(f"train/{field}", shape, np.dtype(dtype), self._pieces(0, field))
            for name, pairs in self._held.items():
                for key, array in pair_arrays(pairs, name).items():
                    file.write_whole(key, array)
            for name, drawn in self._negatives.items():
                for protocol, ids in drawn.items():
                    file.write_whole(f"{name}/negatives/{protocol}", ids)
