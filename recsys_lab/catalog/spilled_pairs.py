"""Listings to pairs in bounded memory: spilled to disk by their smaller id, and summed in buckets.

A bucket holds a range of smaller ids, and its listings keep their order. So a pair lies in one
bucket, its weights are added in the order of `build_pairs`, and the pairs of the buckets one after
the other are those of all listings.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recsys_lab.catalog.array_files import CHUNK, ArrayFile
from recsys_lab.catalog.pairs import build_pairs, check_sums
from recsys_lab.catalog.relations import relation_masks
from recsys_lab.catalog.stored_arrays import labelled_arrays
from recsys_lab.compute.counts import count_of
from recsys_lab.compute.memory import MemoryLimit
from recsys_lab.compute.process import return_freed_memory
from recsys_lab.readers.records import Records

BYTES_OF_LISTING = 80  # that summing a bucket takes
_BYTES_OF_ITEM = 40
_SMALLEST_BUCKET, _BUCKET = 1 << 16, 1 << 21  # listings
_MOST_BUCKETS = 200  # open files
_LISTING = np.dtype(
    [("source", np.int32), ("target", np.int32), ("weight", np.float32), ("relation", np.int8)]
)
_FIELDS = {"heads": np.int32, "tails": np.int32, "weights": np.float32, "relations": np.uint8}


class SpilledListings(NamedTuple):
    """Files of the buckets, which ascend, and what they hold."""

    paths: list[Path]
    num_items: int
    has_relations: bool


def spill(records: Records, part: Path, limit: MemoryLimit) -> SpilledListings:
    """Write the listings into buckets, in a folder within `part`, whose sums the limit allows."""
    folder = part / "spilled"
    folder.mkdir()
    for_items = records.items.height * _BYTES_OF_ITEM
    work = f"summing {count_of(len(records.sources), 'listing')}"
    limit.require(_SMALLEST_BUCKET * BYTES_OF_LISTING + for_items, work)
    return spill_listings(
        records, folder, min((limit.free - for_items) // BYTES_OF_LISTING, _BUCKET)
    )


def spill_listings(records: Records, folder: Path, bucket_size: int) -> SpilledListings:
    """Write the listings to files of about `bucket_size` each; those of one item stay together."""
    num_items, num_listings = records.items.height, len(records.sources)
    counts = np.zeros(num_items, np.int64)
    for first in range(0, num_listings, CHUNK):
        part = slice(first, first + CHUNK)
        low = np.minimum(records.sources[part], records.targets[part])
        counts += np.bincount(low, minlength=num_items)
    bucket_size = max(1, bucket_size, num_listings // _MOST_BUCKETS)
    bucket_of_item = ((np.cumsum(counts) - counts) // bucket_size).astype(np.int32)
    num_buckets = 1 + int(bucket_of_item[-1]) if num_items else 0
    paths = [folder / f"listings_{number}" for number in range(num_buckets)]
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for first in range(0, num_listings, CHUNK):
            rows = _rows(records, slice(first, first + CHUNK))
            buckets = bucket_of_item[np.minimum(rows["source"], rows["target"])]
            order = np.argsort(buckets, kind="stable")
            rows, buckets = rows[order], buckets[order]
            begins = np.flatnonzero(np.diff(buckets, prepend=-1))
            for begin, end in zip(begins, [*begins[1:], len(rows)], strict=True):
                files[buckets[begin]].write(rows[begin:end].tobytes())
    return SpilledListings(paths, num_items, records.relations is not None)


def _rows(records: Records, part: slice) -> np.ndarray:
    rows = np.zeros(len(records.sources[part]), _LISTING)
    rows["source"], rows["target"] = records.sources[part], records.targets[part]
    rows["weight"] = records.weights[part]
    if records.relations is not None:
        rows["relation"] = records.relations[part]
    return rows


class PairFiles(NamedTuple):
    """Pairs in a file for each field.

    Attributes:
        folder: of the files.
        num_pairs: P.
        beyond: (B, 2) the pairs whose weight is beyond float32.
    """

    folder: Path
    num_pairs: int
    beyond: np.ndarray

    def write(self, file: ArrayFile, field: str) -> None:
        """Write a field as an array of pairs."""
        dtype = np.dtype(_FIELDS[field])
        file.write(f"pairs/{field}", (self.num_pairs,), dtype, self._pieces(field, dtype))

    def _pieces(self, field: str, dtype: np.dtype) -> Iterator[np.ndarray]:
        with (self.folder / field).open("rb") as file:
            while len(piece := np.fromfile(file, dtype, CHUNK)):
                yield piece


def write_sums(listings: SpilledListings, records: Records, part: Path) -> int:
    """Write the pairs of spilled listings, and what came with them, into `part`; their number.

    Args:
        listings: those of `spill`, which are removed.
        records: of the listings, which they need not hold any more.
        part: the folder.

    Raises:
        CatalogError: weights sum to more than float32 holds.
    """
    return_freed_memory()
    folder = part / "spilled"
    pairs = sum_spilled(listings, folder)
    check_sums(records.items["item"], pairs.beyond)
    with ArrayFile(part / "pairs.npz") as file:
        for field in ("heads", "tails", "weights"):
            pairs.write(file, field)
        for name, array in labelled_arrays(records.given).items():
            file.write_whole(name, array)
        pairs.write(file, "relations")
    shutil.rmtree(folder)
    return pairs.num_pairs


def sum_spilled(listings: SpilledListings, folder: Path) -> PairFiles:
    """Sum the listings of every bucket, whose file is removed then."""
    num_pairs, beyond = 0, [np.zeros((0, 2), np.int32)]
    with ExitStack() as stack:
        files = {n: stack.enter_context((folder / n).open("wb")) for n in _FIELDS}
        for path in listings.paths:
            rows = np.fromfile(path, _LISTING)
            path.unlink()
            sources, targets, weights, relations = (
                np.ascontiguousarray(rows[name]) for name in _LISTING.names or ()
            )
            del rows
            pairs = build_pairs(sources, targets, weights, listings.num_items)
            for field in ("heads", "tails", "weights"):
                getattr(pairs, field).tofile(files[field])
            beyond.append(pairs.ids[~np.isfinite(pairs.weights)])
            masks = (
                relation_masks(sources, targets, relations, listings.num_items)
                if listings.has_relations
                else np.zeros(len(pairs), np.uint8)
            )
            masks.tofile(files["relations"])
            num_pairs += len(pairs)
    return PairFiles(folder, num_pairs, np.concatenate(beyond))
