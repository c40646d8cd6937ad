"""Words of a command line whose values are paths: a path is taken as it is typed.

Hydra reads `resume=outputs/0_model=mf,lr=0.1` as a mistake and `catalog.path=2024` as a number.
"""

from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from recsys_lab.config.paths import is_path


def quoted(text: str) -> str:
    """Any text as the value of an override, taken literally."""
    return QuotedString(text.replace("${", r"\${"), Quote.single).with_quotes()


def literal_path(word: str) -> str:
    """The word, quoted if its value is a path that Hydra would take for something else.

    What Hydra can read is left as it is unless it exists: `catalog.path=a.csv,b.csv` sweeps over
    two files, where there is none of that name. What Hydra cannot read is a path.
    """
    key, _, value = word.partition("=")
    if not value or not is_path(key.lstrip("+")):
        return word
    try:
        read = OverridesParser.create().parse_override(word).value()
    except HydraException:
        text = quoted(value) if _exists(value) else QuotedString(value, Quote.single).with_quotes()
        return f"{key}={text}"
    if read is None or read == value or not _exists(value):
        return word
    return f"{key}={quoted(value)}"


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long, no such user, a null byte
        return False
