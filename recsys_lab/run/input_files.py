"""Files that a configuration names, looked for before anything is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys_lab.config.configuration import section_of
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.opening import find_files
from recsys_lab.readers.vector_files import find_vectors

_READ = {  # target -> its arguments that name files to be read
    "recsys_lab.readers.amazon.AmazonSource": ("path",),
    "recsys_lab.readers.edges.EdgeSource": ("path", "val_path", "test_path"),
    "recsys_lab.data.sequences.sequence_file": ("path",),
    "recsys_lab.models.builders.external": ("ids",),
}


def check_files(configuration: Mapping[str, Any]) -> None:
    """Refuse a configuration that names files to be read which do not exist.

    Raises:
        ConfigurationError: naming the key.
    """
    for section in ("catalog", "data.source", "model"):
        node = section_of(configuration, section) or {}
        target = str(node.get("_target_"))
        for key in _READ.get(target, ()):
            if node.get(key) is not None:
                _find(f"{section}.{key}", node[key])
    checkpoint = configuration["ckpt_path"]
    if checkpoint and not _there("ckpt_path", checkpoint).is_file():
        raise ConfigurationError(f"ckpt_path: there is no file {checkpoint}")
    if configuration["vectors"] is not None:
        for key, path in (("vectors", configuration["vectors"]), ("model.path", node["path"])):
            _there(key, path)
            if find_vectors(path) is None:
                raise ConfigurationError(f"{key}: there is no file {path}")
    folder = _there("prepared_dir", configuration["prepared_dir"])
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"prepared_dir: {folder} is a file, not a folder")


def _find(key: str, path: str) -> None:
    try:
        find_files(path)
    except (CatalogError, OSError) as error:
        raise ConfigurationError(f"{key}: {error}") from error


def _there(key: str, path: str) -> Path:
    """A path that the file system can look up."""
    try:
        Path(path).exists()
    except OSError as error:
        raise ConfigurationError(
            f"{key}: cannot look for {path[:60]}...: {error.strerror}"
        ) from error
    return Path(path)
