"""Logs of events in all forms give the same events, and every line is accounted for."""

import bz2
import gzip
import itertools
import json
import logging
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import zstandard

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.records import Events, Records
from tests.readers.event_cases import event_source

# Ann looks at b and, an hour later, buys a twice; Bob looks at b, then a.
ROWS = [
    ("bob", "b", 1_700_000_000, "view"),
    ("ann", "b", 1_700_000_060, "view"),
    ("bob", "a", 1_700_000_100, "view"),
    ("ann", "a", 1_700_003_700, "buy"),
    ("ann", "a", 1_700_003_701, "buy"),
]
NAMES = ("user_id", "item_id", "timestamp", "event")


def table(separator: str = ",", names: tuple[str, ...] | None = NAMES, rows: Any = ROWS) -> str:
    lines = [names, *rows] if names else rows
    return "".join(separator.join(map(str, line)) + "\n" for line in lines)


def read(path: Path, text: str | bytes, **options: Any) -> Records:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    records = event_source(path, **options).read()
    assert records.account.lines == records.account.kept + records.account.dropped.total()
    assert records.account.kept == len(records.events or ())
    assert len(records.sources) == len(records.targets) == len(records.weights) == 0
    return records


def events_of(records: Records) -> Events:
    assert records.events is not None
    return records.events


def check_sample(records: Records) -> None:
    events = events_of(records)
    assert records.items["item"].to_list() == ["a", "b"]
    assert events.users["user"].to_list() == ["ann", "bob"]
    assert events.user.tolist() == [0, 0, 0, 1, 1]
    assert events.item.tolist() == [1, 0, 0, 1, 0]
    assert events.session.tolist() == [0, 1, 1, 2, 2]
    assert events.time is not None
    assert (events.time - 1_700_000_000).tolist() == [60, 3700, 3701, 0, 100]
    assert events.kind_names == ("buy", "view")
    assert events.kind.tolist() == [1, 0, 0, 1, 1]
    assert events.weight.tolist() == [1, 1, 1, 1, 1]
    assert events.part is None
    assert events.shown is None
    assert events.shown_offsets is None
    assert [x.dtype for x in (events.user, events.item, events.session)] == [np.int32] * 3
    assert [events.time.dtype, events.kind.dtype, events.weight.dtype] == [
        np.float64, np.uint8, np.float32,
    ]  # fmt: skip


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
           "zst": zstandard.ZstdCompressor().compress}  # fmt: skip


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "::"])
def test_text(tmp_path, separator):
    records = read(tmp_path / "log.txt", table(separator))
    check_sample(records)
    assert records.account.dropped == {"header": 1}
    assert "user user_id, item item_id, time timestamp, kind event" in records.understood["events"]
    assert "times in seconds" in records.understood["events"]


@pytest.mark.parametrize("ending", PACKERS)
def test_packed(tmp_path, ending):
    check_sample(read(tmp_path / "log", PACKERS[ending](table().encode())))


def test_json_lines_and_documents(tmp_path):
    objects = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    check_sample(read(tmp_path / "a.jsonl", "\n".join(map(json.dumps, objects))))
    check_sample(read(tmp_path / "b.json", json.dumps(objects)))


def test_columns_of_parquet_and_arrow(tmp_path):
    frame = pl.DataFrame(ROWS, schema=list(NAMES), orient="row")
    frame = frame.with_columns(pl.from_epoch("timestamp").dt.cast_time_unit("ns"))
    frame.write_parquet(tmp_path / "log.parquet")
    check_sample(event_source(tmp_path / "log.parquet").read())
    frame.write_ipc(tmp_path / "log.arrow")
    check_sample(event_source(tmp_path / "log.arrow").read())


def test_a_folder_of_parts_repeats_its_header(tmp_path):
    (tmp_path / "parts").mkdir()
    for number, rows in enumerate((ROWS[:2], ROWS[2:])):
        (tmp_path / "parts" / f"part-{number}.csv").write_text(table(rows=rows))
    records = event_source(tmp_path / "parts").read()
    check_sample(records)
    assert records.account.dropped == {"header": 2}
    check_sample(event_source(tmp_path / "parts" / "part-*").read())


def test_places_of_columns_without_a_header(tmp_path):
    path = tmp_path / "log.dat"
    places = {"user": 1, "item": 2, "time": 3, "kind": 4}
    check_sample(read(path, table("::", None), columns=places))
    with pytest.raises(CatalogError, match=r"has 4 columns and no header.*columns\.user="):
        event_source(path).read()
    with pytest.raises(CatalogError, match=r"columns\.kind is 5, and .* has 4 columns"):
        event_source(path, columns=places | {"kind": 5}).read()


