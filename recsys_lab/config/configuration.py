"""Checks of the composed configuration, before any data is touched: keys and types."""

import difflib
import importlib
import inspect
import secrets
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hydra.errors import CompactHydraException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

_OURS = (  # what the configuration may build of this project
    "recsys_lab.run.learning_curve.LearningCurve",
    "recsys_lab.readers.amazon.AmazonSource",
    "recsys_lab.readers.edges.EdgeSource",
    "recsys_lab.catalog.split.SplitOptions",
    "recsys_lab.readers.synthetic.SyntheticSource",
    "recsys_lab.data.modules.PairDataModule",
    "recsys_lab.data.modules.SequenceDataModule",
    "recsys_lab.run.final_test.FinalTest",
    "recsys_lab.data.sequences.Walks",
    "recsys_lab.data.sequences.sequence_file",
    "recsys_lab.data.sequences.stored_walks",
    "recsys_lab.models.builders.gensim_word2vec",
    "recsys_lab.models.builders.matrix_factorization",
    "recsys_lab.models.builders.skipgram",
    "recsys_lab.models.builders.skipgram_side_info",
    "recsys_lab.models.optimizers.RowWiseAdagrad",
    "recsys_lab.models.schedules.constant",
    "recsys_lab.models.schedules.cosine",
    "recsys_lab.models.schedules.cosine_restarts",
    "recsys_lab.models.schedules.linear",
)
_TOP_LEVEL: dict[str, Any] = {
    "seed": int,
    "train": bool,
    "ckpt_path": str | None,
    "monitor": str,
    "prepared_dir": str,
    "num_threads": int | None,
}
_SECTIONS: dict[str, frozenset[str]] = {  # section -> arguments that the experiment passes itself
    "catalog": frozenset(),
    "split": frozenset(),
    "data": frozenset({"catalog", "split", "seed", "source"}),
    "data.source": frozenset({"catalog", "graph", "split", "seed"}),
    "model": frozenset({"items"}),
    "optimizer": frozenset({"params"}),
    "schedule": frozenset({"progress", "epoch_progress"}),
    "trainer": frozenset({"callbacks", "logger", "plugins", "default_root_dir"}),
    "curve": frozenset({"pairs", "folder", "seed"}),
    "evaluation": frozenset(),
}


class ConfigurationError(CompactHydraException):
    """A value of the configuration cannot be used; the message is one sentence for the user."""


