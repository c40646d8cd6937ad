"""The configuration's prefix before the plain argument names of the library's messages."""

import re
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager

from recsys_lab.config.targets import ConfigurationError
from recsys_lab.models.task import TrainingError

Sections = Mapping[str, Set[str]]  # section -> names of its arguments


@contextmanager
def named(sections: Sections) -> Iterator[None]:
    """Turn an error of the library into one that names keys of the configuration.

    Args:
        sections: arguments by section; of sections that share a name, the first one has it.

    Raises:
        ConfigurationError: with the message of the library, prefixed.
    """
    try:
        yield
    except (ValueError, TrainingError) as error:
        raise ConfigurationError(with_prefixes(str(error), sections)) from error


def with_prefixes(message: str, sections: Sections) -> str:
    """`window must be >= 1` -> `data.window must be >= 1`, and `path=` -> `catalog.path=`.

    An argument is prefixed where it begins the message, where `=` follows it, and anywhere if it
    has an underscore, since such a name is no English word. A name behind a dot has its prefix.
    """
    section_of = {name: section for section, names in reversed(sections.items()) for name in names}
    if not section_of:
        return message

    def prefixed(found: re.Match[str]) -> str:
        name = found["name"]
        is_argument = found.start() == 0 or "_" in name or found["equals"]
        return f"{section_of[name]}.{found[0]}" if is_argument else found[0]

    names = "|".join(map(re.escape, sorted(section_of, key=len, reverse=True)))
    return re.sub(
        rf"(?<![\w./'\"-])(?P<name>{names})(?![\w/'\"-])(?!\.\w+\b(?! ))(?P<equals>=(?!=))?",
        prefixed,
        message,
    )