def test_unusual_names_are_refused_with_what_is_there_and_taken_when_said(tmp_path):
    path, names = tmp_path / "log.csv", ("wer", "was", "wann", "wie")
    path.write_text(table(names=names))
    with pytest.raises(CatalogError, match=r"has the columns wer, was, wann, wie.*columns\.item="):
        event_source(path).read()
    said = dict(zip(("user", "item", "time", "kind"), names, strict=True))
    check_sample(event_source(path, columns=said).read())
    with pytest.raises(CatalogError, match=r"columns\.time names wo, and .* the columns wer"):
        event_source(path, columns=said | {"time": "wo"}).read()
    with pytest.raises(CatalogError, match=r"columns\.who is no column that is read"):
        event_source(path, columns={"who": "wer"})


def test_users_or_sessions_that_are_mostly_missing_are_not_read(tmp_path):
    names = ("user", "order", "item", "time")
    rows = [("u", "", "a", 1), ("u", "", "b", 2), ("v", "7", "c", 3)]
    records = read(tmp_path / "log.csv", table(names=names, rows=rows))
    assert "order is mostly empty: not read" in records.understood["events"]
    assert events_of(records).session.tolist() == [0, 0, 1]
    with pytest.raises(CatalogError, match=r"2 no session.* say columns\.session=false"):
        read(tmp_path / "log.csv", table(names=names, rows=rows), columns={"session": "order"})
    rows = [("NA", "x", "a", 1), ("NA", "y", "b", 2), ("v", "y", "c", 9000)]
    records = read(tmp_path / "log.csv", table(names=names, rows=rows))
    events = events_of(records)
    assert events.users["user"].to_list() == ["x", "y"]
    assert events.session.tolist() == [0, 1, 1]  # named ones are not cut
    cut = read(tmp_path / "log.csv", table(names=names, rows=rows), cut_given_sessions=True)
    assert events_of(cut).session.tolist() == [0, 1, 2]


def test_a_column_that_false_leaves_out(tmp_path):
    records = read(tmp_path / "log.csv", table(), columns={"kind": False, "time": False})
    events = events_of(records)
    assert events.kind_names == ("event",)
    assert events.time is None
    assert events.session.tolist() == [0, 0, 0, 1, 1]  # without times nobody is idle
    assert events.item.tolist() == [1, 0, 0, 1, 0]  # in the order of the file


def test_bad_lines_are_counted_and_not_shown(tmp_path):
    path = tmp_path / "log.csv"
    bad = "ann,,1700000000,view\n,a,1700000000,view\nann,a,soon,view\nann,a\nann,\xff,1,view\n"
    lines = table().encode() + bad.encode("latin1") + b"\n"
    records = read(path, lines, max_bad_fraction=0.5)
    check_sample(records)
    assert records.account.dropped == {
        "header": 1, "blank": 1, "no item": 1, "no user": 1, "time not understood": 1,
        "wrong number of columns": 1, "not UTF-8": 1,
    }  # fmt: skip
    with pytest.raises(CatalogError, match=r"5 of 12 lines are bad.*the first is line 7;") as found:
        event_source(path).read()
    assert "ann" not in str(found.value)


def test_no_message_shows_a_user(tmp_path, caplog):
    """Neither a refusal nor a warning quotes a line of the file."""
    lines = {
        "text": ("secret1 a 7\nsecret2 b 8\nsecret1 b 9\n", {}),
        "quotes": (table() + 'secret1,"a\nb",7,view\n' * 3, {}),
        "json": ('{"secret1": [["a"]], "secret2": [["b"]]}', {}),
        "empty": ("user,item\n", {}),
        "kinds": (table(), {"kinds": {"none": 0}}),
    }
    for name, (text, options) in lines.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(CatalogError) as found:
            event_source(tmp_path / name, **options).read()
        assert not any(word in str(found.value) for word in ("secret", "ann", "bob")), name
    with caplog.at_level(logging.DEBUG):
        read(tmp_path / "log.csv", table() + "secret1,a,7,view\n" * 9)
    assert "secret1" not in caplog.text
    assert "8 of 14 lines repeat" in caplog.text


def test_kinds(tmp_path, caplog):
    events = events_of(read(tmp_path / "log.csv", table(), kinds={"buy": 3.5}))
    assert events.weight.tolist() == [1, 3.5, 3.5, 1, 1]
    records = read(tmp_path / "log.csv", table(), kinds={"view": 0})
    assert records.account.dropped == {"header": 1, "of kind view": 3}
    assert events_of(records).kind_names == ("buy",)
    assert records.items["item"].to_list() == ["a"]
    assert not caplog.records
    path = tmp_path / "removed.csv"
    read(path, table().replace("buy", "remove"))
    assert "'view' 3, 'remove' 2; if 'remove' mean no interest" in caplog.text.replace(
        "'remove' 2, 'view' 3", "'view' 3, 'remove' 2"
    )
    with pytest.raises(CatalogError, match=r"kinds\.cart is no kind .* these are view, remove"):
        event_source(path, kinds={"cart": 2}).read()
    with pytest.raises(CatalogError, match="kinds leaves out every kind"):
        event_source(path, kinds={"view": 0, "remove": 0}).read()


