"""Checks of the command line before Hydra composes it: keys and choices of every override."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from recsys_lab.configuration import did_you_mean

Line = tuple[Override, str]  # an override, and one of its values as `key=value`


def explain_overrides(arguments: Sequence[str], folder: Path) -> str | None:
    """One sentence on the first override that cannot be composed, or None if all can.

    Hydra's own message does not list the valid keys. In a sweep every combination of group choices
    is composed, since each has keys of its own, and every other value once.

    Args:
        arguments: command line after the program's name.
        folder: the configuration tree.
    """
    if any(argument.startswith("--") and argument != "--multirun" for argument in arguments):
        return None  # --help, --cfg, --config-dir and the like are Hydra's own affair
    texts = [argument for argument in arguments if not argument.startswith("-")]
    try:
        overrides = OverridesParser.create().parse_overrides(texts)
    except HydraException as error:
        return f"cannot read the command line: {str(error).splitlines()[0]}"
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(folder.resolve()), version_base="1.3"):
        for job in _jobs([o for o in overrides if not o.is_hydra_override()], folder):
            if (complaint := _explain_job(job, folder)) is not None:
                return complaint
    return None


def _jobs(overrides: Sequence[Override], folder: Path) -> Iterator[list[Line]]:
    """The combinations of group choices with the first value of all else; then the other values."""
    groups = [o for o in overrides if _is_group(o, folder)]
    lines = {id(o): [(o, text) for text in _values(o, folder)] for o in overrides}
    others = [lines[id(o)] for o in overrides if o not in groups and lines[id(o)]]
    first = [choices[0] for choices in others]
    combinations = [list(chosen) for chosen in product(*(lines[id(o)] for o in groups))]
    for chosen in combinations:
        yield chosen + first
    for place, choices in enumerate(others):
        for line in choices[1:]:
            yield [*combinations[0], *first[:place], line, *first[place + 1 :]]


def _is_group(override: Override, folder: Path) -> bool:
    return (folder / override.key_or_group).is_dir()


def _values(override: Override, folder: Path) -> list[str]:
    """`key=value` for each value; none where Hydra draws them, as from a range."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    value = override.value()
    if isinstance(value, Glob):
        return [
            f"{override.get_key_element()}={v}" for v in value.filter(_choices(override, folder))
        ]
    if not override.is_choice_sweep():
        return []
    return [f"{override.get_key_element()}={v}" for v in override.sweep_string_iterator()]


def _choices(override: Override, folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / override.key_or_group).glob("*.yaml"))


def _explain_job(job: Sequence[Line], folder: Path) -> str | None:
    if _try([line for _, line in job]) is None:
        return None
    chosen: list[str] = []
    for override, line in job:
        if (problem := _try([*chosen, line])) is not None:
            swept = [text for other, text in job if other.is_sweep_override() and text in chosen]
            where = f" (with {' '.join(swept)})" if swept else ""
            return _explain(override, line, problem, chosen, folder) + where
        chosen.append(line)
    return None


def _try(lines: Sequence[str]) -> Exception | None:
    try:
        compose("config", overrides=list(lines))
    except (HydraException, OmegaConfBaseException) as error:
        return error
    return None


def _explain(
    override: Override, line: str, problem: Exception, chosen: list[str], folder: Path
) -> str:
    key = override.key_or_group
    if _is_group(override, folder):
        choices = _choices(override, folder)
        value = line.partition("=")[2]
        listed = f"{', '.join(choices)}{did_you_mean(value, choices)}"
        return f"{key} has no choice {value!r}; choose from {listed}"
    node: Any = compose("config", overrides=chosen)
    place = ""
    for part in key.split("."):
        if not OmegaConf.is_dict(node) or part in node:
            node = node.get(part) if OmegaConf.is_dict(node) else None
            place = f"{place}.{part}" if place else part
            continue
        valid = sorted(str(name) for name in node if not str(name).startswith("_"))
        if not place:
            valid = sorted({*valid, *(p.name for p in folder.iterdir() if p.is_dir())})
        where = f"in {place}" if place else "at the top level"
        return (
            f"unknown key {key!r}: {where} there are {', '.join(valid)}{did_you_mean(part, valid)}"
        )
    return f"cannot use {line!r}: {str(problem).splitlines()[0]}"
