"""Prepared data on disk: read a catalogue once, use it in every run that follows.

Two folders, one for items and pairs and one for the split. Each is named by a hash of what decides
its contents: options, contents of the input files, and FORMAT. A folder is built beside its final
name and renamed when it is complete, so a name never leads to a partial folder.
"""

import dataclasses
import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
import polars as pl

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.cooccurrence import cooccurrence_pairs, why_no_pairs
from recsys_lab.catalog.event_split import (
    EventSplit,
    EventSplitOptions,
    check_source,
    split_events,
)
from recsys_lab.catalog.pairs import build_pairs, check_sums
from recsys_lab.catalog.prepared_folders import (
    hash_arrays,
    hash_file,
    hash_texts,
    key_of,
    obtain_folder,
)
from recsys_lab.catalog.relations import PairRelations, relation_masks
from recsys_lab.catalog.spilled_pairs import spill, write_sums
from recsys_lab.catalog.split import Split, SplitOptions, given_split, split_pairs
from recsys_lab.catalog.stored_arrays import (
    event_arrays,
    event_split_facts,
    holds_labelled,
    labelled_arrays,
    load_arrays,
    pair_arrays,
    read_event_split,
    read_events,
    read_labelled,
    read_pairs,
    read_split,
    split_arrays,
)
from recsys_lab.catalog.stored_split import bytes_of_split, split_stored
from recsys_lab.compute.counts import count_of
from recsys_lab.compute.memory import GB, MemoryLimit, MemoryLimitError, reading_within
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.events import EventSource
from recsys_lab.readers.opening import find_files
from recsys_lab.readers.pair_options import PairOptions
from recsys_lab.readers.records import CatalogSource, Events, Read, Records, read_here
from recsys_lab.results.part_files import part_file
from recsys_lab.results.write_errors import writing

log = logging.getLogger(__name__)

# Raise it when the same files and options give other items, pairs, splits or negatives, or when
# these are stored in another way: prepared data of an earlier format is then built again.
FORMAT = 7


_BYTES_OF_WHOLE = 50  # that a pair or event takes where all are held

AnySplit = TypeVar("AnySplit", Split, EventSplit)


@dataclass(frozen=True)
class PreparedData(Generic[AnySplit]):
    """A catalogue and its split; two runs with equal hashes have the same data."""

    catalog: ItemCatalog
    split: AnySplit
    num_pairs: int
    vocabulary_hash: str
    split_hash: str
    catalog_folder: Path
    split_folder: Path
    understood: dict[str, str]  # how each input file was read, by its role

    @cached_property
    def relations(self) -> PairRelations:
        """The relations of all pairs of the catalogue, read when they are first needed."""
        arrays = load_arrays(self.catalog_folder / "pairs.npz")
        pairs = read_pairs(arrays, "pairs", len(self.catalog))
        manifest = _manifest(self.catalog_folder)
        return PairRelations(tuple(manifest["relations"]), pairs, arrays["pairs/relations"])


@overload
def prepare(
    source: CatalogSource,
    options: SplitOptions,
    folder: str | Path,
    read: Read = ...,
    *,
    max_memory_gb: float | None = ...,
) -> PreparedData[Split]: ...
@overload
def prepare(
    source: CatalogSource,
    options: EventSplitOptions,
    folder: str | Path,
    read: Read = ...,
    *,
    max_memory_gb: float | None = ...,
) -> PreparedData[EventSplit]: ...
def prepare(
    source: CatalogSource,
    options: SplitOptions | EventSplitOptions,
    folder: str | Path,
    read: Read = read_here,
    *,
    max_memory_gb: float | None = None,
) -> PreparedData[Any]:
    """Read and split a catalogue, or load what an earlier run has prepared in the same way.

    Args:
        source: where the catalogue comes from; a dataclass, whose fields are its options.
        options: how it is split, by its pairs or items, or by its events.
        folder: where prepared data is kept.
        read: what reads the files, such as `RayReading`; the records are the same.
        max_memory_gb: most gigabytes of resident memory; listings beyond it lie on disk.

    Raises:
        CatalogError: the catalogue cannot be used, or needs more memory.
        WriteError: the folder cannot be written.
    """
    check_source(source, options)
    limit = MemoryLimit(None if max_memory_gb is None else int(max_memory_gb * GB))
    try:
        return _prepare(source, options, folder, read, limit)
    except MemoryLimitError as error:
        raise CatalogError(str(error)) from error