def test_a_column_of_many_values_is_none_of_kinds_unless_said(tmp_path):
    names = ("user", "item", "status")
    rows = [("u", "a", f"x{k}") for k in range(31)]
    records = read(tmp_path / "log.csv", table(names=names, rows=rows))
    assert events_of(records).kind_names == ("event",)
    assert "31 values: left out" in records.understood["events"]
    said = read(tmp_path / "log.csv", table(names=names, rows=rows), columns={"kind": "status"})
    assert len(events_of(said).kind_names) == 31
    rows = [("u", "a", f"x{k}") for k in range(300)]
    with pytest.raises(CatalogError, match=r"columns\.kind names a column of 300 values"):
        read(tmp_path / "log.csv", table(names=names, rows=rows), columns={"kind": "status"})


def test_quantities(tmp_path):
    names = ("user", "basket", "item", "qty")
    rows = [("u", 1, "a", 2), ("u", 1, "b", 0), ("u", 2, "c", -1), ("u", 2, "c", 3)]
    path, text = tmp_path / "log.csv", table(names=names, rows=rows)
    records = read(path, text)
    assert records.account.dropped == {"header": 1, "quantity below 0": 1}
    assert events_of(records).weight.tolist() == [1, 1, 1]
    records = read(path, text, use_quantity=True)
    assert records.account.dropped["quantity of 0"] == 1
    assert events_of(records).weight.tolist() == [2, 3]
    with pytest.raises(CatalogError, match=r"use_quantity is true.*columns\.quantity="):
        event_source(path, use_quantity=True, columns={"quantity": False}).read()


def test_filters_go_on_until_all_have_enough(tmp_path):
    """Item c falls, with it user w to one event, with w item b, and u and v keep a."""
    rows = [("u", "a"), ("v", "a"), ("u", "a"), ("v", "a"), ("w", "b"), ("w", "c"), ("u", "b")]
    text = table(names=("user", "item"), rows=rows)
    options = {"min_events_per_item": 2, "min_events_per_user": 2}
    records = read(tmp_path / "log.csv", text, **options)
    assert records.items["item"].to_list() == ["a"]
    assert events_of(records).users["user"].to_list() == ["u", "v"]
    assert records.account.dropped == {
        "header": 1,
        "of an item with fewer than 2 events": 2,
        "of a user with fewer than 2 events": 1,
    }
    with pytest.raises(CatalogError, match=r"nothing is left.*smaller min_events_per_item="):
        event_source(tmp_path / "log.csv", min_events_per_item=9).read()


def test_references_that_are_no_items(tmp_path):
    names = ("user_id", "session_id", "reference", "step", "action_type")
    rows = [("u", "s", 7, 3, "click"), ("u", "s", "Rome", 2, "search"), ("u", "s", 8, 1, "click")]
    records = read(tmp_path / "log.csv", table(names=names, rows=rows))
    assert records.items["item"].to_list() == ["7", "8"]
    assert events_of(records).item.tolist() == [1, 0]  # in the order of the steps
    assert records.account.dropped["no item but something else"] == 1
    assert "something else: search 1" in records.understood["events"]
    text = table().replace(",b,", ",B,")
    records = read(tmp_path / "log.csv", text, item_pattern="[a-z]")
    assert records.items["item"].to_list() == ["a"]


@pytest.mark.parametrize("form", ["a|c|z", "a,c z", '["a", "c", "z"]'])
def test_what_was_shown(tmp_path, form):
    rows = [("u", "b", 2, "b|q"), ("u", "b", 3, ""), ("u", "a", 1, form)]
    objects = [dict(zip(("user", "item", "time", "impressions"), r, strict=True)) for r in rows]
    if "|" not in form:
        objects[0]["impressions"] = ["b", "q"]
    text = "\n".join(map(json.dumps, objects))
    for outside, items, offsets, shown in (
        ("keep", "abcqz", [0, 3, 5, 5], "aczbq"),
        ("drop", "ab", [0, 1, 2, 2], "ab"),
    ):
        records = read(tmp_path / "log.jsonl", text, outside_items=outside)
        events = events_of(records)
        assert records.items["item"].to_list() == [*items]
        assert events.shown is not None
        assert events.shown_offsets is not None
        assert events.shown_offsets.tolist() == offsets
        assert records.items["item"].gather(events.shown).to_list() == [*shown]
        left_out = {"places of shown items without an event": 3} if outside == "drop" else {}
        assert records.account.notes == left_out


