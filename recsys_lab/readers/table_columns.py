"""Which columns of a table are the two items, the weight and the relation, and its header."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import has_decimal_comma, is_number, show

ROLES = ("source", "target", "weight", "type")
_NAMES = {
    "source": "source src from fromid from_id from_node fromnodeid start start_id source_id "
    "head i item item1 item_1 item_a item_id item_id1 item_id_1 id1 id_1 node1 node_1 "
    "product product_id itemid movieid product1 product_1 asin asin1 asin_1 user user_id userid "
    "query query_id left",
    "target": "target dst dest destination to toid to_id to_node tonodeid end end_id target_id "
    "tail j item2 item_2 item_b item_id2 item_id_2 related related_item related_item_id "
    "related_id id2 id_2 node2 node_2 product2 product_2 asin2 asin_2 neighbor neighbour right",
    "weight": "weight w value count counts freq frequency score rating strength times label",
    "type": "type relation relation_type edge_type kind predicate",
}
_RANKS = {  # name -> role, and how sure it is: of two names of one role the first in the list
    name: (role, rank) for role, names in _NAMES.items() for rank, name in enumerate(names.split())
}
_SECOND_IDS = frozenset({"item", "item_id", "asin", "product", "product_id", "itemid", "movieid"})
_INDEX_NAMES = frozenset({"", "unnamed: 0", "index", "id", "rowid", "row"})
_FEWEST_ROWS = 10  # that a header is told by the form of
_FEWEST_ALIKE = 2  # the same, where all have one form
_MOST_TYPES = 8


@dataclass(frozen=True)
class Sample:
    """The first lines of a file, taken apart.

    Attributes:
        path: the file, for messages.
        lines: lines that are not blank, the first of the table on.
        rows: their cells.
        separator: its name.
        banner: the first comment before them.
    """

    path: str
    lines: Sequence[str]
    rows: Sequence[list[str]]
    separator: str
    banner: str = ""


@dataclass
class Columns:
    """What is known of the columns; see `TableForm`."""

    num_columns: int
    roles: dict[str, int]
    header: str | None = None
    decimal_comma: bool = False
    stripped: bool = False
    first_edge: str = ""
    warnings: list[str] = field(default_factory=list)


def find_columns(sample: Sample, said: Mapping[str, str | int]) -> Columns:
    """The columns of a table.

    Args:
        sample: its first lines.
        said: name, or place from 1, of some columns by role; told by the user.

    Raises:
        CatalogError: they cannot be told, or what the user says does not fit.
    """
    widths = Counter(len(row) for row in sample.rows if len(row) > 1)
    if not widths:
        raise CatalogError(
            f"{sample.path}: no line has two columns, the first is {show(sample.lines[0])}: name "
            "the separator with separator=, or give a file with two items in a line"
        )
    most = max(widths.values())
    num_columns = max(width for width, count in widths.items() if count == most)
    header = _find_header(sample, num_columns, said)
    data = [row for row in sample.rows[header is not None :] if len(row) == num_columns]
    shift = num_columns - len(header) if header is not None else 0  # row names of R
    named = [""] * shift + [_plain(cell) for cell in header or []]
    used = [k for k in range(num_columns) if any(row[k].strip() for row in data)] or [0, 1]
    by_user = _by_user(sample, said, named, num_columns)
    warnings: list[str] = []
    if "source" in by_user:
        roles = by_user
    else:
        others = [place for place in used if place not in by_user.values()]
        roles = _by_name(named, data) or _by_place(sample, others, named, data, warnings)
        roles = {role: place for role, place in roles.items() if place not in by_user.values()}
        roles |= by_user
    found = Columns(num_columns, roles, None if header is None else sample.lines[0])
    found.warnings = warnings
    _look_at_cells(found, data)
    return found


def _plain(cell: str) -> str:
    """A name of a header in small letters; of the typed names of Neo4j, `x:START_ID`, the type."""
    name = cell.strip().strip('"').lower()
    before, _, kind = name.partition(":")
    kind = re.sub(r"\(.*\)", "", kind).strip()
    return kind if kind in ("start_id", "end_id", "type") else before if kind else name


def _find_header(
    sample: Sample, num_columns: int, said: Mapping[str, str | int]
) -> list[str] | None:
    first, others = sample.rows[0], [r for r in sample.rows[1:] if len(r) == num_columns]
    if not num_columns - 1 <= len(first) <= num_columns or len(first) < 2:
        return None
    names = [_plain(cell) for cell in first]
    if any(isinstance(name, str) and name.lower() in names for name in said.values()):
        return first
    if len(first) < num_columns:  # R writes no name above its row names
        return first if _roles_of(names) else None
    place = said.get("weight", 3)
    weight = place - 1 if isinstance(place, int) and 0 < place <= len(first) else 2
    value = first[weight] if len(first) > weight else ""
    if is_number(value, decimal_comma=True):
        return None
    if _roles_of(names):
        return first
    cells = [row[weight] for row in others if num_columns > weight]
    numbers = sum(is_number(cell, decimal_comma=True) for cell in cells)
    if value and 2 * numbers > len(others):
        return first
    return first if _differs_in_form(first, others) else None


def _differs_in_form(first: list[str], others: list[list[str]]) -> bool:
    """Whether the first two cells have another form than all below, and occur nowhere else.

    Of few rows only if all below have one form.
    """
    below = {cell for row in others for cell in row[:2]}
    forms = {_form(cell) for cell in below}
    if len(others) < _FEWEST_ROWS and not (len(others) >= _FEWEST_ALIKE and len(forms) == 1):
        return False
    return all(
        cell not in below and _form(cell) not in {_form(row[k]) for row in others}
        for k, cell in enumerate(first[:2])
    )


def _form(cell: str) -> str:
    """Runs of digits as 9, of letters as a."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", cell.strip()))


