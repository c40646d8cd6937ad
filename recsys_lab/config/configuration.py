"""Checks of the composed configuration, before any data is read: keys, types, ranges, targets."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from recsys_lab.compute.checks import check_value
from recsys_lab.compute.near_words import did_you_mean
from recsys_lab.compute.ranges import CountOrZero, Gigabytes, Seed, Threads
from recsys_lab.config.job_names import job_folder
from recsys_lab.config.library_arguments import used_arguments
from recsys_lab.config.targets import (
    ConfigurationError,
    check_targets,
    import_plugins,
    parameters_of,
)
from recsys_lab.config.trainer_arguments import check_trainer

_TOP_LEVEL: dict[str, Any] = {
    "seed": Seed,
    "train": bool,
    "ckpt_path": str | None,
    "resume_with_changes": bool,
    "resume": str | None,
    "evaluate": str | None,
    "skip_finished": bool,
    "monitor": str,
    "prepared_dir": str,
    "max_memory_gb": Gigabytes | None,
    "prepare": Literal["local", "ray"],
    "ray_address": str | None,
    "num_threads": Threads | None,
    "plugins": Sequence[str],
    "test": bool,
    "embeddings": bool,
    "users": bool,
    "vectors": str | None,
    "projector": CountOrZero,
}
_MISSING = "???"  # of OmegaConf: a value that has to be given
SECTIONS: dict[str, frozenset[str]] = {  # section -> arguments that a run passes
    "catalog": frozenset(),
    "split": frozenset(),
    "data": frozenset(
        {"catalog", "split", "graph", "nodes", "seed", "source", "on_gpu", "teacher", "shares"}
    ),
    "data.source": frozenset({"catalog", "split", "graph", "nodes", "seed"}),  # where data has one
    "model": frozenset({"items"}),
    "optimizer": frozenset({"params"}),
    "schedule": frozenset({"progress", "epoch_progress"}),
    "trainer": frozenset({"callbacks", "logger", "plugins", "default_root_dir"}),
    "curve": frozenset({"pairs", "histories", "trained", "labels", "folder", "seed"}),
    "checkpoint": frozenset({"folder", "monitor", "resumed"}),
    "evaluation": frozenset(),
    "nodes": frozenset(),
    "history": frozenset(),
    "baselines": frozenset(),
    "exchange": frozenset(),
}
_PRESETS = ("experiment", "debug", "hparams_search")  # groups without a section
_GROUPS: dict[str, frozenset[str]] = {  # group of any number of named parts -> passed arguments
    "callbacks": frozenset({"monitor"}),
    "logger": frozenset({"folder"}),
}


def register_resolvers() -> None:
    """Register the resolvers of the configuration.

    `short_id` is four characters that keep two runs of one second apart; `job_folder` is the
    folder of a sweep's job.
    """
    OmegaConf.register_new_resolver("job_folder", _job_folder, replace=True)
    OmegaConf.register_new_resolver(
        "short_id", lambda: secrets.token_hex(2), use_cache=True, replace=True
    )


def _job_folder(sweep: str, text: str, words: Any, is_trial: bool = False) -> str:
    return job_folder(str(sweep), str(text), list(words), is_trial=is_trial)


def listed(words: Sequence[str], word: str) -> str:
    """`a, b, c (did you mean b?)`."""
    return f"{', '.join(words) or 'none'}{did_you_mean(word, words)}"


def check_configuration(cfg: DictConfig) -> dict[str, Any]:
    """Resolve the configuration, import its plugins, and check names, types, ranges and targets.

    Every section is bound to the signature of its target.

    Returns:
        the resolved configuration as plain containers: what is built is what was checked.

    Raises:
        ConfigurationError: naming the key, its value and what is valid.
    """
    configuration = check_outline(cfg)
    import_plugins(configuration["plugins"])
    check_targets(configuration, configuration["plugins"])
    for section, passed in SECTIONS.items():
        if section == "data.source" and not _takes_source(configuration["data"]):
            continue
        _check_section(section, section_of(configuration, section), passed)
    for group, passed in _GROUPS.items():
        for name, node in configuration[group].items():
            _check_section(f"{group}.{name}", node, passed)
    return configuration


def check_outline(cfg: DictConfig) -> dict[str, Any]:
    """Resolve the configuration and check what can be checked before imports of seconds.

    Returns:
        the resolved configuration as plain containers.

    Raises:
        ConfigurationError: naming the key, its value and what is valid.
    """
    configuration = _resolve(cfg)
    sections = [name for name in SECTIONS if "." not in name]
    known = [*_TOP_LEVEL, *sections, *_GROUPS]
    for name in configuration:
        if name not in known:
            if name in _PRESETS:
                raise ConfigurationError(
                    f"the file of {name}= needs the first line: # @package _global_"
                )
            raise ConfigurationError(
                f"unknown key {name!r}: at the top level there are {listed(sorted(known), name)}"
            )
    for name, hint in _TOP_LEVEL.items():
        if name not in configuration:
            raise ConfigurationError(f"{name} is needed at the top level")
        _check_value(name, configuration[name], hint)
    for name in (*sections, *_GROUPS):
        _check_is_section(name, configuration)
    _check_vectors(configuration["vectors"], configuration["model"])
    check_trainer(configuration["trainer"], may_stop=bool(configuration["callbacks"]))
    return configuration


def _takes_source(data: Mapping[str, Any]) -> bool:
    """Whether a data module has a source, or cannot be without."""
    source = parameters_of(str(data["_target_"]))[0].get("source")
    return "source" in data or (source is not None and source.default is source.empty)


def _check_is_section(name: str, configuration: Mapping[str, Any]) -> None:
    node = configuration.get(name)
    if isinstance(node, Mapping):
        return
    if node is None:
        raise ConfigurationError(
            f"{name} must be a section, and it is left out: a run needs it, so leave ~{name} and "
            f"{name}=null out"
        )
    raise ConfigurationError(
        f"{name} must be a section, got {node!r}: it has no choices; its values are set by "
        f"{name}.KEY=VALUE, and python train.py --cfg job --package {name} shows them"
    )


def section_of(configuration: Mapping[str, Any], name: str) -> Any:
    """A section by its name, such as "data.source"; None if it does not exist."""
    node: Any = configuration
    for part in name.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _check_vectors(vectors: str | None, model: Any) -> None:
    """A file of vectors and the model that takes it need each other."""
    takes_file = isinstance(model, Mapping) and "path" in model
    if vectors is not None and not takes_file:
        raise ConfigurationError(
            f"vectors={vectors} is for model=external, which is not trained: add model=external, "
            "or leave vectors= out"
        )
    if takes_file and model["path"] is None:
        raise ConfigurationError("model=external needs a file of vectors: name it with vectors=")


def _resolve(cfg: DictConfig) -> dict[str, Any]:
    try:
        plain = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigurationError(
            f"{error.full_key}: {str(error.msg).splitlines()[0]}: "
            "the key that it refers to does not exist"
        ) from error
    assert isinstance(plain, dict)  # noqa: S101 - narrows the type
    return {str(name): value for name, value in plain.items()}


def _check_section(section: str, node: Any, passed: frozenset[str]) -> None:
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ConfigurationError(f"{section} must be a section with a _target_, got {node!r}")
    target = str(node["_target_"])
    parameters, _ = parameters_of(target)
    hints = {name: hint for name, hint in used_arguments(target).items() if name not in passed}
    for key, value in node.items():
        if key == "_target_" or f"{section}.{key}" in SECTIONS:
            continue
        if key not in hints:
            idle = key in parameters and key not in passed
            problem = f"{section}.{key} has no effect" if idle else f"unknown key '{section}.{key}'"
            raise ConfigurationError(f"{problem}: {target} takes {listed(sorted(hints), str(key))}")
        if value == _MISSING:
            raise ConfigurationError(f"{section}.{key} is needed: set it with {section}.{key}=...")
        if isinstance(value, Mapping) and "_target_" in value:
            _check_section(f"{section}.{key}", value, frozenset())
        else:
            _check_value(f"{section}.{key}", value, hints[key])
    for name in hints:
        parameter = parameters[name]
        needed = (
            parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        )
        if needed and name not in node:
            raise ConfigurationError(f"{section}.{name} is needed by {target}")


def _check_value(key: str, value: Any, hint: Any) -> None:
    try:
        check_value(key, value, hint)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
