"""Checks of the command line before Hydra composes it: keys and choices of every override."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser  # of the command line
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from recsys_lab.config.configuration import did_you_mean

Line = tuple[Override, str]  # an override, and one of its values as `key=value`
_SEARCH_PATH = "hydra.searchpath"


def explain_overrides(arguments: Sequence[str], folder: Path) -> str | None:
    """One sentence on the first override that cannot be composed, or None if all can.

    Hydra's message does not list the valid keys. In a sweep every combination of group choices is
    composed, since each has its own keys, and every other value once.

    Args:
        arguments: command line after the program's name.
        folder: the configuration tree; `--config-dir` and `hydra.searchpath` add to it.
    """
    options, unread = get_args_parser().parse_known_args(arguments)
    if unread:
        return f"cannot read {unread[0]!r}: options such as -m go before the overrides"
    others = (options.help, options.hydra_help, options.info)
    if any(others) or options.shell_completion or options.config_name or options.config_path:
        return None  # Hydra answers these itself
    if options.config_dir and not Path(options.config_dir).is_dir():
        return f"--config-dir: there is no folder {options.config_dir}"
    try:
        overrides = OverridesParser.create().parse_overrides(options.overrides)
    except HydraException as error:
        return f"cannot read the command line: {str(error).splitlines()[0]}"
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(folder.resolve()), version_base="1.3"):
        tree = _Tree(overrides, options.config_dir)
        try:
            own = [o for o in overrides if not o.is_hydra_override()]
            complaints = (tree.explain_job(job) for job in tree.jobs(own))
            return next((found for found in complaints if found is not None), None)
        except (HydraException, ValueError) as error:  # of the search path
            return _reason(error)


class _Tree:
    """The configuration tree, and the folders that the command line adds to it."""

    def __init__(self, overrides: Sequence[Override], config_dir: str | None) -> None:
        added = [f"file://{Path(config_dir).resolve()}"] if config_dir else []
        for override in overrides:
            value = override.value()
            if override.key_or_group == _SEARCH_PATH and isinstance(value, list):
                added += map(str, value)
        quoted = ",".join(f"'{path}'" for path in added)
        self._search = [f"{_SEARCH_PATH}=[{quoted}]"] if added else []

    def compose(self, lines: Sequence[str]) -> Any:
        return compose("config", overrides=[*self._search, *lines])

    def choices(self, group: str) -> list[str]:
        """The choices of a group; none if there is no such group."""
        loader = GlobalHydra.instance().config_loader()
        return sorted(loader.get_group_options(group, config_name="config", overrides=self._search))

    def groups(self) -> list[str]:
        loader = GlobalHydra.instance().config_loader()
        found = loader.list_groups("")
        return sorted(name for name in found if name != "hydra")

    def jobs(self, overrides: Sequence[Override]) -> Iterator[list[Line]]:
        """The combinations of group choices with the first value of all else; then the others."""
        groups = [o for o in overrides if self.choices(o.key_or_group)]
        lines = {id(o): [(o, text) for text in self._values(o)] for o in overrides}
        others = [lines[id(o)] for o in overrides if o not in groups and lines[id(o)]]
        first = [choices[0] for choices in others]
        combinations = [list(chosen) for chosen in product(*(lines[id(o)] for o in groups))]
        for chosen in combinations:
            yield chosen + first
        for place, choices in enumerate(others):
            for line in choices[1:]:
                yield [*combinations[0], *first[:place], line, *first[place + 1 :]]

    def _values(self, override: Override) -> list[str]:
        """`key=value` for each value; none where Hydra computes them, as from a range."""
        if not override.is_sweep_override():
            return [str(override.input_line)]
        key, value = override.get_key_element(), override.value()
        if isinstance(value, Glob):
            choices = self.choices(override.key_or_group)
            # A pattern without a match is kept, and refused like any other choice.
            return [f"{key}={name}" for name in value.filter(choices) or value.include]
        if not override.is_choice_sweep():
            return []
        return [f"{key}={text}" for text in override.sweep_string_iterator()]

    def explain_job(self, job: Sequence[Line]) -> str | None:
        if self._try([line for _, line in job]) is None:
            return None
        chosen: list[str] = []
        for override, line in job:
            if (problem := self._try([*chosen, line])) is not None:
                swept = [text for one, text in job if one.is_sweep_override() and text in chosen]
                where = f" (with {' '.join(swept)})" if swept else ""
                return self._explain(override, line, problem, chosen) + where
            chosen.append(line)
        return None

    def _try(self, lines: Sequence[str]) -> Exception | None:
        try:
            self.compose(lines)
        except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
            return error
        return None

    def _explain(self, override: Override, line: str, problem: Exception, chosen: list[str]) -> str:
        key = override.key_or_group
        if choices := self.choices(key):
            value = line.partition("=")[2]
            if value in choices:
                return f"cannot use {line}: {_reason(problem)}"
            listed = f"{', '.join(choices)}{did_you_mean(value, choices)}"
            return f"{key} has no choice {value!r}; choose from {listed}"
        node: Any = self.compose(chosen)
        place = ""
        for part in key.split("."):
            if not OmegaConf.is_dict(node) or part in node:
                node = node.get(part) if OmegaConf.is_dict(node) else None
                place = f"{place}.{part}" if place else part
                continue
            valid = sorted(str(name) for name in node if not str(name).startswith("_"))
            if not place:
                valid = sorted({*valid, *self.groups()})
            where = f"in {place}" if place else "at the top level"
            deeper = [
                name for name in valid if OmegaConf.is_dict(node.get(name)) and part in node[name]
            ]
            words = [f"{place}.{name}.{part}".lstrip(".") for name in deeper]
            hint = f" (did you mean {words[0]}?)" if words else did_you_mean(part, valid)
            listed = f"{', '.join(valid)}{hint}"
            return f"unknown key {key!r}: {where} there are {listed}"
        return f"cannot use {line!r}: {_reason(problem)}"


def _reason(problem: Exception) -> str:
    """The words of an error in one line, without Hydra's search path."""
    words = " ".join(str(problem).partition("Config search path")[0].split())
    if "@experiment" in words:  # what the preset chooses would land below that name
        words += " A preset begins with the line: # @package _global_"
    return words


def compose_words(arguments: Sequence[str], folder: Path) -> DictConfig:
    """The configuration that the words of a command line compose, those of Hydra left out.

    Raises:
        HydraException: they cannot be composed, as `explain_overrides` tells.
    """
    options, _ = get_args_parser().parse_known_args(arguments)
    overrides = OverridesParser.create().parse_overrides(options.overrides)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(folder.resolve()), version_base="1.3"):
        tree = _Tree(overrides, options.config_dir)
        return tree.compose([str(o.input_line) for o in overrides if not o.is_hydra_override()])


def quoted(text: str) -> str:
    """Any text as the value of an override, taken literally."""
    return QuotedString(text.replace("${", r"\${"), Quote.single).with_quotes()


def as_value(value: Any) -> str:
    """A value of a configuration as that of an override; its interpolations stay."""
    if isinstance(value, str):
        return QuotedString(value, Quote.single).with_quotes()
    if isinstance(value, list):
        return f"[{','.join(map(as_value, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{as_value(inner)}' for key, inner in value.items())}}}"
    return "null" if value is None else str(value)