def _roles_of(names: Sequence[str]) -> dict[str, int] | None:
    """Places by role, where the names tell both items."""
    found: dict[str, tuple[int, int]] = {}  # rank and place by role
    for place, name in enumerate(names):
        role, rank = _RANKS.get(name, ("", 0))
        if role == "source" and "source" in found and name in _SECOND_IDS:
            role = "target"  # user_id, item_id
        if role and (role not in found or rank < found[role][0]):
            found[role] = rank, place
    roles = {role: place for role, (_, place) in found.items()}
    if "source" not in roles or "target" not in roles:
        return None
    return {role: roles[role] for role in ROLES if role in roles}


def _by_name(named: Sequence[str], data: Sequence[list[str]]) -> dict[str, int] | None:
    roles = _roles_of(named)
    if roles and "weight" in roles and not any(is_number(_point(r[roles["weight"]])) for r in data):
        del roles["weight"]  # such as the labels of Gephi
    return roles


def _point(cell: str) -> str:
    return cell.replace(",", ".") if has_decimal_comma(cell) else cell


def _by_user(
    sample: Sample, said: Mapping[str, str | int], named: Sequence[str], num_columns: int
) -> dict[str, int]:
    roles: dict[str, int] = {}
    for role, name in said.items():
        if isinstance(name, int) or (name.isdecimal() and name not in named):
            place = int(name) - 1
        else:
            place = named.index(name.lower()) if name.lower() in named else -1
        if not 0 <= place < num_columns:
            there = ", ".join(filter(None, named)) or f"1 to {num_columns}"
            raise CatalogError(
                f"{sample.path}: columns.{role}={name} is no column of it; it has {there}"
            )
        roles[role] = place
    return roles


def _by_place(
    sample: Sample,
    used: list[int],
    named: Sequence[str],
    data: Sequence[list[str]],
    warnings: list[str],
) -> dict[str, int]:
    """Item, item, weight or relation, from the left; a column of row numbers is left out."""
    numbered = [row[used[0]] for row in data]
    if len(used) > 2 and _are_row_numbers(numbered):
        if named and named[used[0]] in _INDEX_NAMES:
            used = used[1:]
        else:
            warnings.append("the first column looks like row numbers")
    is_konect = sample.banner.lower().startswith(("% sym", "% asym", "% bip"))
    if len(used) > 3 and not is_konect:
        raise CatalogError(_unclear(sample, len(used), "two or three are read"))
    roles = {"source": used[0], "target": used[1]}
    if len(used) == 2:
        return roles
    third = [row[used[2]] for row in data]
    if any(is_number(_point(cell)) for cell in third):
        roles["weight"] = used[2]
    elif len(set(third)) <= min(_MOST_TYPES, len(third) // 2):
        roles["type"] = used[2]
    else:
        raise CatalogError(_unclear(sample, 3, "the third is neither a weight nor a relation"))
    return roles


def _are_row_numbers(cells: Sequence[str]) -> bool:
    if len(cells) < _FEWEST_ROWS or not all(cell.isdecimal() for cell in cells):
        return False
    first = int(cells[0])
    return first in (0, 1) and [int(c) for c in cells] == list(range(first, first + len(cells)))


def _unclear(sample: Sample, count: int, why: str) -> str:
    return (
        f"{sample.path}: {count} columns between {sample.separator}, and {why}; the first line is "
        f"{show(sample.lines[0])}: say which are the items with columns.source=1 "
        "columns.target=2 (and columns.weight=3), by place or by the name in the header"
    )


def _look_at_cells(found: Columns, data: Sequence[list[str]]) -> None:
    """Decimal commas, white space around ids, the first edge, and what looks wrong."""
    roles = found.roles
    ends = [[row[roles[end]] for row in data] for end in ("source", "target")]
    spaced = max((sum(c != c.strip() for c in cells) for cells in ends), default=0)
    found.stripped = bool(data) and spaced >= 0.9 * len(data)
    if "weight" in roles:
        weights = [row[roles["weight"]] for row in data]
        found.decimal_comma = any(has_decimal_comma(c) for c in weights)
        known, distinct = set(ends[0]) | set(ends[1]), set(weights)
        if len(distinct) > max(20, len(data) // 2) and 2 * len(distinct & known) > len(distinct):
            found.warnings.append("the column of weights looks like ids")
    if data:
        first = [show(cells[0].strip() if found.stripped else cells[0]) for cells in ends]
        weight = f", weight {data[0][roles['weight']].strip()}" if "weight" in roles else ""
        found.first_edge = f"{first[0]} - {first[1]}{weight}"
