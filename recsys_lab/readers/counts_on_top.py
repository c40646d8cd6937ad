"""A first line that holds the number of nodes and of edges, as some graph tools write it: `60 180`.

It looks like an edge. It is left out where it fits all lines below and cannot be an edge of theirs,
and refused where it may be one.
"""

from collections import Counter
from collections.abc import Sequence

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import show

_FEWEST_LINES = 10
_ONE_WIDTH = 0.9  # of the lines below have one number of cells
_NEARLY = (0.9, 2.1)  # of the lines, where a pair stands once or twice


def counts_on_top(rows: Sequence[list[str]]) -> tuple[int, int] | None:
    """The two numbers of a first line that may be counts; None where it is none.

    Args:
        rows: cells of the first lines of a file.
    """
    first, below = rows[0], rows[1:]
    if len(first) != 2 or not all(x.isascii() and x.isdecimal() for x in first):
        return None
    width, count = Counter(map(len, below)).most_common(1)[0] if below else (0, 0)
    if len(below) < _FEWEST_LINES or width not in (2, 3) or count < _ONE_WIDTH * len(below):
        return None
    nodes, edges = map(int, first)
    return (nodes, edges) if nodes >= len(_ids(below)) else None


def are_counts(path: str, rows: Sequence[list[str]], line: str) -> bool:
    """Whether the first line of a whole file holds its counts.

    Args:
        path: the file, for messages.
        rows: cells of all lines.
        line: the first.

    Raises:
        CatalogError: it may hold the counts, and may be an edge.
    """
    found = counts_on_top(rows)
    if found is None:
        return False
    nodes, edges = found
    below = len(rows) - 1
    ids = _ids(rows[1:])
    if fit_lines(edges, below):
        if rows[0][1] in ids:
            refuse_counts(path, line)
        return True
    low, high = (share * below for share in _NEARLY)
    if nodes == len(ids) and low <= edges <= high and not ids & set(rows[0]):
        refuse_counts(path, line)
    return False


def fit_lines(edges: int, lines: int) -> bool:
    """Whether there are so many lines, each edge once or in both directions."""
    return lines in (edges, 2 * edges)


def refuse_counts(path: str, line: str) -> None:
    """Refuse a first line that may hold counts.

    Raises:
        CatalogError: always.
    """
    raise CatalogError(
        f"{path}: the first line, {show(line)}, fits the number of nodes and of the lines below: "
        "remove it if it counts them, or write it behind the other lines if it is an edge"
    )


def _ids(rows: Sequence[list[str]]) -> set[str]:
    return {cell.strip() for row in rows for cell in row[:2]}
