"""The configuration's prefix before the plain argument names of the library's messages."""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager

from lightning_fabric.utilities.exceptions import MisconfigurationException

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
    except MisconfigurationException as error:  # of Lightning, which quotes names
        message = str(error).replace("`", "")
        raise ConfigurationError(with_prefixes(message, sections)) from error


def with_prefixes(message: str, sections: Sections) -> str:
    """`window must be >= 1` -> `data.window must be >= 1`, and `path=` -> `catalog.path=`.

    An argument gets its prefix where it begins the message, where `=` follows it, and anywhere if
    it has an underscore, since such a name is no English word. A prefixed name stays as it is.
    """
    section_of: dict[str, str] = {}
    for section, names in sections.items():
        section_of |= {name: section for name in names if name not in section_of}
    every = _one_of(section_of)
    underscored = _one_of(name for name in section_of if "_" in name)
    alone = r"(?<![\w./'\"-])"  # neither prefixed, nor quoted, nor a part of a path
    return re.sub(
        rf"^{every}(?![\w/-])(?!\.\w+:)|{alone}{every}(?=(?:\.\w+)*=[^=]|=$)|{alone}{underscored}(?![\w./'\"-])",
        lambda found: f"{section_of[found[0]]}.{found[0]}",
        message,
    )


def _one_of(names: Iterable[str]) -> str:
    """A pattern for any of some names; for nothing if there are none."""
    longest_first = sorted(names, key=len, reverse=True)
    return f"(?:{'|'.join(map(re.escape, longest_first))})" if longest_first else "(?!)"
