"""The jobs of a command line, composed before Hydra runs the first: keys and choices of overrides.

Hydra's messages do not list the valid keys. They come one job at a time, when the jobs before have
run and the folders are there.
"""

import fnmatch
import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from functools import cached_property
from itertools import accumulate, islice, product
from math import prod
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir, initialize_config_module
from hydra._internal.config_loader_impl import ConfigLoaderImpl  # of the overrides of values
from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from recsys_lab.config.command_words import PACKAGE, answers_only, in_order, parse, read
from recsys_lab.config.complaints import (
    check_folders,
    check_one_choice,
    gives_nothing,
    no_choice,
    no_choices,
    of_other_choice,
    of_search,
    reason,
    several_values,
    unknown_key,
)
from recsys_lab.config.search_path import SEARCH_PATH, added_folders
from recsys_lab.config.targets import ConfigurationError

Line = tuple[Override, str]  # an override, and one of its values as `key=value`
_BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
_KNOWN_EARLY = (
    "now:",
    "short_id:",
    "hydra.job.name",
    "hydra.runtime.choices.",
)  # interpolations of a folder
_UNUSABLE = (
    HydraException, OmegaConfBaseException, YAMLError, ValueError,
    AssertionError,  # of OmegaConf, for a key below null
)  # fmt: skip
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
    overrides = read(options.overrides)
    with _opened(options, folder):
        try:
            tree = _Tree(overrides, options)
            jobs = tree.jobs(sweep=options.multirun)
            complaints = (tree.explain_job(job) for job in jobs.each_value_once())
            complaint = next((found for found in complaints if found is not None), None)
        except (HydraException, ValueError) as error:  # of the search path
            raise ConfigurationError(reason(error)) from error
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
        added = added_folders(options.config_dir, overrides)
        quoted = ",".join(f"'{path}'" for path in added)
        self._search = [f"{SEARCH_PATH}=[{quoted}]"] if added else []
        self._own = [o for o in overrides if not o.is_hydra_override()]
        self._of_hydra = [
            str(o.input_line)
            for o in overrides
            if o.is_hydra_override() and o.key_or_group != SEARCH_PATH
        ]
        self._whole: DictConfig | None = None  # with Hydra's own section
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        self._parsed: dict[str, Override] = {}

    def jobs(self, *, sweep: bool) -> Jobs:
        """The jobs that Hydra's sweeper makes of the overrides."""
        hydra = self._hydra()
        sweep = sweep or (hydra is not None and "MULTIRUN" in str(hydra.mode))
        check_folders(self._of_hydra, sweep=sweep)
        is_basic = hydra is None or hydra.sweeper.get("_target_") == _BASIC
        swept = [] if hydra is None else (hydra.sweeper.get("params") or {}).items()
        words = [f"{key}={value}" for key, value in swept]
        every = [*OverridesParser.create().parse_overrides(words if sweep else []), *self._own]
        last = {override.get_key_element(): override for override in every}  # as Hydra does
        axes = []
        for override in last.values():
            texts = self._values(override)
            if override.is_sweep_override() and not sweep:
                takes_list = OmegaConf.is_list(self._present(override.key_or_group))
                raise ConfigurationError(several_values(override, takes_list=takes_list))
            if is_basic and override.is_interval_sweep():
                raise ConfigurationError(
                    f"cannot use {override.input_line}: Hydra's basic sweeper takes lists and "
                    "ranges of values, not intervals, which hparams_search=optuna takes"
                )
            axes.append([(override, text) for text in texts])
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
        before: DictConfig | None = None
        for count, line in enumerate(self._of_hydra):
            words = [*self._search, *self._of_hydra[: count + 1]]
            try:
                before = compose(self._name, words, return_hydra_config=True)
            except _UNUSABLE as error:
                key = self._parse(line).key_or_group
                known = before or self._without_options()
                found = self._wrong_choice(line) or unknown_key(key, known, (), self.choices)
                if found and key.startswith("hydra.sweeper."):
                    is_search = "n_trials" in known.hydra.sweeper
                    found += "" if is_search else of_search(key, self._keys_of_search())
                raise ConfigurationError(found or f"cannot use {line}: {reason(error)}") from error

    def _without_options(self) -> DictConfig:
        """The configuration with the choices of groups alone, or that of the defaults."""
        chosen = [str(o.input_line) for o in self._own if self._is_plain_choice(o)]
        try:
            return compose(self._name, [*self._search, *chosen], return_hydra_config=True)
        except _UNUSABLE:
            return compose(self._name, self._search, return_hydra_config=True)

    def _keys_of_search(self) -> list[str]:
        words = [*self._search, "hparams_search=optuna"]
        with suppress(*_UNUSABLE):  # a tree of the user's own
            found = compose(self._name, words, return_hydra_config=True)
            return [str(name) for name in found.hydra.sweeper if not str(name).startswith("_")]
        return []

    def _present(self, key: str) -> Any:
        """The value of a key before the command line sets it; None where that is not known."""
        return None if self._whole is None else OmegaConf.select(self._whole, key)

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
        return sorted(self._repository.get_group_options(group))

    @cached_property
    def _repository(self) -> CachingConfigRepository:
        """The files of the tree; the loader's own `get_group_options` reads them in each call."""
        loader: Any = GlobalHydra.instance().config_loader()
        return loader._parse_overrides_and_create_caching_repo(self._name, self._search)[1]

    def groups(self) -> list[str]:
        loader = GlobalHydra.instance().config_loader()
        found = loader.list_groups("")
        return sorted(name for name in found if name != "hydra")

    def _values(self, override: Override) -> list[str]:
        """`key=value` for each value; of an interval for its two ends."""
        if not override.is_sweep_override():
            return [str(override.input_line)]
        key, value = override.get_key_element(), override.value()
        if isinstance(value, Glob):
            return [f"{key}={name}" for name in self._matches(override, value)]
        if isinstance(value, IntervalSweep):
            return [f"{key}={value.start}", f"{key}={value.end}"]
        found = list(islice(override.sweep_string_iterator(), _MOST_VALUES + 1))
        if len(found) > _MOST_VALUES:
            raise ConfigurationError(
                f"{override.input_line} has more than {_MOST_VALUES:,} values: sweep over fewer"
            )
        if not found:
            raise ConfigurationError(gives_nothing(override))
        return [f"{key}={text}" for text in found]

    def _matches(self, override: Override, pattern: Glob) -> list[str]:
        """The choices of a pattern; each of its parts has to match one: it may be misspelt."""
        choices = self.choices(group := override.key_or_group)
        if not choices:
            raise ConfigurationError(no_choices(override))
        for part in (*pattern.include, *pattern.exclude):
            if not fnmatch.filter(choices, part):
                raise ConfigurationError(no_choice(group, part, choices))
        if not (found := pattern.filter(choices)):
            raise ConfigurationError(gives_nothing(override))
        return list(found)

    def explain_job(self, job: Sequence[Line]) -> str | None:
        """Why a job cannot be composed, in one sentence; None if it can."""
        if (whole := self._try([line for _, line in job])) is None:
            return next(filter(None, (self._wrong_choice(line) for _, line in job)), None)
        if (problem := self._try([])) is not None:
            return reason(problem)
        chosen: list[str] = []
        for override, line in job:
            if (problem := self._try([*chosen, line])) is not None:
                swept = [text for one, text in job if one.is_sweep_override() and text in chosen]
                where = f" (with {' '.join(swept)})" if swept else ""
                return self._explain(override, line, problem, chosen) + where
            chosen.append(line)
        return reason(whole)

    def _try(self, lines: Sequence[str]) -> Exception | None:
        try:
            self.compose(lines)
        except _UNUSABLE as error:
            return error
        return None

    def _explain(self, override: Override, line: str, problem: Exception, chosen: list[str]) -> str:
        key = override.key_or_group
        if self.choices(key):
            added = override.is_add() or override.is_force_add()
            if added and self._try([*chosen, f"{key}={line.partition('=')[2]}"]) is None:
                return f"cannot use {line}: leave the plus out, since a run has {key} already"
            return self._wrong_choice(line) or f"cannot use {line}: {reason(problem)}"
        found = unknown_key(key, self.compose(chosen), self.groups(), self.choices)
        return f"{found}{self._owners(key)}" if found else f"cannot use {line!r}: {reason(problem)}"

    def _owners(self, key: str) -> str:
        """The choices of the key's group that have it, in words; of the broadest such group."""
        *above, part = key.split(".")
        for group in accumulate(above, "{}/{}".format):
            having = []
            for choice in self.choices(group):
                with suppress(*_UNUSABLE):
                    node = OmegaConf.select(self.compose([f"{group}={choice}"]), ".".join(above))
                    having += [choice] if OmegaConf.is_dict(node) and part in node else []
            if having:
                return of_other_choice(key, group, having)
        return ""

    def _wrong_choice(self, line: str) -> str | None:
        """Why the choice of a group is none, also where Hydra finds a file by it; else None."""
        override = self._parse(line)
        group, value = override.key_or_group, override.value()
        if override.is_delete() or not (choices := self.choices(group)):
            return None
        if isinstance(value, list) and value:
            check_one_choice(group, line)
        for name in value if isinstance(value, list) else [value]:
            text = "null" if name is None else str(name)
            folder, _, last = text.rpartition("/")
            inner = self.choices(f"{group}/{folder}") if folder and ".." not in folder else []
            if text not in choices and last not in inner:
                return no_choice(group, text, [f"{folder}/{x}" for x in inner] or choices)
        return None


def compose_words(arguments: Sequence[str], folder: Path) -> DictConfig:
    """The configuration that the words of a command line compose, those of Hydra left out.

    Raises:
        HydraException: they cannot be composed, as `explain_overrides` tells.
    """
    options = parse(in_order(arguments))
    overrides = read(options.overrides)
    with _opened(options, folder):
        tree = _Tree(overrides, options)
        return tree.compose([str(o.input_line) for o in overrides if not o.is_hydra_override()])
