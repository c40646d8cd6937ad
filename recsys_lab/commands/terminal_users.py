"""Items for a user, and users like a user, on a terminal."""

from collections.abc import Mapping
from typing import Any

from recsys_lab.commands.terminal import (
    Column,
    columns_of_items,
    console,
    measured_by,
    numbers,
    print_table,
    printable,
)
from recsys_lab.compute.counts import count_of


def print_user_answer(document: Mapping[str, Any]) -> None:
    """Print what `vectors.user_answers` answers."""
    out = console()
    user, events = printable(document["user"]), count_of(document["num_events"], "event")
    if "users" in document:
        out.print(f"Users like {user}, {events}\nscore: cosine of the users", soft_wrap=True)
        found = document["users"]
        columns = [
            Column("user", [printable(one["user"]) for one in found], "id"),
            Column("events", [f"{one['num_events']:,}" for one in found], "number"),
        ]
    else:
        names = [printable(one["title"] or one["item"]) for one in document["latest"]]
        lines = [f"For user {user}, {events}", f"latest: {'; '.join(names)}", measured_by(document)]
        out.print("\n".join(lines), soft_wrap=True)
        found = document["items"]
        columns = columns_of_items(found)
        if any(one["in_history"] for one in found):
            known = ["yes" if one["in_history"] else "" for one in found]
            columns.append(Column("in history", known, "short"))
    if not found:
        out.print("nothing fits")
        return
    places = [str(place) for place in range(1, len(found) + 1)]
    [scores] = numbers({"score": [one["score"] for one in found]})
    print_table(out, [Column("", places, "number"), *columns, Column("score", scores, "number")])
