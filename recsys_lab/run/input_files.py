"""Input files of a run, looked for before anything is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys_lab.config.configuration import section_of
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.opening import find_files
from recsys_lab.readers.vector_files import find_vectors

_OWN = "recsys_lab."
_READ = {  # target -> its arguments that name files to be read
    "AmazonSource": ("path",),
    "EdgeSource": ("path", "val_path", "test_path"),
    "sequence_file": ("path",),
    "external": ("ids",),
}


def check_input_files(configuration: Mapping[str, Any]) -> None:
    """Refuse a configuration whose input files do not exist, or whose files cannot be written.

    Raises:
        ConfigurationError: naming the key.
    """
    vectors = configuration["vectors"]
    if vectors and find_vectors(vectors) is None:
        raise ConfigurationError(f"vectors: there is no file {vectors}")
    for section in ("catalog", "data.source", "model"):
        node = section_of(configuration, section) or {}
        target = str(node.get("_target_", ""))
        if not target.startswith(_OWN):
            continue
        name = target.rpartition(".")[2]
        for key in _READ.get(name, ()):
            if node.get(key) is not None:
                _find(f"{section}.{key}", node[key])
        if name == "stored_walks":
            _check_stored(f"{section}.path", Path(node["path"]))


def _find(key: str, path: str) -> None:
    try:
        find_files(path)
    except (CatalogError, OSError) as error:
        raise ConfigurationError(f"{key}: {error}") from error


def _check_stored(key: str, path: Path) -> None:
    """A file of walks is there, or can be written."""
    if path.suffix != ".npy":
        raise ConfigurationError(f"{key} must end in .npy, got {path}")
    if path.is_dir():
        raise ConfigurationError(f"{key}: {path} is a folder, not a file")
