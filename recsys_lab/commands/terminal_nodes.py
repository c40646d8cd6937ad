"""Items for a type or a label, and nodes near an item, a user or a node, on a terminal."""

from collections.abc import Mapping
from typing import Any

from recsys_lab.commands.terminal import (
    Column,
    columns_of_items,
    columns_of_nodes,
    console,
    measured_by,
    numbers,
    print_table,
    printable,
)
from recsys_lab.compute.counts import count_of


def print_node_answer(document: Mapping[str, Any]) -> None:
    """Print what `vectors.node_answers` answers."""
    out = console()
    asked = document["asked"]
    name = f"{printable(asked['group'])} {printable(asked['name'])}"
    met = count_of(asked["count"], "event" if asked["group"] == "user" else "occurrence")
    if "nodes" in document:
        group = printable(document["group"])
        like = document["by"] == "cosine"
        out.print(f"{group} {'like' if like else 'near'} {name}, {met}", soft_wrap=True)
        out.print("score: cosine" if like else measured_by(document), soft_wrap=True)
        found = document["nodes"]
        columns = columns_of_nodes(found, group)
    else:
        out.print(f"For {name}, {met}\n{measured_by(document)}", soft_wrap=True)
        found = document["items"]
        [scores] = numbers({"score": [one["score"] for one in found]})
        places = [str(place) for place in range(1, len(found) + 1)]
        last = Column("score", scores, "number")
        columns = [Column("", places, "number"), *columns_of_items(found), last]
    if not found:
        out.print("nothing fits")
        return
    print_table(out, columns)
