"""Similar items on a terminal; texts of catalogues are printed as they are, never interpreted."""

import math
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsys_lab.vectors.known_pairs import relation_text

Item = Mapping[str, Any]
_DIGITS = 4  # of the largest number in a column
_TEXT, _RELATION = 14, 16  # widths of columns
_MIN_TITLE, _LEAST_TITLE = 26, 10  # below the first, other texts are left out
_RELATED = "in training"  # the column of relations
_GAP = 2  # between columns


class Column(NamedTuple):
    """A column of a table; a cut one takes the space that the others leave."""

    name: str
    cells: list[str]
    kind: Literal["id", "number", "cut", "short", "folded"]


def printable(text: str | None) -> str:
    """A text in one line, without control characters and marks of direction; "" for None.

    Control characters are those of the Unicode categories Cc, Zl and Zp. Of the invisible ones
    (Cf) joiners stay, which emoji and many scripts need.
    """

    def plain(sign: str) -> str:
        category = unicodedata.category(sign)
        if category in ("Zl", "Zp") or sign in "\t\r\n":
            return " "
        hidden = category in ("Cc", "Cs") or (category == "Cf" and sign not in "\u200c\u200d")
        return "\N{REPLACEMENT CHARACTER}" if hidden else sign

    return "".join(map(plain, text or ""))


def console() -> Console:
    """One that interprets nothing."""
    return Console(highlight=False, markup=False, emoji=False)


def print_answers(document: Mapping[str, Any]) -> None:
    """Print the lists of `vectors.answers.answer`, each below the item that it belongs to."""
    out = console()
    for one in document["answers"]:
        if one["error"]:
            out.file.flush()
            sys.stderr.write(f"{printable(one['error'])}\n")
        elif one["item"]:
            out.print(_header(one["item"], document), soft_wrap=True)
            if one["similar"] and document["group"]:
                print_table(out, columns_of_nodes(one["similar"], printable(document["group"])))
            elif one["similar"]:
                print_table(out, _similar_columns(one["similar"]))
            else:
                out.print("no other item fits")
        else:
            out.print(_several(one), soft_wrap=True)
            print_table(out, columns_of_items(one["choices"]))
    if document["note"]:
        sys.stderr.write(f"{document['note']}\n")


def _header(item: Item, document: Mapping[str, Any]) -> str:
    """What the list belongs to, and how its scores were measured."""
    facts = [printable(item["title"]), printable(item["brand"]), _category(item), _price(item)]
    kind = f"{printable(document['group'])} near" if document["group"] else "Similar to"
    lines = [f"{kind} {', '.join(filter(None, [printable(item['item']), *facts]))}"]
    if not item["seen"]:
        lines.append("cold: from its side information, no training pair holds it")
    lines.append(measured_by(document))
    return "\n".join(lines)


def measured_by(document: Mapping[str, Any]) -> str:
    """The score, how it was measured, and the run."""
    measured = document["ndcg@10"]
    told = "" if measured is None else f", NDCG@10 {measured:.3f} on the test pairs"
    score = document["score"] or "inner product"
    return f"score: {score}{told}; {printable(document['run'])}"


def _several(one: Mapping[str, Any]) -> str:
    """The sentence above items to choose from."""
    count, shown = one["num_choices"], len(one["choices"])
    more = "" if shown == count else f", the first {shown}"
    return f"{count:,} titles fit {printable(one['asked'])!r} best: name one by its id{more}"


def _similar_columns(similar: Sequence[Item]) -> list[Column]:
    related = [relation_text(one["relation"]) if one["seen"] else "cold" for one in similar]
    values = {"score": [one["score"] for one in similar]}
    columns = columns_of_items(similar)
    if "parts" in similar[0]:
        columns = [column for column in columns if column.kind in ("id", "cut")]
        parts = {name: [one["parts"][name] for one in similar] for name in similar[0]["parts"]}
        values |= {name: some for name, some in parts.items() if any(some)}
    places = [str(place) for place in range(1, len(similar) + 1)]
    return [
        Column("", places, "number"),
        *columns,
        *(
            Column(name, cells, "number")
            for name, cells in zip(values, numbers(values), strict=True)
        ),
        Column(_RELATED, related, "folded"),
    ]


