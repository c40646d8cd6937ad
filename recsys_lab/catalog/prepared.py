"""Prepared data on disk: read a catalogue once, use it in every run that follows.

Two folders, one for items and pairs and one for the split. Each is named by a hash of what decides
its contents: options, contents of the input files, and FORMAT. A folder is built beside its final
name and renamed when it is complete, so a name never leads to a partial folder.
"""

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.pairs import ItemPairs, build_pairs
from recsys_lab.catalog.relations import PairRelations, relation_masks
from recsys_lab.catalog.split import HeldOut, Split, SplitOptions, given_split, split_pairs
from recsys_lab.compute.counts import count_of
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.opening import find_files
from recsys_lab.readers.records import CatalogSource, LabelledPairs, Records
from recsys_lab.results.part_files import clear_left, part_file, part_folder
from recsys_lab.results.write_errors import writing

log = logging.getLogger(__name__)

# Raise it when the same files and options give other items, pairs, splits or negatives, or when
# these are stored in another way: prepared data of an earlier format is then built again.
FORMAT = 5

Arrays = dict[str, np.ndarray]
_PAIR_FIELDS = ("heads", "tails", "weights")


@dataclass(frozen=True)
class PreparedData:
    """A catalogue and its split; two runs with equal hashes have the same data."""

    catalog: ItemCatalog
    split: Split
    num_pairs: int
    vocabulary_hash: str
    split_hash: str
    catalog_folder: Path
    split_folder: Path
    understood: dict[str, str]  # how each input file was read, by its role

    @cached_property
    def relations(self) -> PairRelations:
        """The relations of all pairs of the catalogue, read when they are first needed."""
        arrays = _load(self.catalog_folder / "pairs.npz")
        pairs = _pairs(arrays, "pairs", len(self.catalog))
        manifest = json.loads((self.catalog_folder / "manifest.json").read_text())
        return PairRelations(tuple(manifest["relations"]), pairs, arrays["pairs/relations"])


def prepare(source: CatalogSource, options: SplitOptions, folder: str | Path) -> PreparedData:
    """Read and split a catalogue, or load what an earlier run has prepared in the same way.

    Args:
        source: where the catalogue comes from; a dataclass, whose fields are its options.
        options: how it is split.
        folder: where prepared data is kept.

    Raises:
        CatalogError: the catalogue cannot be used.
        WriteError: the folder cannot be written.
    """
    source = _spooled(source, Path(folder))
    inputs = {role: _hash_input(path) for role, path in source.files.items()}
    kind = f"{type(source).__module__}.{type(source).__qualname__}"
    key = _key(FORMAT, kind, _plain(source), inputs)
    said = _Warnings()
    catalog_folder = _obtain(
        Path(folder, "catalogs", key), lambda part: _write_catalog(source, part, said)
    )
    items = pl.read_parquet(catalog_folder / "items.parquet")
    manifest = json.loads((catalog_folder / "manifest.json").read_text())
    for role, understood in manifest["understood"].items():
        log.info("%s: %s", role, understood)
    log.info(manifest["account"])
    for warning in manifest.get("warnings", ()):
        if warning not in said.texts:  # an earlier run has read the files
            log.warning("%s", warning)
    arrays = _load(catalog_folder / "pairs.npz")
    pairs = _pairs(arrays, "pairs", items.height)

    def write_split(part: Path) -> dict[str, Any]:
        log.info("splitting %s and drawing negatives", count_of(len(pairs), "pair"))
        given = {
            name: _labelled(arrays, name) for name in ("val", "test") if f"{name}/heads" in arrays
        }
        split = given_split(pairs, given, options) if given else split_pairs(pairs, options)
        np.savez(part / "split.npz", **_split_arrays(split))  # type: ignore[arg-type]
        return {}

    split_folder = _obtain(Path(folder, "splits", _key(key, _plain(options))), write_split)
    split = _read_split(_load(split_folder / "split.npz"), items.height)
    vocabulary_hash = _hash_texts(items["item"])
    split_hash = _hash_arrays(_split_arrays(split), vocabulary_hash)
    return PreparedData(
        ItemCatalog(items),
        split,
        len(pairs),
        vocabulary_hash,
        split_hash,
        catalog_folder,
        split_folder,
        manifest["understood"],
    )


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


def _write_catalog(source: CatalogSource, part: Path, said: _Warnings) -> dict[str, Any]:
    """Read the source and write items and pairs; returns what goes into the manifest."""
    started = time.monotonic()
    with said.kept():
        records = source.read()
    log.info(
        "read in %.0f s; summing %s",
        time.monotonic() - started,
        count_of(len(records.sources), "listing"),
    )
    pairs = build_pairs(records.sources, records.targets, records.weights, records.items.height)
    if len(pairs) == 0:
        raise CatalogError(
            records.why_no_pairs
            or f"the catalogue of {count_of(records.items.height, 'item')} has no pairs: "
            f"{records.account}; give a file whose lines name two items"
        )
    _check_sums(records, pairs)
    records.items.write_parquet(part / "items.parquet", compression="zstd", compression_level=1)
    arrays = {f"pairs/{name}": getattr(pairs, name) for name in _PAIR_FIELDS}
    arrays["pairs/relations"] = (
        np.zeros(len(pairs), np.uint8)
        if records.relations is None
        else relation_masks(
            records.sources, records.targets, records.relations, records.items.height
        )
    )
    for name, labelled in records.given.items():
        arrays |= {f"{name}/{field}": value for field, value in vars(labelled).items()}
    np.savez(part / "pairs.npz", **arrays)
    sizes = f"{count_of(records.items.height, 'item')}, {count_of(len(pairs), 'pair')}"
    account = f"{records.account}: {sizes}"
    return {
        "account": account,
        "counts": vars(records.account),
        "relations": records.relation_names,
        "understood": records.understood,
        "warnings": said.texts,
    }


