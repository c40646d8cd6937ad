"""Folders of configurations that a command line adds to the tree."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from hydra.core.override_parser.types import Override

from recsys_lab.config.command_words import PACKAGE
from recsys_lab.config.targets import ConfigurationError

SEARCH_PATH = "hydra.searchpath"
_FILE = "file://"


def added_folders(folder: str | None, overrides: Sequence[Override]) -> list[str]:
    """The folders of `--config-dir` and of `hydra.searchpath`, as Hydra writes them.

    Raises:
        ConfigurationError: one of them does not exist; Hydra would warn, and go on without it.
    """
    added = [folder if folder.startswith(PACKAGE) else f"{_FILE}{folder}"] if folder else []
    for override in overrides:
        if override.key_or_group == SEARCH_PATH:
            added += _checked(override)
    return added


def _checked(override: Override) -> Iterator[str]:
    value = override.value()
    if not isinstance(value, list):
        raise ConfigurationError(
            f"{SEARCH_PATH} must be a list, got {value}: write {SEARCH_PATH}=[{_FILE}FOLDER]"
        )
    for path in map(str, value):
        if path.startswith(PACKAGE):
            exists = _is_package(path.removeprefix(PACKAGE).replace("/", "."))
        elif "://" in path and not path.startswith(_FILE):
            exists = True  # of another plugin of Hydra
        else:
            exists = Path(path.removeprefix(_FILE)).is_dir()
        if not exists:
            kind = "package" if path.startswith(PACKAGE) else "folder"
            raise ConfigurationError(f"{SEARCH_PATH}: there is no {kind} {path}")
        yield path


def _is_package(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
