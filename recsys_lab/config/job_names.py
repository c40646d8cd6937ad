"""Names of the folders of a sweep's jobs: the number, and what was swept."""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.utils import get_args_parser  # of the command line
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf

_EXCLUDED = "hydra.job.config.override_dirname.exclude_keys"
_LONGEST = 200  # characters; file systems allow 255
_BETWEEN = "__"  # two settings, as in conf/config.yaml
_SETTING = re.compile(r"[+~]*(?P<key>[\w.@/]+)-(?P<value>.*)", re.DOTALL)


def without_constants(words: Sequence[str], conf: Path) -> list[str]:
    """The words of a command line; for a sweep, with one by which Hydra names no constants.

    What a sweep has only one value of is the same for all of its jobs, so it tells none of them.

    Args:
        words: after the program's name; they can be composed.
        conf: the configuration tree.
    """
    options, _ = get_args_parser().parse_known_args(words)
    try:
        typed = OverridesParser.create().parse_overrides(options.overrides)
    except HydraException:  # with --help, words are not checked
        return list(words)
    keys = [override.key_or_group for override in typed]
    if not options.multirun or _EXCLUDED in keys:
        return list(words)
    constant = [o.key_or_group for o in typed if not o.is_sweep_override()]
    always = OmegaConf.select(OmegaConf.load(conf / "config.yaml"), _EXCLUDED)
    names = dict.fromkeys([*always, *(key for key in constant if not key.startswith("hydra."))])
    texts = [QuotedString(name, Quote.single).with_quotes() for name in names]
    return [*words, f"{_EXCLUDED}=[{','.join(texts)}]"]


def job_name(text: str) -> str:
    """The name of a job's folder, by its number and its overrides as Hydra joins them.

    A key is cut to its last part where that tells it apart: `3_lr-0.2__seed-1`. No character of the
    name divides folders.

    Examples:
        >>> job_name("3_model-mf__optimizer.lr-0.2__seed-1")
        '3_model-mf__lr-0.2__seed-1'
        >>> job_name("0_")
        '0'
    """
    number, _, rest = str(text).partition("_")
    settings = [_SETTING.fullmatch(setting) for setting in rest.split(_BETWEEN)]
    keys = [found["key"] if found else "" for found in settings]
    lasts = [re.split(r"[./]", key)[-1] for key in keys]
    named = [
        f"{last if lasts.count(last) == 1 else key}-{found['value']}" if found else setting
        for setting, found, key, last in zip(
            rest.split(_BETWEEN), settings, keys, lasts, strict=True
        )
    ]
    name = f"{number}_{_BETWEEN.join(named)}".rstrip("_")
    return re.sub(r"[/\\\x00-\x1f]", "-", name.replace("'", "").replace('"', ""))[:_LONGEST]
