"""Sentences on overrides that cannot be composed."""

from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from recsys_lab.compute.near_words import did_you_mean, near_word
from recsys_lab.config.command_words import OPTIONAL
from recsys_lab.config.configuration import SECTIONS, listed
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.config.trainer_arguments import NOT_LISTED, REFUSED


def several_values(override: Override, *, takes_list: bool = False) -> str:
    """The sentence on values of a sweep without `-m`; `takes_list`: the key has a list."""
    key, _, value = str(override.input_line).partition("=")
    if override.is_interval_sweep():
        return f"{override.input_line} is for a search: add hparams_search=optuna"
    if takes_list:
        return (
            f"{override.input_line} gives several values: for a list write '{key}=[{value}]', and "
            "for a sweep add -m"
        )
    one = f", and for one value with a comma write '{key}=\"{value}\"'"
    is_list = override.is_choice_sweep() and "(" not in value
    return f"{override.input_line} gives several values: for a sweep add -m{one if is_list else ''}"


def check_folders(lines: Sequence[str], *, sweep: bool) -> None:
    """Refuse a folder that has no effect, and one without a name.

    Args:
        lines: overrides of Hydra's own configuration.
        sweep: whether they belong to a sweep.

    Raises:
        ConfigurationError: naming the key to take.
    """
    idle, used = "hydra.sweep.dir", "hydra.run.dir"
    idle, used = (used, idle) if sweep else (idle, used)
    for line in lines:
        key, _, value = line.lstrip("+").partition("=")
        if key == idle:
            kind = "a sweep" if sweep else "a single run"
            raise ConfigurationError(f"{line} has no effect on {kind}: take {used}={value}")
        if key == used and not value.strip("'\""):
            raise ConfigurationError(f"{key} must name a folder, got {line}")


def gives_nothing(override: Override) -> str:
    """The sentence on a range or a pattern without values, by which a sweep would have no job."""
    return f"{override.input_line} gives no value: a sweep needs one or more"


def no_choice(group: str, value: str, choices: Sequence[str]) -> str:
    """The sentence on a choice that a group does not have."""
    return f"{group} has no choice {value!r}; choose from {listed(choices, value)}"


def no_choices(override: Override) -> str:
    """The sentence on a pattern for a value."""
    key = override.key_or_group
    return (
        f"cannot use {override.input_line}: a pattern is for the choices of a group, and {key} is "
        "none"
    )


def check_one_choice(group: str, line: str) -> None:
    """Refuse a list of choices, which would be merged, for a group that a run has one of.

    Raises:
        ConfigurationError: naming the form of a sweep.
    """
    if group.replace("/", ".") in SECTIONS:
        several = line.partition("=")[2].strip("[]")
        raise ConfigurationError(
            f"{group} takes one choice, got {line}: leave the brackets out, as in {group}=CHOICE "
            f"or, for a sweep, -m {group}={several}"
        )


def reason(problem: Exception) -> str:
    """The words of an error in one line, without Hydra's search path."""
    words = " ".join(str(problem).partition("Config search path")[0].split())
    if isinstance(problem, AssertionError):
        return "the key above it has no section"
    if words.startswith("Error merging") and problem.__cause__ is not None:
        return str(problem.__cause__).splitlines()[0]
    if "@experiment" in words:  # what the preset chooses would land below that name
        words += " A preset begins with the line: # @package _global_"
    return words


def unknown_key(
    key: str, node: Any, groups: Sequence[str], choices: Callable[[str], Sequence[str]]
) -> str | None:
    """The sentence on a key that a composed configuration lacks; None if it has the key.

    Args:
        key: whole name.
        node: the configuration.
        groups: names at the top level that are groups without a section.
        choices: those of a group.
    """
    place = ""
    for part in key.split("."):
        if not OmegaConf.is_dict(node) or part in node:
            node = node.get(part) if OmegaConf.is_dict(node) else None
            place = f"{place}.{part}" if place else part
            continue
        if place in OPTIONAL and part in choices(place):
            several = [str(name) for name in node]
            value = f"[{','.join([*several, part])}]" if several else part
            return f"{place}.{part} is not chosen: add {place}={value}"
        return f"unknown key {key!r}: {_valid(place, part, node, groups)}"
    return None


def of_other_choice(key: str, group: str, choices: Sequence[str]) -> str:
    """What an unknown key belongs to: choices of a group that the run does not take."""
    name, others = key.rpartition(".")[2], " or ".join(f"{group}={choice}" for choice in choices)
    return f"; {name} belongs to {others}"


def of_search(key: str, keys: Sequence[str]) -> str:
    """That a key of the sweeper, perhaps misspelt, belongs to searches, which have these keys."""
    near = near_word(key.rpartition(".")[2], keys)
    return f"; hydra.sweeper.{near} belongs to a search: add hparams_search=optuna" if near else ""


def _valid(place: str, part: str, node: DictConfig, groups: Sequence[str]) -> str:
    """What there is in a section, and which of it may be meant."""
    names = [str(name) for name in node if not str(name).startswith("_")]
    names += [] if place else groups
    others = NOT_LISTED if place == "trainer" else frozenset[str]()  # which work all the same
    valid = sorted({*names, *(others - REFUSED.keys())})
    deeper = [name for name in valid if OmegaConf.is_dict(node.get(name)) and part in node[name]]
    where = f"in {place}" if place else "at the top level"
    if deeper:
        whole = f"{place}.{deeper[0]}.{part}".lstrip(".")
        return f"{where} there are {', '.join(valid)} (did you mean {whole}?)"
    hint = did_you_mean(part, {*valid, *others})
    return f"{where} there are {', '.join(valid) or 'none'}{hint}"
