"""Which columns of a table are the two items, the weight and the relation, and its header."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import is_number, show, yes_and_no
from recsys_lab.readers.column_kinds import are_row_numbers, are_times
from recsys_lab.readers.column_names import (
    SURE_WEIGHTS,
    describes_items,
    is_distance,
    is_index,
    is_known,
    is_nameless,
    item_pair,
    place_of,
    plain_name,
    users_and_items,
)
from recsys_lab.readers.number_style import NumberStyle, number_style
from recsys_lab.readers.weight_doubts import doubts_of_weights

JSON = "JSON values"  # in place of a separator
ROLES = ("source", "target", "weight", "type")
_FEWEST_ROWS = 10  # that a header is told by the form of
_FEWEST_ALIKE = 2  # the same, where all have one form
_MOST_TYPES = 8
_MOST_SAID = 8  # names of columns that are not read
_ARROWS = frozenset(["->", "-->", "--", "=>", "==>", "<->", "<-->", "\u2192", "\u2194"])
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_AMOUNT = re.compile(r"[^\w\s]?\s*\d")  # begins a price, a share, a number with its unit


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
    numbers: NumberStyle = field(default_factory=NumberStyle)
    stripped: bool = False
    users_items: tuple[str, str] | None = None
    first_edge: str = ""
    ignored: list[str] = field(default_factory=list)
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
    cells = [""] * shift + [cell.strip().strip('"') for cell in header or []]
    table = _Table(sample, data, cells, [plain_name(cell) for cell in cells])
    found = Columns(num_columns, {}, None if header is None else sample.lines[0])
    by_user = table.by_user(said, num_columns)
    if "source" in by_user:
        found.roles = by_user
    else:
        filled = table.filled(num_columns)
        others = [place for place in table.used(filled) if place not in by_user.values()]
        roles = table.by_name(found) or table.by_place(others, found.warnings)
        found.roles = {r: place for r, place in roles.items() if place not in by_user.values()}
        found.roles |= by_user
        left = [k for k in filled if cells and k not in found.roles.values()]
        table.refuse_answers(left)
        found.ignored = [cells[k] or "a column without a name" for k in left]
        found.warnings += table.distances(left, found.roles)
    weight = found.roles.get("weight")
    is_named = "weight" in by_user or (
        weight is not None and place_of("weight", table.names) == weight
    )
    _look_at_cells(found, sample, data, is_named=is_named)
    return found


# -- the header ----------------------------------------------------------------------------------


def _find_header(
    sample: Sample, num_columns: int, said: Mapping[str, str | int]
) -> list[str] | None:
    first, others = sample.rows[0], [r for r in sample.rows[1:] if len(r) == num_columns]
    if not num_columns - 1 <= len(first) <= num_columns or len(first) < 2:
        return None
    names = [plain_name(cell) for cell in first]
    wanted = {plain_name(name) for name in said.values() if isinstance(name, str)} - {""}
    if wanted & set(names):
        return first
    is_data = _is_like_data(first, names, others)
    if len(first) < num_columns:  # R writes no name above its row names
        begins = [row[0] for row in others]
        is_header = len(set(begins)) == len(begins) >= _FEWEST_ROWS or is_known(names)
        return first if is_header and not is_data else None
    if not first[0].strip() and others and all(row[0].strip() for row in others):
        return first  # the index of pandas: no id is empty
    place = said.get("weight", 3)
    weight = place - 1 if isinstance(place, int) and 0 < place <= len(first) else 2
    value = first[weight] if len(first) > weight else ""
    if is_number(value, with_comma=True):
        return None
    if is_known(names):
        return None if is_data else first
    cells = [row[weight] for row in others if num_columns > weight]
    numbers = sum(is_number(cell, with_comma=True) for cell in cells)
    if value and 2 * numbers > len(others):
        return first
    return first if _differs_in_form(first, others) else None


def _is_like_data(first: list[str], names: list[str], others: list[list[str]]) -> bool:
    """Whether a first line with usual names is an edge all the same, such as `item1 item2`."""
    rows = [row for row in others if row[: len(first)] != first]  # parts repeat their header
    for place in item_pair(names) or (0, 1):
        cell, column = first[place], [row[place] for row in rows]
        alike = sum(re.sub(r"\d+", "9", x) == re.sub(r"\d+", "9", cell) for x in column)
        if cell in column or (any(c.isdigit() for c in cell) and 2 * alike > len(column)):
            return True
    return max(map(len, first)) < 2 and len(rows) < _FEWEST_ROWS  # a,b


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


# -- the columns ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """The rows of a sample, with the cells of the header and their plain names, if there is one."""

    sample: Sample
    data: Sequence[list[str]]
    header: Sequence[str]
    names: Sequence[str]

    def filled(self, num_columns: int) -> list[int]:
        """Columns that hold anything but arrows."""
        columns = [{row[k].strip() for row in self.data} for k in range(num_columns)]
        return [k for k, cells in enumerate(columns) if cells - {""} and not cells <= _ARROWS]

    def used(self, filled: list[int]) -> list[int]:
        """The columns without those that, without a name, number the rows."""
        used = filled
        while self.names and len(used) > 2 and is_nameless(self.names[used[0]]):
            used = used[1:]
        return used if len(used) > 1 else [0, 1]

    def by_user(self, said: Mapping[str, str | int], num_columns: int) -> dict[str, int]:
        roles: dict[str, int] = {}
        written = [cell.lower() for cell in self.header]
        for role, name in said.items():
            if isinstance(name, int) or (name.isdecimal() and name not in written):
                place = int(name) - 1
            elif name.lower() in written:
                place = written.index(name.lower())
            else:
                plain = plain_name(name)
                place = self.names.index(plain) if plain in self.names else -1
            if not 0 <= place < num_columns:
                there = ", ".join(filter(None, self.header)) or f"1 to {num_columns}"
                raise CatalogError(
                    f"{self.sample.path}: columns.{role}={name} is no column of it; it has {there}"
                )
            roles[role] = place
        return roles

    def by_name(self, found: Columns) -> dict[str, int] | None:
        """The columns by the names of the header; None where it does not name two items."""
        pair = item_pair(self.names)
        if pair is None and (pair := users_and_items(self.names)):
            found.users_items = self.header[pair[0]], self.header[pair[1]]
        if pair is None:
            if describes_items(self.names):
                raise CatalogError(
                    f"{self.sample.path} describes items or nodes ({', '.join(self.header)}): give "
                    "the file of their edges, or say which columns are the two items with "
                    "columns.source= and columns.target="
                )
            return None
        roles = {"source": pair[0], "target": pair[1]}
        for role in ("weight", "type"):
            place = place_of(role, self.names)
            if place is not None and place not in roles.values():
                roles[role] = place
        if "weight" in roles and not self._holds_weights(roles["weight"]):
            del roles["weight"]  # such as the labels of Gephi
        return roles

    def _holds_weights(self, place: int) -> bool:
        cells = [row[place] for row in self.data]
        if self.names[place] in SURE_WEIGHTS:
            return any(is_number(cell) or any(map(str.isdigit, cell)) for cell in cells)
        return _share(is_number(cell, with_comma=True) for cell in cells) >= 0.5

    def by_place(self, used: list[int], warnings: list[str]) -> dict[str, int]:
        """Item, item, weight or relation, from the left; a column of row numbers is left out."""
        numbered = len(used) > 2 and are_row_numbers([row[used[0]] for row in self.data])
        if numbered and self.names and is_index(self.names[used[0]]):
            used, numbered = used[1:], False
        is_konect = self.sample.banner.lower().startswith(("% sym", "% asym"))
        if len(used) > 3 and not is_konect:
            raise CatalogError(self._unclear(len(used), "two or three are read"))
        roles = {"source": used[0], "target": used[1]}
        if len(used) == 2:
            return roles
        if self.names and is_distance(self.names[used[2]]):
            return roles
        third = [row[used[2]] for row in self.data]
        is_weight = _share(is_number(cell, with_comma=True) for cell in third) >= 0.5
        if numbered and (not is_weight or self._are_items(used[2])):
            raise CatalogError(self._unclear(3, "the first looks like row numbers"))
        if len({row[used[0]] for row in self.data}) == 1 and self._are_items(used[2]):
            raise CatalogError(self._unclear(3, "the first is the same in all lines"))
        if is_weight:
            if are_times(third):
                raise CatalogError(self._unclear(3, "the third looks like times, not weights"))
            if numbered:
                warnings.append(
                    "the first column looks like row numbers: if it is no item, say "
                    f"columns.source={used[1] + 1} columns.target={used[2] + 1}"
                )
            return roles | {"weight": used[2]}
        few = len(set(third)) <= min(_MOST_TYPES, len(third) // 2)
        if few and not any(_AMOUNT.match(cell) for cell in third):
            return roles | {"type": used[2]}
        raise CatalogError(self._unclear(3, "the third is neither a weight nor a relation"))

    def _are_items(self, place: int) -> bool:
        """Whether most values of a column are also in another one, and many differ."""
        own = {row[place] for row in self.data}
        others = {cell for row in self.data for k, cell in enumerate(row) if k not in (0, place)}
        return len(own) > len(self.data) // 4 and 2 * len(own & others) > len(own)

    def distances(self, left: Sequence[int], roles: Mapping[str, int]) -> list[str]:
        """A warning of a column that may be meant as the weight, and is small for close items."""
        found = [k for k in left if is_distance(self.names[k])]
        if "weight" in roles or not found:
            return []
        name = self.header[found[0]]
        return [
            f"the column {name} is not read: it is small for close items, while a weight is large "
            f"for them; columns.weight={name} takes it unchanged as the weight"
        ]

    def refuse_answers(self, places: Sequence[int]) -> None:
        """Refuse a column of yes and no beside the items, as not every line may be a pair."""
        for place in places:
            if answers := yes_and_no(row[place] for row in self.data):
                raise CatalogError(
                    f"{self.sample.path}: the column {self.header[place]} is {' or '.join(answers)}"
                    ", and may say which lines are pairs: keep those, or say which columns are "
                    "read with columns.source= and columns.target= (and columns.weight=)"
                )

    def _unclear(self, count: int, why: str) -> str:
        hint = "which are the items with columns.source=1 columns.target=2 (and columns.weight=3)"
        middle = {row[1] for row in self.data}
        if "relation" in why and len(middle) <= len(self.data) // 4:
            hint = (
                "if the second is a relation, columns.source=1 columns.type=2 columns.target=3, or "
                + hint
            )
        times = [
            k + 1
            for k in range(len((self.data or [[]])[0]))
            if are_times([r[k] for r in self.data])
        ]
        if times and count > 3:
            why += (
                f"; column {times[0]} looks like times, so these may be ratings or events of users,"
                " which are no pairs of items (sequences of events are read by "
                "data/source=sequence_file)"
            )
        if count > 3 and not self.header:
            hint += ", or layout=adjacency if a line is an item and its neighbours"
        return (
            f"{self.sample.path}: {count} columns between {self.sample.separator}, and {why}; the "
            f"first line is {show(self.sample.lines[0])}: say {hint}, by place or by the name in "
            "the header"
        )


def _share(found: Iterable[bool]) -> float:
    values = list(found)
    return sum(values) / max(1, len(values))


# -- cells ---------------------------------------------------------------------------------------


def _look_at_cells(
    found: Columns, sample: Sample, data: Sequence[list[str]], *, is_named: bool
) -> None:
    """The style of numbers, white space around ids, the first edge, and what looks wrong."""
    roles = found.roles
    ends = [[row[roles[end]] for row in data] for end in ("source", "target")]
    spaced = max((sum(c != c.strip() for c in cells) for cells in ends), default=0)
    found.stripped = bool(data) and spaced >= 0.9 * len(data)
    for begin, end in _BRACKETS.items():
        if (
            data
            and sample.separator != JSON
            and all(
                begin in a and end not in a and b.strip().endswith(end) and begin not in b
                for a, b in zip(*ends, strict=True)
            )
        ):
            raise CatalogError(
                f"{sample.path}: the lines stand in brackets, the first is "
                f"{show(sample.lines[0])}: write two ids and a separator in a line, or JSON lists"
            )
    quoted = sum(len(c) > 1 and c.strip()[:1] == c.strip()[-1:] == "'" for c in ends[0])
    if data and quoted >= 0.9 * len(data):
        found.warnings.append("single quotes around ids are taken as part of the ids")
    if "weight" in roles:
        weights = [row[roles["weight"]] for row in data]
        _look_at_weights(found, sample, weights)
        found.warnings += doubts_of_weights(weights, *ends, is_named=is_named)
    if data:
        first = [show(cells[0].strip() if found.stripped else cells[0]) for cells in ends]
        weight = f", weight {data[0][roles['weight']].strip()}" if "weight" in roles else ""
        found.first_edge = f"{first[0]} - {first[1]}{weight}"


def _look_at_weights(found: Columns, sample: Sample, weights: Sequence[str]) -> None:
    separator = ";" if sample.separator == "semicolon" else ""
    found.numbers = number_style(weights, separator)
    if found.numbers.in_doubt:
        odd = found.numbers.in_doubt
        raise CatalogError(
            f"{sample.path}: the weight {odd} may be {odd.replace(',', '.')} or "
            f"{odd.replace(',', '')}"
            ": write weights with a decimal point and without signs between thousands"
        )


def say_ignored(names: Sequence[str]) -> str:
    """The columns that are not read, for the user; empty for none."""
    named = [name for name in names if name]
    more = ", ..." if len(named) > _MOST_SAID else ""
    return f"not read: {', '.join(named[:_MOST_SAID])}{more}" if named else ""
