"""Files that a configuration names, looked for before anything is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys_lab.config.configuration import section_of
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.data.sequences import check_stored_walks
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.edges import EdgeSource
from recsys_lab.readers.events import EventSource
from recsys_lab.readers.listed_paths import as_path
from recsys_lab.readers.opening import find_files
from recsys_lab.readers.records import CatalogSource
from recsys_lab.readers.vector_files import find_vectors

_READ = {  # target -> its arguments that name files to be read
    "recsys_lab.readers.amazon.AmazonSource": ("path",),
    "recsys_lab.readers.edges.EdgeSource": ("path", "val_path", "test_path", "items_path"),
    "recsys_lab.readers.events.EventSource": (
        "path",
        "val_path",
        "test_path",
        "items_path",
        "users_path",
    ),
    "recsys_lab.data.sequences.sequence_file": ("path",),
    "recsys_lab.models.builders.external": ("ids",),
    "recsys_lab.models.builders.distilled": ("start",),
}
_OF_WALKS = ("walks_per_item", "walk_length", "p", "q")  # options; p and q are 1 by default


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
        if target == "recsys_lab.data.sequences.stored_walks":
            _there(f"{section}.path", node["path"])
            options = {name: node.get(name, 1.0) for name in _OF_WALKS}
            from recsys_lab.run.argument_names import named  # late: imports of seconds

            with named({section: {"path", *_OF_WALKS}}):
                check_stored_walks(node["path"], options)
    checkpoint = configuration["ckpt_path"]
    if checkpoint and not _there("ckpt_path", checkpoint).is_file():
        raise ConfigurationError(f"ckpt_path: there is no file {checkpoint}")
    folder = _there("prepared_dir", configuration["prepared_dir"])
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"prepared_dir: {folder} is a file, not a folder")


def check_vectors(configuration: Mapping[str, Any]) -> None:
    """Refuse a configuration whose file of vectors does not exist.

    Raises:
        ConfigurationError: naming the key.
    """
    if configuration["vectors"] is None:
        return
    paths = {"vectors": configuration["vectors"], "model.path": configuration["model"]["path"]}
    for key, path in paths.items():
        _there(key, path)
        if find_vectors(path) is None:
            raise ConfigurationError(f"{key}: there is no file {path}")


def check_first_lines(source: CatalogSource) -> None:
    """Refuse edges and events whose form cannot be told, or does not fit the options.

    Raises:
        ValueError: naming the file, and the option.
    """
    if isinstance(source, EdgeSource | EventSource):
        source.check_first_lines()


def _find(key: str, path: Any) -> None:
    try:
        find_files(as_path(path))
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
