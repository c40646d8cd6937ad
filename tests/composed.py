"""Configurations composed once in a process: composing took a quarter of the tests' time.

Files are known by their place, size and time of change. Whole compositions are those of the tree
of this project alone, which no test changes.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import wraps
from pathlib import Path
from typing import Any

from hydra import compose
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigSource

from recsys_lab.config import overrides

_TREE = str((Path(__file__).parents[1] / "conf").resolve())


def compose_once() -> None:
    """Let Hydra read each file once, and `recsys_lab.config` compose the same words once."""
    Plugins.instance()  # which registers what reads files
    source: Any = SourcesRegistry.instance().resolve("file")
    source.load_config = _files_read_once(source.load_config)
    ConfigLoaderImpl.get_group_options = _once(ConfigLoaderImpl.get_group_options)
    overrides.compose = _once(compose)


def _files_read_once(load: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[tuple[object, ...], Any] = {}

    @wraps(load)
    def load_once(self: ConfigSource, config_path: str) -> Any:
        path = Path(self.path, self._normalize_file_name(config_path))
        if not path.is_file():
            return load(self, config_path)
        found = path.stat()
        key = (self.path, self.provider, config_path, found.st_mtime_ns, found.st_size)
        if key not in known:
            known[key] = load(self, config_path)
        return deepcopy(known[key])

    return load_once


def _once(plain: Callable[..., Any]) -> Callable[..., Any]:
    """A function that composes, called once for the same arguments and the tree alone."""
    known: dict[str, Any] = {}

    @wraps(plain)
    def once(*args: Any, **named: Any) -> Any:
        words = [arg for arg in args if not isinstance(arg, ConfigLoaderImpl)]
        sources = GlobalHydra.instance().config_loader().get_sources()
        files = {s.path for s in sources if s.scheme() == "file"}
        key = str((words, named, Path.cwd()))  # which Hydra notes
        if files != {_TREE} or "hydra.searchpath" in key:
            return plain(*args, **named)
        if key not in known:
            known[key] = plain(*args, **named)
        return deepcopy(known[key])

    return once
