"""The jobs of a command line, composed before Hydra runs the first: keys and choices of overrides.

Hydra's messages do not list the valid keys. They come one job at a time, when the jobs before have
run and the folders are there.
"""

import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import islice, product
from math import prod
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir, initialize_config_module
from hydra._internal.config_loader_impl import ConfigLoaderImpl  # of the overrides of values
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    Glob,
    IntervalSweep,
    Override,
    Quote,
    QuotedString,
)
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from recsys_lab.config.command_words import PACKAGE, answers_only, in_order, parse
from recsys_lab.config.configuration import did_you_mean
from recsys_lab.config.targets import ConfigurationError

Line = tuple[Override, str]  # an override, and one of its values as `key=value`
_SEARCH_PATH = "hydra.searchpath"
_BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
_KNOWN_EARLY = (
    "now:",
    "short_id:",
    "hydra.job.name",
    "hydra.runtime.choices.",
)  # interpolations of a folder
_UNUSABLE = (HydraException, OmegaConfBaseException, YAMLError, ValueError)
_MOST_VALUES = 100_000  # of one key; Hydra lists them all
_MOST_JOBS = 2_000  # composed in all their combinations; of more, each value once


class Jobs:
    """The jobs of a command line; iterating composes each: what a sweep chose, and the whole.

    A sweep of more than 2,000 jobs gives every combination of group choices and every value once.
    So does one whose sweeper chooses while it runs.

    Attributes:
        hydra: Hydra's own section; None where it cannot be composed.
        is_sweep: whether Hydra runs them as a sweep, also if there is one alone.
    """

    def __init__(
        self,
        tree: "_Tree",
        axes: Sequence[Sequence[Line]],
        hydra: DictConfig | None,
        *,
        product: bool,
        is_sweep: bool,
    ) -> None:
        self._tree, self._axes, self.hydra, self.is_sweep = tree, axes, hydra, is_sweep
        self._is_product = product and prod(map(len, axes)) <= _MOST_JOBS

    def __iter__(self) -> Iterator[tuple[str, DictConfig]]:
        every = map(list, product(*self._axes)) if self._is_product else self.each_value_once()
        for job in every:
            chosen = [text for override, text in job if override.is_sweep_override()]
            yield " ".join(chosen), self._tree.compose([text for _, text in job])

    @property
    def folder(self) -> str | None:
        """Where Hydra makes the folder of the run or the sweep; None if that depends on a job."""
        return self._tree.folder(sweep=self.is_sweep)

    def __len__(self) -> int:
        if self._is_product:
            return prod(map(len, self._axes))
        return sum(1 for _ in self.each_value_once())

    def each_value_once(self) -> Iterator[list[Line]]:
        """The combinations of group choices with the first value of all else; then the others."""
        groups = [axis for axis in self._axes if self._tree.choices(axis[0][0].key_or_group)]
        others = [axis for axis in self._axes if axis not in groups]
        first = [choices[0] for choices in others]
        combinations = [list(chosen) for chosen in product(*groups)]
        for chosen in combinations:
            yield chosen + first
        for place, choices in enumerate(others):
            for line in choices[1:]:
                yield [*combinations[0], *first[:place], line, *first[place + 1 :]]


def compose_jobs(arguments: Sequence[str], folder: Path) -> Jobs | None:
    """The jobs of a command line; None where Hydra only answers, as with `--help`.

    Args:
        arguments: command line after the program's name.
        folder: the configuration tree; `--config-dir` and `hydra.searchpath` add to it.

    Raises:
        ConfigurationError: one sentence on the first override that cannot be composed.
    """
    options = parse(in_order(arguments))
    if answers_only(options) and not options.cfg:
        return None
    try:
        overrides = OverridesParser.create().parse_overrides(options.overrides)
    except HydraException as error:
        raise ConfigurationError(
            f"cannot read the command line: {str(error).splitlines()[0]}"
        ) from error
    with _opened(options, folder):
        try:
            tree = _Tree(overrides, options)
            jobs = tree.jobs(sweep=options.multirun)
            complaints = (tree.explain_job(job) for job in jobs.each_value_once())
            complaint = next((found for found in complaints if found is not None), None)
        except (HydraException, ValueError) as error:  # of the search path
            raise ConfigurationError(_reason(error)) from error
        if complaint is not None:
            raise ConfigurationError(complaint)
    return None if options.cfg else jobs