def _check_sums(records: Records, pairs: ItemPairs) -> None:
    """Refuse weights whose sum is beyond float32."""
    if len(wrong := np.flatnonzero(~np.isfinite(pairs.weights))):
        one, other = (
            records.items["item"][int(ids[wrong[0]])] for ids in (pairs.heads, pairs.tails)
        )
        raise CatalogError(
            f"the weights of the pair {one!r} and {other!r} sum to more than a 32-bit number holds "
            f"(3.4e38), as do those of {len(wrong) - 1:,} other pairs: scale the weights down"
        )


def _obtain(final: Path, write: Callable[[Path], dict[str, Any]]) -> Path:
    """Return the finished folder `final`; let `write` fill it first if it is not there."""
    if _has_sound(final):
        log.info("prepared data re-used: %s", final)
        return final
    with writing(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        clear_left(final.parent)
        with part_folder(final) as part:
            _fill(part, write)
            _publish(part, final)
    log.info("prepared data written: %s", final)
    return final


def _has_sound(final: Path) -> bool:
    """Whether the folder is there and sound; a damaged one is removed.

    Raises:
        CatalogError: it belongs to somebody else and cannot be read or removed.
    """
    try:
        if not (final / "manifest.json").exists():
            return False
        if not all(os.access(path, os.R_OK) for path in (final, *final.iterdir())):
            raise PermissionError
        if _is_sound(final):
            return True
        log.warning("prepared data in %s is damaged, built again", final)
        shutil.rmtree(final)
    except PermissionError as error:
        raise CatalogError(
            f"prepared data in {final} is another user's and not open to you: ask for "
            "chmod -R a+rX of that folder, or choose another with prepared_dir="
        ) from error
    return False


def _fill(part: Path, write: Callable[[Path], dict[str, Any]]) -> None:
    manifest = write(part)
    manifest["files"] = {path.name: _hash_file(path) for path in sorted(part.iterdir())}
    manifest["digest"] = _key(manifest)
    (part / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True))
    for path in part.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _publish(part: Path, final: Path) -> None:
    try:
        part.rename(final)
    except OSError:  # another process was faster with the same contents
        if not (final / "manifest.json").exists():
            raise


def _is_sound(folder: Path) -> bool:
    """Whether the folder, its manifest included, is as it was written."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        digest = manifest.pop("digest")
        files = manifest["files"].items()
        return digest == _key(manifest) and all(_hash_file(folder / n) == h for n, h in files)
    except (CatalogError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _split_arrays(split: Split) -> Arrays:
    arrays: Arrays = {}
    parts = {"train": split.train, "val": split.val.pairs, "test": split.test.pairs}
    for name, part in parts.items():
        arrays |= {f"{name}/{field}": getattr(part, field) for field in _PAIR_FIELDS}
    for name, held in (("val", split.val), ("test", split.test)):
        arrays |= {f"{name}/negatives/{key}": ids for key, ids in held.negatives.items()}
    return arrays


def _read_split(arrays: Arrays, num_items: int) -> Split:
    held = {}
    for name in ("val", "test"):
        prefix = f"{name}/negatives/"
        negatives = {
            key[len(prefix) :]: ids for key, ids in arrays.items() if key.startswith(prefix)
        }
        held[name] = HeldOut(_pairs(arrays, name, num_items), negatives)
    return Split(_pairs(arrays, "train", num_items), held["val"], held["test"])


def _pairs(arrays: Arrays, name: str, num_items: int) -> ItemPairs:
    heads, tails, weights = (arrays[f"{name}/{field}"] for field in _PAIR_FIELDS)
    return ItemPairs(heads, tails, weights, num_items)


def _labelled(arrays: Arrays, name: str) -> LabelledPairs:
    return LabelledPairs(*(arrays[f"{name}/{field}"] for field in ("heads", "tails", "labels")))


def _load(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _plain(options: Any) -> Any:
    """The options of a dataclass as JSON values, without the paths of its input files."""
    names = [field.name for field in dataclasses.fields(options) if not field.name.endswith("path")]
    values = {name: getattr(options, name) for name in names}
    return {name: dict(v) if hasattr(v, "items") else v for name, v in values.items()}


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


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
            final = folder / _hash_file(part)[:20]
            part.replace(final)
    return str(final)


def _hash_input(path: str) -> str:
    """Hash of the contents of the files that a path names, in their order."""
    hashes = [_hash_file(file) for file in find_files(path)]
    return hashes[0] if len(hashes) == 1 else _key(hashes)


def _hash_file(path: str | Path) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CatalogError(f"cannot read {path} ({error.strerror}): check path=") from error


def _hash_texts(texts: pl.Series) -> str:
    digest = hashlib.sha256()
    for chunk in texts.to_frame().iter_slices(100_000):
        digest.update(json.dumps(chunk.to_series().to_list()).encode())
    return digest.hexdigest()


def _hash_arrays(arrays: Arrays, *more: str) -> str:
    digest = hashlib.sha256("".join(more).encode())
    for name in sorted(arrays):
        digest.update(f"{name}{arrays[name].dtype}{arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
