"""Folders that are complete or not there: built beside their final name, hashed, and renamed."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys_lab.readers.account import CatalogError
from recsys_lab.results.part_files import clear_left, part_folder
from recsys_lab.results.write_errors import writing

log = logging.getLogger(__name__)


def obtain_folder(final: Path, write: Callable[[Path], dict[str, Any]]) -> Path:
    """Return the finished folder `final`; let `write` fill it first if it is not there."""
    if has_sound_folder(final):
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


def has_sound_folder(final: Path) -> bool:
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
    manifest["files"] = {path.name: hash_file(path) for path in sorted(part.iterdir())}
    manifest["digest"] = key_of(manifest)
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
        return digest == key_of(manifest) and all(hash_file(folder / n) == h for n, h in files)
    except (CatalogError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def key_of(*parts: Any) -> str:
    """Name of a folder, decided by JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def hash_file(path: str | Path) -> str:
    """Hash of the contents of a file.

    Raises:
        CatalogError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CatalogError(f"cannot read {path} ({error.strerror}): check path=") from error


def hash_texts(texts: pl.Series) -> str:
    """Hash of texts in their order."""
    digest = hashlib.sha256()
    for chunk in texts.to_frame().iter_slices(100_000):
        digest.update(json.dumps(chunk.to_series().to_list()).encode())
    return digest.hexdigest()


def hash_arrays(arrays: dict[str, np.ndarray], *more: str) -> str:
    """Hash of named arrays and of more texts."""
    digest = hashlib.sha256("".join(more).encode())
    for name in sorted(arrays):
        digest.update(f"{name}{arrays[name].dtype}{arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