def columns_of_items(items: Sequence[Item]) -> list[Column]:
    """id, title, brand, category and price; without those that no item has."""
    columns = [
        Column("item", [printable(one["item"]) for one in items], "id"),
        Column("title", [printable(one["title"]) for one in items], "cut"),
        Column("brand", [printable(one["brand"]) for one in items], "short"),
        Column("category", [_category(one) for one in items], "short"),
        Column("price", [_price(one) for one in items], "number"),
    ]
    return [column for column in columns if any(column.cells)]


def columns_of_nodes(nodes: Sequence[Mapping[str, Any]], group: str) -> list[Column]:
    """Place, name, how often it is met in training (a user: events of the log), and score."""
    [scores] = numbers({"score": [one["score"] for one in nodes]})
    count = "events" if group == "user" else "occurrences"
    return [
        Column("", [str(place) for place in range(1, len(nodes) + 1)], "number"),
        Column(group, [printable(one["name"]) for one in nodes], "id"),
        Column(count, [f"{one['count']:,}" for one in nodes], "number"),
        Column("score", scores, "number"),
    ]


def print_table(out: Console, columns: Sequence[Column]) -> None:
    """Print a table as wide as the terminal; only texts are cut, and on a narrow one left out."""
    room = out.width - sum(_width(column) + _GAP for column in columns)  # for the title
    shown, wanted = list(columns), _MIN_TITLE if any(c.kind == "cut" for c in columns) else 0
    # texts that few items have are left out first, and relations last
    texts = sorted((c for c in columns if c.kind == "short"), key=lambda c: sum(map(bool, c.cells)))
    for column in [*texts, *(c for c in columns if c.kind == "folded")]:
        if room < wanted:
            room += _width(column) + _GAP
            shown.remove(column)
    longest = {column.name: _longest(column) for column in shown}
    widths = {column.name: _width(column) for column in shown}
    if "title" in widths:
        widths["title"] = min(longest["title"], max(room, _LEAST_TITLE))
        room -= widths["title"]
    if _RELATED in widths:
        widths[_RELATED] = min(longest[_RELATED], widths[_RELATED] + max(room, 0))
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for column in shown:
        table.add_column(
            column.name,
            justify="right" if column.kind == "number" else "left",
            no_wrap=column.kind != "folded",
            overflow="ellipsis",
            width=widths[column.name],
        )
    for row in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*map(Text, row))
    width, out.width = out.width, max(out.width, sum(widths.values()) + _GAP * len(shown))
    out.print(table)
    out.width = width


def _longest(column: Column) -> int:
    return max(map(cell_len, [column.name, *column.cells]))


def _width(column: Column) -> int:
    """Cells that a column takes; 0 for the one that is cut."""
    most = {"cut": 0, "short": _TEXT, "folded": _RELATION}
    return min(_longest(column), most.get(column.kind, _longest(column)))


def _category(item: Item) -> str:
    """The last label of the first category path."""
    paths = [path for path in item["categories"] or [] if path]
    return printable(paths[0][-1]) if paths else ""


def _price(item: Item) -> str:
    return "" if item["price"] is None else f"{item['price']:.2f}"


def numbers(columns: Mapping[str, Sequence[float]]) -> list[list[str]]:
    """Numbers with so many decimals that the largest of all columns has four digits."""
    largest = max((abs(x) for column in columns.values() for x in column), default=0) or 1.0
    decimals = min(max(_DIGITS - 1 - math.floor(math.log10(largest)), 0), 8)
    # adding zero removes the sign of a zero
    return [[f"{round(x, decimals) + 0.0:.{decimals}f}" for x in c] for c in columns.values()]
