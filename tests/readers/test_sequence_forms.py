"""Sequences and events as other programs write them: read right, doubted aloud, or refused.

All files that are read right hold the sequences of ROWS.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.sequence_rows import read_sequences

ROWS = [[f"i{j}" for j in range(k, k + 2 + k % 3)] for k in range(12)]
EVENTS = [(k, place, item) for k, row in enumerate(ROWS) for place, item in enumerate(row)]
SEQUENCES = {
    "bars": "".join("|".join(row) + "\n" for row in ROWS),
    "two colons": "".join("::".join(row) + "\n" for row in ROWS),
    "numbered": "".join(" ".join([str(k + 1), *row]) + "\n" for k, row in enumerate(ROWS)),
    "a colon": "".join(f"u{k}: {' '.join(row)}\n" for k, row in enumerate(ROWS)),
    "a tab, then spaces": "".join(f"u{k}\t{' '.join(row)}\n" for k, row in enumerate(ROWS)),
    "SPMF": "".join(" -1 ".join(row) + " -1 -2\n" for row in ROWS),
    "Python lists": "".join(f"{row}\n" for row in ROWS),
    "one array": json.dumps(ROWS),
    "one array, pretty": json.dumps(ROWS, indent=1),
    "lists by name": json.dumps({f"u{k}": row for k, row in enumerate(ROWS)}),
    "objects": "".join(json.dumps({"id": k, "items": row}) + "\n" for k, row in enumerate(ROWS)),
    "objects of events": "".join(
        json.dumps({"session": k, "events": [{"aid": x, "ts": n} for n, x in enumerate(row)]})
        + "\n"
        for k, row in enumerate(ROWS)
    ),
    "lists in CSV": "session_id,items\n" + "".join(f'{k},"{row}"\n' for k, row in enumerate(ROWS)),
    "RecBole": "session_id:token\titem_id:token\ttimestamp:float\n"
    + "".join(f"{s}\t{item}\t{place}\n" for s, place, item in EVENTS),
    "JSON events": "".join(
        json.dumps({"user_id": s, "asin": item, "timestamp": place}) + "\n"
        for s, place, item in EVENTS
    ),
    "sep=": "sep=;\nsession;item\n" + "".join(f"{s};{item}\n" for s, _, item in EVENTS),
    "comments": "# sessions\n" + "".join(" ".join(row) + "\n" for row in ROWS),
}


@pytest.mark.parametrize("name", [*SEQUENCES, "Parquet of events", "Parquet of lists"])
def test_sequences(tmp_path: Path, name: str) -> None:
    path = tmp_path / "sequences"
    if name == "Parquet of events":
        pl.DataFrame(EVENTS, ["session_id", "time", "item_id"], orient="row").write_parquet(path)
    elif name == "Parquet of lists":
        pl.DataFrame({"user": range(len(ROWS)), "items": ROWS}).write_parquet(path)
    else:
        path.write_text(SEQUENCES[name])
    found = read_sequences(str(path))
    ends = np.flatnonzero(np.diff(found.sequence)) + 1
    assert [list(x) for x in np.split(found.items.to_numpy(), ends)] == ROWS


WIDE = max(map(len, ROWS)) + 2
KINDS = "".join(f"{s},{x},{'remove' if s % 3 else 'add'}\n" for s, _, x in EVENTS)
DOUBTED = {
    "count first": ("".join(f"{len(row)} {' '.join(row)}\n" for row in ROWS),
                    ["first place of every line is the number of places", "cut -d' ' -f2-"]),
    "user, count": ("".join(f"u{k} {len(row)} {' '.join(row)}\n" for k, row in enumerate(ROWS)),
                    ["the second place of every line is the number"]),
    "empty cells": ("".join(f"{','.join(row):,<40}\n" for row in ROWS), []),
    "answers": ("user_id,item_id,liked\n" + KINDS.replace("remove", "0").replace("add", "1"),
                ["the column liked is 1 or 0, and is not read: if lines with 0 mean no interest"]),
    "padding": ("".join(" ".join([*row, *["0"] * (WIDE - len(row))]) + "\n" for row in ROWS),
                ["'0' fills most lines at the end", "sed -E 's/( 0)+ *$//'"]),
    "padding by a word": (
        "".join(" ".join([*row, *["[PAD]"] * (WIDE - len(row))]) + "\n" for row in ROWS),
        [r"sed -E 's/( \[PAD\])+ *$//'"]),
    "padding in front": (
        json.dumps([[0] * (WIDE - len(row)) + row for row in ROWS]),
        ["'0' fills most lines at the beginning", "sed -E 's/^(0 )+//'"]),
    "remove": ("session_id,item_id,event_type\n" + KINDS,
               ["by event_type: 'remove' ", ", 'add' ", "if 'remove' mean no interest, leave"]),
    "likes": ("user_id,item_id,action\n" + KINDS.replace("remove", "like"), []),
    "ends alike": ("".join(" ".join(row) + " checkout\n" for row in ROWS), []),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTED)
def test_places_and_events_that_may_be_no_items_are_said(tmp_path: Path, name: str) -> None:
    content, parts = DOUBTED[name]
    (tmp_path / "s").write_text(content)
    found = " ".join(read_sequences(str(tmp_path / "s")).warnings)
    assert bool(found) == bool(parts), found
    assert not [part for part in parts if part not in found], found


def test_sessions_whose_numbers_repeat_over_users(tmp_path: Path) -> None:
    rows = [(user, session, f"i{user}{session}{k}") for k in range(2) for user in "ab"
            for session in range(2)]  # fmt: skip
    path = tmp_path / "s"
    path.write_text("user_id,session_id,item_id\n" + "".join(f"{u},{s},{x}\n" for u, s, x in rows))
    found = read_sequences(str(path))
    assert "4 sequences by user_id and session_id" in found.said
    assert found.items.to_list() == [f"i{u}{s}{k}" for u in "ab" for s in range(2) for k in (0, 1)]
    assert found.sequence.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("".join(f"{s},{x},{t}\n" for s, t, x in EVENTS), "may be events.*put a header on top"),
        ("session,item,date\na,b,3/1/2020\na,c,12/1/2019\n", "does not sort as text"),
        ('{"a": 1}\n', "neither a sequence nor an event"),
        ('{"events": [{"aid": 1, "ts": 2}, {"aid": 3}]}\n', "not all events of a sequence have"),
    ],
)
def test_sequences_that_are_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "s").write_text(content)
    with pytest.raises(CatalogError, match=message):
        read_sequences(str(tmp_path / "s"))
