"""Folders of a sweep's jobs, named by the number and by what was swept."""

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser  # of the command line
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from recsys_lab.compute.short_numbers import short_numbers

_EXCLUDED = "hydra.job.config.override_dirname.exclude_keys"
_LONGEST = 200  # characters; file systems allow 255
_BETWEEN = re.compile(r",(?=[+~]*[\w.@/]+=)")  # two settings
_SETTING = re.compile(r"[+~]*(?P<key>[\w.@/]+)=(?P<value>.*)", re.DOTALL)
OVERRIDES = Path(".hydra", "overrides.yaml")  # the words of a run

NO_RESULT = (  # keys that change no result of a run
    "skip_finished",
    "resume",
    "resume_with_changes",
    "evaluate",
    "prepared_dir",
    "max_memory_gb",
    "prepare",
    "ray_address",
    "evaluation.ray",
    "embeddings",
    "users",
    "projector",
    "trainer.enable_progress_bar",
    "checkpoint.every_n_steps",
    "checkpoint.every_n_minutes",
)


def without_constants(words: Sequence[str], conf: Path, *, is_sweep: bool = False) -> list[str]:
    """The words of a command line; for a sweep, with one by which Hydra names no constants.

    What a sweep has only one value of is the same for all of its jobs, so it tells none of them.

    Args:
        words: after the program's name; they can be composed.
        conf: the configuration tree.
        is_sweep: whether they are a sweep without saying so by -m, as a search is.
    """
    options, _ = get_args_parser().parse_known_args(words)
    try:
        typed = OverridesParser.create().parse_overrides(options.overrides)
    except HydraException:  # with --help, words are not checked
        return list(words)
    keys = [override.key_or_group for override in typed]
    if not (is_sweep or options.multirun) or _EXCLUDED in keys:
        return list(words)
    constant = [o.key_or_group for o in typed if not o.is_sweep_override()]
    always = OmegaConf.select(OmegaConf.load(conf / "config.yaml"), _EXCLUDED)
    names = dict.fromkeys([*always, *(key for key in constant if not key.startswith("hydra."))])
    texts = [QuotedString(name, Quote.single).with_quotes() for name in names]
    return [*words, f"{_EXCLUDED}=[{','.join(texts)}]"]


def job_name(text: str) -> str:
    """The name of a job's folder, by its number and its overrides as Hydra joins them.

    A key is cut to its last part where that tells it apart: `3_lr=0.2,seed=1`. Numbers that a
    search has drawn have four digits. No character of the name divides folders.

    Examples:
        >>> job_name("3_model=mf,optimizer.lr=0.2,seed=1")
        '3_model=mf,lr=0.2,seed=1'
        >>> job_name("0_")
        '0'
    """
    number, _, rest = str(text).partition("_")
    settings = _BETWEEN.split(rest)
    split = [_SETTING.fullmatch(setting) for setting in settings]
    keys = [found["key"] if found else "" for found in split]
    lasts = [re.split(r"[./]", key)[-1] for key in keys]
    named = [
        f"{last if lasts.count(last) == 1 else key}={found['value']}" if found else setting
        for setting, found, key, last in zip(settings, split, keys, lasts, strict=True)
    ]
    name = f"{number}_{short_numbers(','.join(named))}".rstrip("_")
    return re.sub(r"[/\\\x00-\x1f]", "-", name.replace("'", "").replace('"', ""))[:_LONGEST]


def job_folder(sweep: str, text: str, words: Sequence[str], *, is_trial: bool = False) -> str:
    """The folder of a job within that of its sweep: of an earlier job of the same words, or new.

    So a sweep that is run again with more values finds its jobs, whose numbers have changed.

    Args:
        sweep: folder of the sweep.
        text: number and overrides, as for `job_name`.
        words: all words of the job.
        is_trial: whether only the job of the same number is the same.
    """
    name, wanted = job_name(text), _settings(words)
    number = name.partition("_")[0]
    same = [
        path.parents[1].name
        for path in sorted(Path(sweep).glob(f"*/{OVERRIDES}"))
        if _stored(path, path.stat().st_mtime_ns) == wanted
    ]
    same.sort(key=lambda one: (one != name, one.partition("_")[0] != number))
    if is_trial:
        same = [one for one in same if one.partition("_")[0] == number]
    return same[0] if same else name


@lru_cache(maxsize=10_000)
def _stored(path: Path, changed: int) -> frozenset[str]:
    """The settings of the job of a file of words; none of a damaged one."""
    with suppress(OSError, ValueError, OmegaConfBaseException, YAMLError):
        words = OmegaConf.to_container(OmegaConf.load(path))
        if isinstance(words, list):
            return _settings(words)
    return frozenset({str(path)})


def _settings(words: Sequence[Any]) -> frozenset[str]:
    """Words that change results, without quotation marks."""
    plain = (str(word).replace("'", "").replace('"', "") for word in words)
    return frozenset(word for word in plain if word.partition("=")[0] not in NO_RESULT)