def _prepare(
    source: CatalogSource,
    options: SplitOptions | EventSplitOptions,
    folder: str | Path,
    read: Read,
    limit: MemoryLimit,
) -> PreparedData[Any]:
    limit.require(0, "preparation")
    source = _spooled(source, Path(folder))
    in_order = isinstance(source, EventSource)  # events of one time stand in the order of lines
    inputs = {r: _hash_input(p, in_order=in_order) for r, p in source.files.items()}
    kind = f"{type(source).__module__}.{type(source).__qualname__}"
    key = key_of(FORMAT, kind, _plain(source), inputs)
    said = _Warnings()
    catalog_folder = obtain_folder(
        Path(folder, "catalogs", key),
        lambda part: _write_catalog(source, part, said, read, limit),
    )
    items = pl.read_parquet(catalog_folder / "items.parquet")
    manifest = _manifest(catalog_folder)
    for role, understood in manifest["understood"].items():
        log.info("%s: %s", role, understood)
    log.info(manifest["account"])
    for warning in manifest.get("warnings", ()):
        if warning not in said.texts:  # an earlier run has read the files
            log.warning("%s", warning)
    split_folder = Path(folder, "splits", key_of(key, _plain(options)))
    vocabulary_hash = hash_texts(items["item"])
    split: Split | EventSplit
    if isinstance(options, EventSplitOptions):
        split = _obtain_event_split(catalog_folder, split_folder, options, items.height)
        split_hash = _hash_event_split(split, vocabulary_hash)
    else:
        split = _obtain_split(catalog_folder, split_folder, options, items.height, limit)
        split_hash = hash_arrays(split_arrays(split), vocabulary_hash)
    return PreparedData(
        ItemCatalog(items),
        split,
        manifest["num_pairs"],
        vocabulary_hash,
        split_hash,
        catalog_folder,
        split_folder,
        manifest["understood"],
    )


def _manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def _obtain_split(
    catalog_folder: Path,
    split_folder: Path,
    options: SplitOptions,
    num_items: int,
    limit: MemoryLimit,
) -> Split:
    """The split of the pairs of a catalogue, which is made if it is not there."""
    num_pairs = _manifest(catalog_folder)["num_pairs"]

    def write_in_pieces(part: Path) -> dict[str, Any]:
        size = count_of(num_pairs, "pair")
        limit.require(bytes_of_split(num_pairs, options), f"splitting {size}")
        log.info("splitting %s in pieces and drawing negatives", size)
        path = catalog_folder / "pairs.npz"
        split_stored(path, num_pairs, num_items, options).write(part / "split.npz")
        return {}

    def write(part: Path) -> dict[str, Any]:
        limit.require(num_pairs * _BYTES_OF_WHOLE, f"splitting {count_of(num_pairs, 'pair')}")
        arrays = load_arrays(catalog_folder / "pairs.npz")
        pairs, given = read_pairs(arrays, "pairs", num_items), read_labelled(arrays)
        log.info("splitting %s and drawing negatives", count_of(len(pairs), "pair"))
        split = given_split(pairs, given, options) if given else split_pairs(pairs, options)
        np.savez(part / "split.npz", **split_arrays(split))  # type: ignore[arg-type]
        return {}

    in_pieces = limit.size is not None and not holds_labelled(catalog_folder / "pairs.npz")
    split_file = obtain_folder(split_folder, write_in_pieces if in_pieces else write) / "split.npz"
    limit.require(split_file.stat().st_size, f"the split of {count_of(num_pairs, 'pair')}")
    return read_split(load_arrays(split_file), num_items)


def _obtain_event_split(
    catalog_folder: Path, split_folder: Path, options: EventSplitOptions, num_items: int
) -> EventSplit:
    """The split of the events of a catalogue, which is made if it is not there."""
    manifest = _manifest(catalog_folder)
    users = pl.read_parquet(catalog_folder / "users.parquet")
    events = read_events(load_arrays(catalog_folder / "events.npz"), users, manifest["kind_names"])

    def write(part: Path) -> dict[str, Any]:
        log.info("splitting %s and drawing negatives", count_of(len(events), "event"))
        pair_options = PairOptions.of(manifest["pair_options"])
        split = split_events(events, num_items, pair_options, options)
        np.savez(part / "split.npz", **split_arrays(split))  # type: ignore[arg-type]
        return {"facts": event_split_facts(split)}

    folder = obtain_folder(split_folder, write)
    facts = _manifest(folder)["facts"]
    log.info("%s", facts["account"])
    return read_event_split(load_arrays(folder / "split.npz"), facts, events, num_items)


def _hash_event_split(split: EventSplit, vocabulary_hash: str) -> str:
    """Hash of what decides training and evaluation: the log, its parts and the negatives."""
    arrays = split_arrays(split) | event_arrays(split.events)
    facts = json.dumps([split.events.kind_names, event_split_facts(split)])
    return hash_arrays(arrays, vocabulary_hash, hash_texts(split.events.users["user"]), facts)


class _Warnings(logging.Handler):
    """Keeps the warnings of a reading, for every run that uses what was read."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep those of the readers that are given meanwhile."""
        readers = logging.getLogger("recsys_lab.readers")
        readers.addHandler(self)
        try:
            yield
        finally:
            readers.removeHandler(self)


