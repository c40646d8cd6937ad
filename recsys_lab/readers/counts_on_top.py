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


def counts_on_top(rows: Sequence[list[str]]) -> list[tuple[int, int]]:
    """Numbers of nodes and of edges that a first line may hold, in either order.

    Args:
        rows: cells of the first lines of a file.
    """
    first, below = rows[0], rows[1:]
    if len(first) != 2 or not all(x.isascii() and x.isdecimal() for x in first):
        return []
    width, count = Counter(map(len, below)).most_common(1)[0] if below else (0, 0)
    if len(below) < _FEWEST_LINES or width not in (2, 3) or count < _ONE_WIDTH * len(below):
        return []
    one, other = map(int, first)
    num_ids = len(_ids(below))
    return [(n, m) for n, m in ((one, other), (other, one)) if n >= num_ids]


def are_counts(path: str, rows: Sequence[list[str]], line: str) -> bool:
    """Whether the first line of a whole file holds its counts.

    Args:
        path: the file, for messages.
        rows: cells of all lines.
        line: the first.

    Raises:
        CatalogError: it may hold the counts, and may be an edge.
    """
    below, ids = len(rows) - 1, _ids(rows[1:])
    low, high = (share * below for share in _NEARLY)
    for nodes, edges in counts_on_top(rows):
        if fit_lines(edges, below):
            if str(edges) in ids:
                refuse_counts(path, line)
            return True
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
