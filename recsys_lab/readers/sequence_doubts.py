"""Signs that places of sequences hold no items: the number of the others, or padding."""

import re
from collections import Counter
from collections.abc import Sequence

from recsys_lab.readers.cells import show

_FEWEST_LINES = 3
_SAMPLE = 10_000
_ENDS = ((-1, "at the end", "( {0})+ *$"), (0, "at the beginning", "^({0} )+"))


def doubts_of_sequences(rows: Sequence[Sequence[str]]) -> list[str]:
    """What looks wrong with some sequences, for the user.

    Args:
        rows: the items of each.
    """
    some = [row for row in ([x for x in row if x] for row in rows[:_SAMPLE]) if len(row) > 1]
    if len(some) < _FEWEST_LINES:
        return []
    doubts = []
    lengths = {len(row) for row in some}
    for place, which in ((0, "first"), (1, "second")):
        if len(lengths) > place and all(x[place] == str(len(x) - place - 1) for x in some):
            doubts.append(
                f"the {which} place of every line is the number of places behind it, and is read "
                "as an item: leave it out, as cut -d' ' -f2- FILE > NEW does with the first place "
                "of lines between spaces"
            )
    for place, where, pattern in _ENDS:
        if (value := _padding(some, place)) is not None:
            escaped = re.sub(r"[][().*+?{}|^$/\\]", r"\\\g<0>", value)
            sed = f"sed -E 's/{pattern.format(escaped)}//' FILE > NEW"
            doubts.append(
                f"{show(value)} fills most lines {where}, and is read as an item: if it is "
                f"padding, take it off, as {sed} does between spaces"
            )
    return doubts


def _padding(rows: Sequence[Sequence[str]], place: int) -> str | None:
    """The value that fills one end of most lines, several times in many, and stands nowhere else.

    Args:
        rows: the items of each line.
        place: of the end in a line, -1 or 0.
    """
    value, count = Counter(row[place] for row in rows).most_common(1)[0]
    if 2 * count <= len(rows):
        return None
    runs = repeated = inside = 0
    for row in rows:
        ordered = row if place == 0 else row[::-1]
        run = next((k for k, item in enumerate(ordered) if item != value), len(row))
        runs += run > 0
        repeated += run > 1
        inside += value in ordered[run:]
    return value if 4 * repeated >= runs and 10 * inside <= len(rows) else None
