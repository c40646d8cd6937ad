"""Adjacency lists: a line is an item and its neighbours; told apart from baskets and sequences.

Lines with different numbers of ids may be adjacency lists, baskets, or sequences of users; only
the ids tell which. They are taken for adjacency lists where every id begins one line, and
neighbours list each other, or are listed by the earlier line of the two, as networkx writes them.
"""

import re
from collections import Counter
from collections.abc import Sequence

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import show

_FEWEST_LINES = 5
# Lines are ragged if fewer than these have one width: of two or three columns, and of more.
_ONE_WIDTH = 0.5
_ONE_LARGE_WIDTH = 0.8
LEVELS = (r"^([^\t]+)\t([^\t]*)$", r"^([^:\s]+):\s+(.*)$")  # `id`, a tab, `a,b,c`, or `id: a b c`
_LIBSVM_CELLS = 0.9
_LIBSVM = re.compile(r"\d+:[-+.\deE]+")


def is_ragged(rows: Sequence[list[str]], *, by_networkx: bool) -> bool:
    """Whether lines have different numbers of cells, beyond some lines that are bad."""
    widths = Counter(map(len, rows))
    usual, count = widths.most_common(1)[0]
    least = 1 if by_networkx else _ONE_LARGE_WIDTH if usual > 3 else _ONE_WIDTH
    return len(rows) >= _FEWEST_LINES and max(widths) > 2 and count < least * len(rows)


def two_levels(lines: Sequence[str]) -> tuple[str, str] | None:
    """How lists stand behind an id: the pattern of a line and their separator; None without."""
    for pattern in LEVELS:
        found = [re.match(pattern, line) for line in lines]
        if len(lines) < _FEWEST_LINES or not all(found):
            continue
        heads, tails = zip(*(match.groups() for match in found if match), strict=True)
        if len(set(heads)) < len(heads) or len(set(tails)) < 0.9 * len(tails):
            continue
        for separator in (",", ";", "|", " "):
            widths = Counter(len(tail.strip().split(separator)) for tail in tails)
            if len(widths) > 1 and max(widths) > 2 and 2 * widths[1] < len(tails):
                return pattern, separator
    return None


def are_adjacency_lists(rows: Sequence[list[str]], *, by_networkx: bool) -> bool:
    """Whether lines are adjacency lists for certain.

    Args:
        rows: the cells of all lines of a file, or, of a long one, of some.
        by_networkx: whether the comments before them are those of networkx.
    """
    place = {row[0]: k for k, row in enumerate(rows)}
    if len(place) < len(rows):
        return False
    if by_networkx:
        return True
    listed = [(row[0], other) for row in rows for other in row[1:] if other]
    if not all(other in place for _, other in listed):
        return False
    pairs = set(listed)
    later = sum(place[other] >= place[one] for one, other in listed)
    both = sum((other, one) in pairs for one, other in listed)
    return later == len(listed) or both == len(listed)


def refuse_libsvm(path: str, rows: Sequence[list[str]], lines: Sequence[str]) -> None:
    """Refuse lines of libsvm, a label and numbered features.

    Raises:
        CatalogError: most cells are a number, a colon and a number.
    """
    behind = [cell for row in rows for cell in row[1:]]
    if sum(_LIBSVM.fullmatch(cell) is not None for cell in behind) > _LIBSVM_CELLS * len(behind):
        raise CatalogError(
            f"{path} looks like libsvm, the first line is {show(lines[0])}, which holds features, "
            "no pairs of items: give a list of pairs"
        )


def refuse_in_doubt(path: str, rows: Sequence[list[str]], lines: Sequence[str], name: str) -> None:
    """Refuse lines with different numbers of cells.

    Raises:
        CatalogError: always; it names the forms that they may have, and the option.
    """
    first = show(lines[0])
    counts = rows[0]
    if len(counts) in (2, 3) and all(x.isdigit() for x in counts):
        ends = sum(map(len, rows[1:]))
        if int(counts[0]) == len(rows) - 1 and int(counts[1]) * 2 == ends:
            raise CatalogError(
                f"{path} is a graph of METIS (the first line is {first}), where the number of a "
                "line is the node: write the node in front of each line, and say layout=adjacency"
            )
    widths = sorted(map(len, rows))
    raise CatalogError(
        f"{path}: lines hold {widths[0]} to {widths[-1]} ids between {name}, the first is {first}: "
        "they may be adjacency lists, baskets, or sequences of users. Say layout=adjacency if the "
        "first id of a line is an item and the others are its neighbours, or layout=edges if a "
        "line is one pair; users with their items are read by catalog=events, and sequences beside "
        "a list of pairs by data/source=sequence_file"
    )
