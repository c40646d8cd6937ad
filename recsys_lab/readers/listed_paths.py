"""Several paths in the place of one: `path=[part-1.json.gz,part-2.json.gz]`."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from recsys_lab.readers.account import CatalogError

if TYPE_CHECKING:
    Paths = str  # a list becomes `ListedPaths`, which is text, too
else:
    Paths = str | Sequence[str]


class ListedPaths(str):
    """Several paths, each a file, a folder or a pattern, as one text that names them all.

    Messages show the first of them and their number.

    Attributes:
        each: the paths.
    """

    each: tuple[str, ...]

    def __new__(cls, paths: Iterable[str]) -> "ListedPaths":
        """Take the paths in their order."""
        each = tuple(paths)
        made = super().__new__(cls, f"[{','.join(each)}]")
        made.each = each
        return made

    def __str__(self) -> str:
        more = f" and {len(self.each) - 1} more" if len(self.each) > 1 else ""
        return f"{self.each[0]}{more}"

    def __format__(self, how: str) -> str:
        return format(str(self), how)

    def __getnewargs__(self) -> tuple[tuple[str, ...]]:  # type: ignore[override]
        return (self.each,)


def as_path(path: Any) -> Any:
    """A path, which several that are given as a list become, too.

    Raises:
        CatalogError: the list holds anything but texts.
    """
    if path is None or isinstance(path, str):
        return path
    for one in path:
        if not isinstance(one, str):
            raise CatalogError(f"a path in the list must be text, got {one!r}: quote it")
    return ListedPaths(path)


def join_paths(source: Any, names: Iterable[str]) -> None:
    """Replace the lists among some fields of a frozen dataclass, in place.

    Raises:
        ValueError: a list is empty.
    """
    for name in names:
        value = getattr(source, name)
        if value is not None and not isinstance(value, str) and not value:
            raise ValueError(f"{name} is an empty list; give the path of the catalogue")
        object.__setattr__(source, name, as_path(value))