def test_sessions_of_users_may_share_their_names(tmp_path):
    names = ("user", "session", "item", "time")
    rows = [("u", 1, "a", 1), ("v", 1, "a", 2), ("u", 2, "b", 3), ("u", 1, "b", 4)]
    records = read(tmp_path / "log.csv", table(names=names, rows=rows))
    assert events_of(records).session.tolist() == [0, 1, 2, 3]
    assert records.account.notes == {"sessions cut by another of their user": 1}
    records = read(tmp_path / "log.csv", table(names=names, rows=rows), columns={"time": False})
    assert events_of(records).session.tolist() == [0, 0, 1, 2]
    assert records.items["item"].gather(events_of(records).item).to_list() == ["a", "b", "b", "a"]
    assert not records.account.notes


@pytest.mark.parametrize(("behind", "between"), [(" ", " "), ("\t", ","), (",", ",")])
def test_lists_of_items(tmp_path, behind, between):
    lists = {"u": "bab", "v": "ad", "x": "a", "y": "dab", "z": "dc"}
    lines = [f"{user}{behind}{between.join(items)}" for user, items in lists.items()]
    records = read(
        tmp_path / "lists.txt", "\n".join([*lines, "", f"w{behind}"]), layout="sequences"
    )
    events = events_of(records)
    assert events.users["user"].to_list() == [*lists]
    assert events.item[:6].tolist() == [1, 0, 1, 0, 3, 0]
    assert events.time is None
    assert events.session.tolist() == [0, 0, 0, 1, 1, 2, 3, 3, 3, 4, 4]
    assert records.account.dropped == {"blank": 1, "user without an item": 1}


def test_given_parts_are_sessions_of_their_own(tmp_path):
    text = "\n".join(f"{user} {' '.join(f'i{k}' for k in range(user + 1))}" for user in range(9))
    (tmp_path / "test.txt").write_text("1 i9\n0 i3 i4\n")
    records = read(tmp_path / "train.txt", text, test_path=str(tmp_path / "test.txt"))
    events = events_of(records)
    assert records.understood["events"].startswith("baskets, ")
    assert events.part is not None
    assert events.part.dtype == np.int8
    first = events.user < 2
    assert events.part[first].tolist() == [0, 2, 2, 0, 0, 2]
    assert events.session[first].tolist() == [0, 1, 1, 2, 2, 3]
    items = records.items["item"].gather(events.item[first]).to_list()
    assert items == ["i0", "i3", "i4", "i0", "i1", "i9"]
    with pytest.raises(CatalogError, match="val_path is set while test_path is not"):
        event_source(tmp_path / "train.txt", val_path="x")


def test_first_lines_are_checked_without_reading(tmp_path):
    (tmp_path / "log.csv").write_text("a,b\nx,y\n")
    with pytest.raises(CatalogError, match="has the columns a, b"):
        event_source(tmp_path / "log.csv").check_first_lines()


def test_sessions_of_one_event_each_are_given_up(tmp_path):
    names = ("user", "item", "time", "order_id")
    day, orders = 86_400, itertools.count()
    rows = [(f"u{u}", f"i{k}", day * k, next(orders)) for u in range(3) for k in range(8)]
    records = read(tmp_path / "log.csv", table(names=names[:3], rows=[row[:3] for row in rows]))
    assert events_of(records).session.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    said = "3 sessions, one for each user; few events have another within 30 minutes"
    assert said in records.understood["events"]
    records = read(tmp_path / "log.csv", table(names=names, rows=rows))
    assert events_of(records).session.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert "those of the file hold one event each" in records.understood["events"]
    records = read(
        tmp_path / "log.csv", table(names=names, rows=rows), columns={"session": "order_id"}
    )
    assert events_of(records).session.tolist() == [*range(24)]
    together = [(*row[:2], row[2] + 60, row[3]) for row in rows[:3]]
    text = table(names=names[:3], rows=[row[:3] for row in [*rows, *together]])
    assert events_of(read(tmp_path / "log.csv", text)).session[-1] == 23


def test_one_event_of_each_user_keeps_the_sessions(tmp_path):
    rows = [(f"u{u}", "i", 86_400 * u) for u in range(30)]
    said = read(tmp_path / "log.csv", table(names=NAMES[:3], rows=rows)).understood["events"]
    assert "30 sessions ended by 30 minutes without an event" in said
