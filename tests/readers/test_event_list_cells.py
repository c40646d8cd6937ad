"""Rows that hold lists of items give the events that a row for each item gives."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.list_cells import spread
from recsys_lab.readers.records import Records
from tests.readers.event_cases import event_source
from tests.readers.test_events import check_sample, events_of

ROWS: list[dict[str, Any]] = [
    {"user_id": "bob", "item_ids": ["b", "a"], "timestamps": [1_700_000_000, 1_700_000_100],
     "event_types": ["view", "view"]},
    {"user_id": "ann", "item_ids": ["b", "a", "a"],
     "timestamps": [1_700_000_060, 1_700_003_700, 1_700_003_701],
     "event_types": ["view", "buy", "buy"]},
]  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    elif path.suffix == ".arrow":
        pl.DataFrame(rows).write_ipc(path)
    elif path.suffix == ".csv":  # as pandas writes lists
        cells = [{name: str(cell) for name, cell in row.items()} for row in rows]
        pl.DataFrame(cells).write_csv(path)
    elif path.suffix == ".json":  # one document
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, rows: list[dict[str, Any]], **options: Any) -> Records:
    records = event_source(write(path, rows), **options).read()
    assert records.account.lines == records.account.kept + records.account.dropped.total()
    assert records.account.kept == len(events_of(records))
    return records


FILES = ["log.parquet", "log.arrow", "log.jsonl", "log.json", "log.csv"]


@pytest.mark.parametrize("name", FILES)
def test_parallel_lists(tmp_path, name):
    records = read(tmp_path / name, ROWS)
    check_sample(records)
    assert records.account.dropped == ({"header": 1} if name == "log.csv" else {})
    assert records.account.notes == {}
    assert "item item_ids, time timestamps, kind event_types" in records.understood["events"]
    assert "lists of items in 2 rows" in records.understood["events"]


@pytest.mark.parametrize("name", ["log.parquet", "log.jsonl"])
def test_lists_of_objects(tmp_path, name):
    rows = [
        {"session": row["user_id"], "events": [
            {"aid": item, "ts": 1000 * time, "type": kind}
            for item, time, kind in zip(*list(row.values())[1:], strict=True)
        ]} for row in ROWS
    ]  # fmt: skip
    records = read(tmp_path / name, rows)
    events = events_of(records)
    assert events.users["user"].to_list() == ["ann", "bob"]
    assert events.item.tolist() == [1, 0, 0, 1, 0]
    assert events.session.tolist() == [0, 0, 0, 1, 1]
    assert events.kind_names == ("buy", "view")


@pytest.mark.parametrize("name", FILES)
def test_a_list_without_times_is_a_session(tmp_path, name):
    rows = [{"user": "ann", "items": ["b", "a"]}, {"user": "bob", "items": ["a"]},
            {"user": "ann", "items": ["c", "a"]}]  # fmt: skip
    events = events_of(read(tmp_path / name, rows))
    assert events.user.tolist() == [0, 0, 0, 0, 1]
    assert events.session.tolist() == [0, 0, 1, 1, 2]
    assert events.item.tolist() == [1, 0, 2, 0, 0]


def test_one_time_of_a_row_is_that_of_its_items(tmp_path):
    rows = [{"user": "ann", "date": "2024-01-02", "items": ["b", "a"]},
            {"user": "ann", "date": "2024-01-01", "items": ["c"]}]  # fmt: skip
    events = events_of(read(tmp_path / "log.parquet", rows))
    assert events.item.tolist() == [2, 1, 0]
    assert events.session.tolist() == [0, 1, 1]


@pytest.mark.parametrize("name", FILES[:3])
def test_ids_are_kept_as_written(tmp_path, name):
    ids = ["007", "a b", "x|y", "[z", "NaN", 'q"']
    assert sorted(read(tmp_path / name, [{"user": 1, "items": ids}]).items["item"]) == sorted(ids)


@pytest.mark.parametrize("name", FILES)
def test_unequal_lists_are_counted(tmp_path, name):
    rows = [*ROWS, {**ROWS[0], "user_id": "cat", "timestamps": [1_700_000_000]}]
    records = read(tmp_path / name, rows, max_bad_fraction=0.5)
    check_sample(records)
    assert records.account.dropped["lists of different lengths"] == 2
    with pytest.raises(CatalogError, match="2 lists of different lengths") as error:
        read(tmp_path / name, rows)
    assert "give each item of a row a value in every list, or allow more" in str(error.value)
    assert "cat" not in str(error.value)


def test_rows_without_items_and_lists_with_gaps(tmp_path):
    rows = [*ROWS, {**ROWS[0], "user_id": "cat", "item_ids": [], "timestamps": []},
            {**ROWS[0], "user_id": "dan", "item_ids": None}]  # fmt: skip
    for name in ("log.parquet", "log.jsonl"):
        records = read(tmp_path / name, rows)
        check_sample(records)
        assert records.account.dropped == {"user without an item": 2}
    rows = [*ROWS, {**ROWS[0], "item_ids": [None, "a"]}, {**ROWS[0], "timestamps": None}]
    dropped = read(tmp_path / name, rows, max_bad_fraction=0.9).account.dropped
    assert dropped == {"no item": 1, "time not understood": 2}


@pytest.mark.parametrize("name", ["log.parquet", "log.jsonl"])
def test_shown_lists(tmp_path, name):
    nested = [{"user": "ann", "items": ["a", "b"], "impressions": [["a", "x y"], ["b", "a"]]}]
    events = events_of(read(tmp_path / name, nested, outside_items="keep"))
    assert events.shown_offsets is not None
    assert events.shown_offsets.tolist() == [0, 2, 4]
    flat = [{"user": "ann", "items": ["a", "b"], "impressions": ["b", "x y", "a"]}]
    records = read(tmp_path / name, flat, outside_items="keep")
    events = events_of(records)
    assert events.shown_offsets is not None
    assert events.shown is not None
    assert events.shown_offsets.tolist() == [0, 0, 3]
    assert records.items["item"].gather(events.shown).to_list() == ["b", "x y", "a"]
    single = [{"user": "ann", "item": "a", "impressions": ["a", "x y"]}]
    records = read(tmp_path / name, single, outside_items="keep")
    assert records.items["item"].to_list() == ["a", "x y"]


def test_a_column_that_shows_nothing_is_none(tmp_path):
    (tmp_path / "log.csv").write_text("user,item,impressions\nann,a,\nann,b,\n")
    assert events_of(event_source(tmp_path / "log.csv").read()).shown_offsets is None


def test_repeated_rows_are_counted_by_their_items(tmp_path, caplog):
    records = read(tmp_path / "log.parquet", [ROWS[1], ROWS[1], ROWS[0]])
    assert records.account.notes == {"lines that repeat another": 3}
    assert "3 of 8 lines repeat another" in caplog.text


def test_parts_of_a_split(tmp_path):
    train = write(tmp_path / "train.parquet", [{"user": "u", "items": ["a", "b"]}])
    test = write(tmp_path / "test.jsonl", [{"user": "u", "items": ["c"]}])
    for layout in (None, "baskets"):
        events = events_of(event_source(train, test_path=str(test), layout=layout).read())
        assert events.item.tolist() == [0, 1, 2]
        assert events.part is not None
        assert events.part.tolist() == [0, 0, 2]


_SOME = st.lists(st.integers(0, 3), max_size=4) | st.none()


@given(st.lists(st.tuples(_SOME, _SOME), max_size=6))
def test_spread_by_a_plain_loop(cells):
    columns = {"number": [*range(len(cells))], "user": [f"u{k}" for k in range(len(cells))]}
    lists = {
        name: pl.Series([cell[k] for cell in cells], dtype=pl.List(pl.Int64))
        for k, name in enumerate(("item", "time"))
    }
    digest = pl.col("number").cast(pl.UInt64)
    rows = pl.DataFrame(columns | lists)
    rows = rows.with_columns(reason=pl.lit(None, pl.String), digest=digest)
    expected = []
    for number, (items, times) in enumerate(cells):
        fits = times is None or len(times) == len(items or [])
        for k, item in enumerate(items or [None]):
            reason = None if fits else "lists of different lengths"
            reason = reason if items else "user without an item"
            time = times[k] if items and times and fits else None
            expected.append((number, f"u{number}", item, time, reason))
    found = spread(rows, ["user", "item", "time"])
    assert found.select("number", "user", "item", "time", "reason").rows() == expected
