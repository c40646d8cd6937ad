"""The words of a command line in the form that Hydra reads: its options, then the overrides."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser  # of the command line
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from recsys_lab.compute.near_words import did_you_mean
from recsys_lab.config.path_words import literal_path
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.config.trainer_arguments import NOT_LISTED

# Groups that may have no choice.
OPTIONAL = ("logger", "callbacks", "experiment", "debug", "hparams_search")
PACKAGE = "pkg://"  # of a configuration within a Python package
_NULL = "null"
_NAMED_BY_USERS = "catalog.kinds."  # a mapping whose names are those of the user's events


def parse(words: Sequence[str]) -> Namespace:
    """Hydra's options, and the overrides between and behind them.

    Raises:
        ConfigurationError: an option is none of Hydra's, or not to be used.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    options, unread = parser.parse_known_intermixed_args(words)
    if unread:
        known = [name for name in parser._option_string_actions if name.startswith("--")]
        raise ConfigurationError(
            f"there is no option {unread[0]}{did_you_mean(unread[0], known)}; "
            "--hydra-help lists them"
        )
    if options.experimental_rerun is not None:
        raise ConfigurationError(
            "--experimental-rerun reads a pickle, which can run any code: go on with a run by "
            "resume=FOLDER"
        )
    for name in ("config_dir", "config_path"):
        path = getattr(options, name)
        if path and not path.startswith(PACKAGE):
            if not Path(path).is_dir():
                option = f"--{name.replace('_', '-')}"
                raise ConfigurationError(f"{option}: there is no folder {path}")
            setattr(options, name, str(Path(path).resolve()))  # Hydra takes it from elsewhere
    return options


def _refuse(message: str) -> NoReturn:
    raise ConfigurationError(f"{message}; --hydra-help lists the options")


def in_order(words: Sequence[str]) -> list[str]:
    """The same words with the options first, and such as `trainer.profiler=simple` made readable.

    Hydra itself reads no override behind an option that follows another override, adds no key
    without a plus, takes null for the choice of a group in files only, and reads signs of its own
    in paths.

    Raises:
        ConfigurationError: an option is none of Hydra's, or not to be used.
    """
    options = vars(parse(words))
    overrides = options.pop("overrides")
    first: list[str] = []
    for name, value in options.items():
        if value not in (None, False):
            option = f"--{name.replace('_', '-')}"
            first += [option] if value is True else [option, value]
    return [*first, *map(_as_hydra_reads, overrides)]


def read(words: Sequence[str]) -> list[Override]:
    """Overrides as Hydra understands them.

    Raises:
        ConfigurationError: naming the word that is none.
    """
    parser, found = OverridesParser.create(), []
    for word in words:
        key, equals, value = word.partition("=")
        try:
            found += parser.parse_overrides([word])
        except HydraException as error:
            remedy = f", such as '{key}=\"{value}\"' for text" if value else ""
            raise ConfigurationError(
                f"cannot read {word!r} on the command line: a word is KEY=VALUE, and a value with "
                f"blanks, commas, brackets or signs is quoted{remedy}"
                if equals
                else f"cannot read {word!r} on the command line: a word is KEY=VALUE, or an option"
            ) from error
        if not key.lstrip("+~"):
            raise ConfigurationError(f"cannot read {word!r} on the command line: it has no key")
    return found


def answers_only(options: Namespace) -> bool:
    """Whether Hydra shows something instead of running jobs, or refuses the options itself."""
    shows = options.help or options.hydra_help or options.info or options.shell_completion
    return bool(shows or options.cfg or options.resolve)


def _as_hydra_reads(word: str) -> str:
    """A word that Hydra would refuse, as one that it takes."""
    key, _, value = word.partition("=")
    section, _, rest = key.partition(".")
    if section == "trainer" and rest.partition(".")[0] in NOT_LISTED:
        return f"++{word}"  # an argument that the trainer has and the configuration does not list
    if f"{key}.".startswith(_NAMED_BY_USERS):
        return f"++{word}"
    if key in OPTIONAL and value == f"[{_NULL}]":
        return f"{key}=[]"
    if key in OPTIONAL and _NULL in (values := value.split(",")):
        return f"{key}={','.join('[]' if one == _NULL else one for one in values)}"
    return literal_path(word)


def as_value(value: Any) -> str:
    """A value of a configuration as that of an override; its interpolations stay."""
    if isinstance(value, str):
        return QuotedString(value, Quote.single).with_quotes()
    if isinstance(value, list):
        return f"[{','.join(map(as_value, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{as_value(inner)}' for key, inner in value.items())}}}"
    return "null" if value is None else str(value)