def _write_catalog(
    source: CatalogSource, part: Path, said: _Warnings, read: Read, limit: MemoryLimit
) -> dict[str, Any]:
    """Read the source and write what it holds; returns what goes into the manifest."""
    started = time.monotonic()
    with said.kept(), reading_within(limit):
        records = read(source)
    seconds = time.monotonic() - started
    num_items, events = records.items.height, records.events
    if events is None:
        listings = count_of(len(records.sources), "listing")
        log.info("read in %.0f s; summing %s", seconds, listings)
        size = count_of(num_items, "item")
    else:
        log.info("read in %.0f s; pairing %s", seconds, count_of(len(events), "event"))
        limit.require(len(events) * _BYTES_OF_WHOLE, f"pairing {count_of(len(events), 'event')}")
        _write_events(events, part)
        counts = {"item": num_items, "user": events.users.height, "event": len(events)}
        size = ", ".join(count_of(number, name) for name, number in counts.items())
    records.items.write_parquet(part / "items.parquet", compression="zstd", compression_level=1)
    if limit.size is None or events is not None:
        num_pairs = _write_pairs(records, part)
    else:
        spilled = spill(records, part, limit)
        records = records.without_listings()  # frees them
        num_pairs = write_sums(spilled, records, part)
    if num_pairs == 0:
        raise CatalogError(records.why_no_pairs or _why_no_pairs(records))
    return {
        "account": f"{records.account}: {size}, {count_of(num_pairs, 'pair')}",
        "counts": vars(records.account),
        "num_pairs": num_pairs,
        "relations": records.relation_names,
        "kind_names": [] if events is None else events.kind_names,
        "pair_options": dict(records.pair_options),
        "understood": records.understood,
        "warnings": said.texts,
    }


def _write_pairs(records: Records, part: Path) -> int:
    """Sum the listings, or pair the events, in memory, and write the pairs; their number."""
    num_items = records.items.height
    if records.events is None:
        pairs = build_pairs(records.sources, records.targets, records.weights, num_items)
    else:
        pairs = cooccurrence_pairs(records.events, num_items, PairOptions.of(records.pair_options))
    check_sums(records.items["item"], pairs.ids[~np.isfinite(pairs.weights)])
    arrays = pair_arrays(pairs, "pairs") | labelled_arrays(records.given)
    arrays["pairs/relations"] = (
        np.zeros(len(pairs), np.uint8)
        if records.relations is None
        else relation_masks(records.sources, records.targets, records.relations, num_items)
    )
    np.savez(part / "pairs.npz", **arrays)  # type: ignore[arg-type]
    return len(pairs)


def _write_events(events: Events, part: Path) -> None:
    np.savez(part / "events.npz", **event_arrays(events))  # type: ignore[arg-type]
    events.users.write_parquet(part / "users.parquet", compression="zstd", compression_level=1)


def _why_no_pairs(records: Records) -> str:
    if records.events is not None:
        reason = why_no_pairs(records.events, PairOptions.of(records.pair_options))
        return f"the {len(records.events):,} events give no pair of items: {reason}"
    return (
        f"the catalogue of {records.items.height:,} items has no pairs: {records.account}; "
        "give a file whose lines name two items"
    )


def _plain(options: Any) -> Any:
    """The options of a dataclass as JSON values, without the paths of its input files."""
    names = [field.name for field in dataclasses.fields(options) if not field.name.endswith("path")]
    values = {name: getattr(options, name) for name in names}
    return {name: dict(v) if hasattr(v, "items") else v for name, v in values.items()}


def _spooled(source: CatalogSource, folder: Path) -> CatalogSource:
    """The source with pipes, which can be read once only, replaced by files of their contents."""
    pipes = {}
    for path in source.files.values():
        place = Path(path)
        if place.is_fifo() or place.is_char_device():
            pipes[path] = _spool(place, folder / "pipes")
    changes = {
        name: pipes[value]
        for name, value in vars(source).items()
        if isinstance(value, str) and value in pipes
    }
    return dataclasses.replace(source, **changes) if changes else source  # type: ignore[type-var]


def _spool(pipe: Path, folder: Path) -> str:
    """A file in a folder with the contents of a pipe, which is read once."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with part_file(folder / pipe.name) as part:
            with part.open("wb") as file, pipe.open("rb") as contents:
                shutil.copyfileobj(contents, file)
            final = folder / hash_file(part)[:20]
            part.replace(final)
    return str(final)


def _hash_input(path: str, *, in_order: bool) -> str:
    """Hash of the contents of the files that a path names.

    Args:
        path: of the source.
        in_order: whether their order matters; if not, it does not decide the hash either.
    """
    hashes = [hash_file(file) for file in find_files(path)]
    hashes = hashes if in_order else sorted(hashes)
    return hashes[0] if len(hashes) == 1 else key_of(hashes)