def register_resolvers() -> None:
    """Register what the configuration calls upon.

    `short_id` is four characters that keep two runs of one second apart; `shorten` cuts a name to
    what file systems take.
    """
    OmegaConf.register_new_resolver("shorten", lambda name: str(name)[:200], replace=True)
    OmegaConf.register_new_resolver(
        "short_id", lambda: secrets.token_hex(2), use_cache=True, replace=True
    )


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """` (did you mean x?)` with the nearest of some words, or nothing."""
    near = difflib.get_close_matches(word, list(words), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def check_configuration(cfg: DictConfig) -> None:
    """Bind every section to the signature of its target, and check names and types.

    Raises:
        ConfigurationError: naming the key, its value and what is valid.
    """
    known = [*_TOP_LEVEL, *_SECTIONS]
    for name in cfg:
        if name not in known:
            raise ConfigurationError(
                f"unknown key {str(name)!r}: at the top level there are "
                f"{', '.join(sorted(known))}{did_you_mean(str(name), known)}"
            )
    for name, hint in _TOP_LEVEL.items():
        _check_value(name, cfg[name], hint)
    if not 0 <= cfg.seed < 2**32:
        raise ConfigurationError(f"seed must lie in 0 .. 4294967295, got {cfg.seed}")
    if cfg.trainer.devices != 1:
        raise ConfigurationError(
            f"trainer.devices must be 1, got {cfg.trainer.devices}: batches are not shared out yet"
        )
    check_targets(cfg)
    for section, passed in _SECTIONS.items():
        node = OmegaConf.select(cfg, section)
        if section != "data.source" or node is not None:
            _check_section(section, node, passed)


def check_targets(cfg: DictConfig) -> None:
    """Hold every `_target_`, at any depth, against the objects that a configuration may build.

    Building calls whatever a `_target_` names, so anything else could run code or write files.

    Raises:
        ConfigurationError: naming the key and the target.
    """
    try:
        plain = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigurationError(
            f"{error.full_key}: {str(error.msg).splitlines()[0]}: "
            "the key that it refers to is not there"
        ) from error
    for key, target in _targets(plain, ""):
        if not _is_allowed(target):
            raise ConfigurationError(
                f"{key} must be one of this project's, an optimiser of torch.optim or a profiler "
                f"of Lightning, got {target!r}"
            )


def _targets(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "_target_":
                yield f"{place}{key}", value
            yield from _targets(value, f"{place}{key}.")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _targets(value, f"{place}{number}.")


def _is_allowed(target: Any) -> bool:
    """Whether the object itself is one that may be built: a name may lead anywhere."""
    if target in (*_OURS, "pytorch_lightning.Trainer"):
        return True
    from pytorch_lightning.profilers import Profiler  # late: imports of seconds
    from torch.optim import Optimizer

    module, _, name = str(target).rpartition(".")
    for package, kind in (("torch.optim", Optimizer), ("pytorch_lightning.profilers", Profiler)):
        if module == package:
            found = vars(importlib.import_module(package)).get(name)
            return isinstance(found, type) and issubclass(found, kind)
    return False


def _check_section(section: str, node: DictConfig, passed: frozenset[str]) -> None:
    if not OmegaConf.is_dict(node) or "_target_" not in node:
        raise ConfigurationError(f"{section} must be a section with a _target_, got {node!r}")
    target = node["_target_"]
    function: Any = get_object(str(target))
    constructor = function.__init__ if inspect.isclass(function) else function
    constructor = inspect.unwrap(constructor)
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(constructor).parameters.items()
        if name != "self" and name not in passed
    }
    hints = get_type_hints(constructor)
    for key in node:
        if str(key).startswith("_") or f"{section}.{key!s}" in _SECTIONS:
            continue
        if key not in parameters:
            raise ConfigurationError(
                f"unknown key '{section}.{key!s}': {target} takes {', '.join(sorted(parameters))}"
                f"{did_you_mean(str(key), parameters)}"
            )
        if OmegaConf.is_missing(node, key):
            raise ConfigurationError(f"{section}.{key} is needed: set it with {section}.{key}=...")
        _check_value(f"{section}.{key}", node[key], hints.get(str(key), Any))
    for name, parameter in parameters.items():
        needed = (
            parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        )
        if needed and name not in node:
            raise ConfigurationError(f"{section}.{name} is needed by {target}")


def _check_value(key: str, value: Any, hint: Any) -> None:
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    if not _matches(value, hint):
        raise ConfigurationError(f"{key} must be {_describe(hint)}, got {value!r}")


def _matches(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_matches(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if hint is None or hint is type(None):
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (str, bool):
        return isinstance(value, hint)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(_matches(v, arguments[1]) for v in value.values())
    if origin is not None and issubclass(origin, Sequence):
        return isinstance(value, list) and all(_matches(v, arguments[0]) for v in value)
    return True  # a type of another library's, which checks its own


def _describe(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(str(argument) for argument in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_describe(argument) for argument in arguments))
    if hint is type(None):
        return "null"
    names = {int: "an integer", float: "a number", str: "text", bool: "true or false"}
    if hint in names:
        return names[hint]
    if origin is not None and issubclass(origin, Mapping):
        return f"names with {_describe(arguments[1])} each"
    if origin is not None and issubclass(origin, Sequence):
        return f"a list, each {_describe(arguments[0])}"
    return str(hint)