@contextmanager
def _opened(options: Namespace, folder: Path) -> Iterator[None]:
    """Hydra's context of the configuration tree, which `--config-path` replaces."""
    GlobalHydra.instance().clear()
    path = options.config_path or str(folder.resolve())
    if path.startswith(PACKAGE):
        module = path.removeprefix(PACKAGE).replace("/", ".")
        with initialize_config_module(module, version_base="1.3"):
            yield
    else:
        with initialize_config_dir(path, version_base="1.3"):
            yield


class _Tree:
    """The configuration tree, the folders that the command line adds to it, and its overrides."""

    def __init__(self, overrides: Sequence[Override], options: Namespace) -> None:
        self._name = options.config_name or "config"
        folder = options.config_dir
        added = [folder if folder.startswith(PACKAGE) else f"file://{folder}"] if folder else []
        for override in overrides:
            value = override.value()
            if override.key_or_group == _SEARCH_PATH and isinstance(value, list):
                added += map(str, value)
        quoted = ",".join(f"'{path}'" for path in added)
        self._search = [f"{_SEARCH_PATH}=[{quoted}]"] if added else []
        self._own = [o for o in overrides if not o.is_hydra_override()]
        self._of_hydra = [
            str(o.input_line)
            for o in overrides
            if o.is_hydra_override() and o.key_or_group != _SEARCH_PATH
        ]
        self._whole: DictConfig | None = None  # with Hydra's own section
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        self._parsed: dict[str, Override] = {}
        self._choices: dict[str, list[str]] = {}

    def jobs(self, *, sweep: bool) -> Jobs:
        """The jobs that Hydra's sweeper makes of the overrides."""
        hydra = self._hydra()
        sweep = sweep or (hydra is not None and "MULTIRUN" in str(hydra.mode))
        is_basic = hydra is None or hydra.sweeper.get("_target_") == _BASIC
        swept = [] if hydra is None else (hydra.sweeper.get("params") or {}).items()
        words = [f"{key}={value}" for key, value in swept]
        every = [*OverridesParser.create().parse_overrides(words if sweep else []), *self._own]
        last = {override.get_key_element(): override for override in every}  # as Hydra does
        axes = []
        for override in last.values():
            if override.is_sweep_override() and not sweep:
                self._check_pattern(override)
                raise ConfigurationError(_several_values(override))
            if is_basic and override.is_interval_sweep():
                raise ConfigurationError(
                    f"cannot use {override.input_line}: Hydra's basic sweeper takes lists and "
                    "ranges of values, not intervals"
                )
            if lines := [(override, text) for text in self._values(override)]:
                axes.append(lines)
        return Jobs(self, axes, hydra, product=is_basic, is_sweep=sweep)

    def folder(self, *, sweep: bool) -> str | None:
        """The folder of the run or the sweep, with its time and its short id."""
        if self._whole is None:
            return None
        node = self._whole.hydra.sweep if sweep else self._whole.hydra.run
        plain: Any = OmegaConf.to_container(node)  # with its interpolations
        parts = re.findall(r"\$\{(.*?)\}", str(plain["dir"]))
        if any(not part.startswith(_KNOWN_EARLY) for part in parts):
            return None
        return str(node.dir)

    def _hydra(self) -> DictConfig | None:
        """Hydra's own section of the configuration; None if it cannot be composed."""
        chosen = tuple(str(o.input_line) for o in self._own if self._is_plain_choice(o))
        of_hydra = chosen + tuple(self._of_hydra)
        try:
            found = compose(self._name, [*self._search, *of_hydra], return_hydra_config=True)
        except _UNUSABLE:
            self._check_options_of_hydra()
            return None  # a choice of the project's is explained later
        self._whole = deepcopy(found)
        hydra: DictConfig = found.hydra
        with open_dict(found):
            del found["hydra"]
        self._composed[chosen] = found
        return hydra

    def _check_options_of_hydra(self) -> None:
        """Name the override of Hydra's own configuration that cannot be used, if it is one."""
        for count, line in enumerate(self._of_hydra):
            try:
                compose(
                    self._name,
                    [*self._search, *self._of_hydra[: count + 1]],
                    return_hydra_config=True,
                )
            except _UNUSABLE as error:
                raise ConfigurationError(f"cannot use {line}: {_reason(error)}") from error

    def _is_plain_choice(self, override: Override) -> bool:
        return not override.is_sweep_override() and bool(self.choices(override.key_or_group))

    def compose(self, lines: Sequence[str]) -> DictConfig:
        """A job's configuration.

        The choices of groups are composed once, within Hydra's context; values are set in it.
        """
        parsed = [self._parse(line) for line in lines]
        of_values = [bool(self.choices(override.key_or_group)) for override in parsed]
        chosen = tuple(line for line, is_group in zip(lines, of_values, strict=True) if is_group)
        if chosen not in self._composed:
            self._composed[chosen] = compose(self._name, overrides=[*self._search, *chosen])
        found = deepcopy(self._composed[chosen])
        values = [o for o, is_group in zip(parsed, of_values, strict=True) if not is_group]
        ConfigLoaderImpl._apply_overrides_to_config(values, found)
        return found

    def _parse(self, line: str) -> Override:
        if line not in self._parsed:
            self._parsed[line] = OverridesParser.create().parse_override(line)
        return self._parsed[line]

    def choices(self, group: str) -> list[str]:
        """The choices of a group; none if there is no such group."""
        if group not in self._choices:
            found = (
                GlobalHydra.instance()
                .config_loader()
                .get_group_options(group, config_name=self._name, overrides=self._search)
            )
            self._choices[group] = sorted(found)
        return self._choices[group]

    def groups(self) -> list[str]:
        loader = GlobalHydra.instance().config_loader()
        found = loader.list_groups("")
        return sorted(name for name in found if name != "hydra")

    def _check_pattern(self, override: Override) -> None:
        """Refuse a pattern that no choice of its group matches."""
        value = override.value()
        if isinstance(value, Glob) and not value.filter(
            choices := self.choices(override.key_or_group)
        ):
            raise ConfigurationError(no_choice(override.key_or_group, value.include[0], choices))

    def _values(self, override: Override) -> list[str]:
        """`key=value` for each value; of an interval for its two ends."""
        if not override.is_sweep_override():
            return [str(override.input_line)]
        key, value = override.get_key_element(), override.value()
        if isinstance(value, Glob):
            choices = self.choices(override.key_or_group)
            # A pattern without a match is kept, and refused like any other choice.
            return [f"{key}={name}" for name in value.filter(choices) or value.include]
        if isinstance(value, IntervalSweep):
            return [f"{key}={value.start}", f"{key}={value.end}"]
        found = list(islice(override.sweep_string_iterator(), _MOST_VALUES + 1))
        if len(found) > _MOST_VALUES:
            raise ConfigurationError(
                f"{override.input_line} has more than {_MOST_VALUES:,} values: sweep over fewer"
            )
        return [f"{key}={text}" for text in found]

    def explain_job(self, job: Sequence[Line]) -> str | None:
        """Why a job cannot be composed, in one sentence; None if it can."""
        if (whole := self._try([line for _, line in job])) is None:
            return None
        chosen: list[str] = []
        for override, line in job:
            if (problem := self._try([*chosen, line])) is not None:
                swept = [text for one, text in job if one.is_sweep_override() and text in chosen]
                where = f" (with {' '.join(swept)})" if swept else ""
                return self._explain(override, line, problem, chosen) + where
            chosen.append(line)
        return _reason(whole)

    def _try(self, lines: Sequence[str]) -> Exception | None:
        try:
            self.compose(lines)
        except _UNUSABLE as error:
            return error
        return None

    def _explain(self, override: Override, line: str, problem: Exception, chosen: list[str]) -> str:
        key = override.key_or_group
        if choices := self.choices(key):
            value = self._parse(line).value()
            chosen_here = value if isinstance(value, list) else [value]
            names = [line.partition("=")[2]] if value is None else [str(x) for x in chosen_here]
            wrong = next((name for name in names if name not in choices), None)
            if wrong is None:
                return f"cannot use {line}: {_reason(problem)}"
            return no_choice(key, wrong, choices)
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


def _several_values(override: Override) -> str:
    key, _, value = str(override.input_line).partition("=")
    one = f", and for one value with a comma write '{key}=\"{value}\"'"
    is_list = override.is_choice_sweep() and "(" not in value
    return f"{override.input_line} gives several values: for a sweep add -m{one if is_list else ''}"


def no_choice(group: str, value: str, choices: Sequence[str]) -> str:
    """The sentence on a choice that a group does not have."""
    listed = f"{', '.join(choices)}{did_you_mean(value, choices)}" if choices else "nothing"
    return f"{group} has no choice {value!r}; choose from {listed}"


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
    options = parse(in_order(arguments))
    overrides = OverridesParser.create().parse_overrides(options.overrides)
    with _opened(options, folder):
        tree = _Tree(overrides, options)
        return tree.compose([str(o.input_line) for o in overrides if not o.is_hydra_override()])


def as_value(value: Any) -> str:
    """A value of a configuration as that of an override; its interpolations stay."""
    if isinstance(value, str):
        return QuotedString(value, Quote.single).with_quotes()
    if isinstance(value, list):
        return f"[{','.join(map(as_value, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{as_value(inner)}' for key, inner in value.items())}}}"
    return "null" if value is None else str(value)
