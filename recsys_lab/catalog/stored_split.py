"""Split pairs that lie in a file, in bounded memory; the result is that of `split_pairs`."""

from pathlib import Path

import numpy as np

from recsys_lab.catalog.array_files import ArrayFile, stored_pieces
from recsys_lab.catalog.pairs import ItemPairs, pair_keys
from recsys_lab.catalog.split import (
    SplitOptions,
    check_sizes,
    negatives_of_parts,
    parts_of_items,
    parts_of_pairs,
)
from recsys_lab.catalog.stored_arrays import pair_arrays

BYTES_OF_PAIR = 20  # that a split takes: drawing the parts 17, keys and negatives 20
_FIELDS = ("heads", "tails", "weights")


def split_stored(path: Path, num_pairs: int, num_items: int, options: SplitOptions) -> "StoredSplit":
    """Draw the parts of the pairs in a file."""
    ends = [f"pairs/{name}" for name in _FIELDS[:2]]
    keys, place = np.empty(num_pairs, np.int64), 0
    has_pair = np.zeros(num_items, bool)
    parts = parts_of_pairs(num_pairs, options) if options.by == "pairs" else None
    for heads, tails in stored_pieces(path, *ends):
        keys[place : place + len(heads)] = pair_keys(heads, tails, num_items)
        has_pair[heads] = has_pair[tails] = True
        place += len(heads)
    items = np.flatnonzero(has_pair).astype(np.int32)
    if parts is None:
        part_of_item = parts_of_items(items, num_items, options)
        parts, place = np.empty(num_pairs, np.int8), 0
        for heads, tails in stored_pieces(path, *ends):
            count = len(heads)
            parts[place : place + count] = np.maximum(part_of_item[heads], part_of_item[tails])
            place += count
    return StoredSplit(path, parts, keys, items, num_items, options)


class StoredSplit:
    """The parts of pairs in a file."""

    def __init__(
        self,
        path: Path,
        parts: np.ndarray,
        keys: np.ndarray,
        items: np.ndarray,
        num_items: int,
        options: SplitOptions,
    ) -> None:
        self._path, self._parts = path, parts
        held = {"val": self._take(1, num_items), "test": self._take(2, num_items)}
        self._num_train = len(parts) - sum(map(len, held.values()))
        check_sizes(self._num_train, held)
        given: dict[str, dict[str, np.ndarray]] = {"val": {}, "test": {}}
        self._negatives = negatives_of_parts(held, given, options, keys, items)
        self._held = held

    def _pieces(self, part: int, field: str):  # noqa: ANN202
        place = 0
        for (piece,) in stored_pieces(self._path, f"pairs/{field}"):
            yield piece[self._parts[place : place + len(piece)] == part]
            place += len(piece)

    def _take(self, part: int, num_items: int) -> ItemPairs:
        columns = [np.concatenate(list(self._pieces(part, field))) for field in _FIELDS]
        return ItemPairs(*columns, num_items)

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
