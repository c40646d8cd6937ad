"""A log in many files: folders, patterns and parts, whatever the order of their columns."""

import gzip
import json

import polars as pl
import pytest

from recsys_lab.readers.account import CatalogError
from tests.readers.event_cases import event_source
from tests.readers.test_events import NAMES, ROWS, check_sample, table

TURNED = ("event", "timestamp", "user_id", "more", "item_id")


def turned(rows: list[tuple[object, ...]], separator: str = ",") -> str:
    return table(
        separator, TURNED, [(kind, time, user, "x", item) for user, item, time, kind in rows]
    )


@pytest.mark.parametrize("separator", [",", "\t"])
def test_text_with_columns_in_another_order(tmp_path, separator):
    (tmp_path / "part-0.csv").write_text(table(rows=ROWS[:2]))
    (tmp_path / "part-1.csv").write_text("")
    (tmp_path / "part-2.csv").write_text(turned(ROWS[2:], separator))
    (tmp_path / "_SUCCESS").write_text("")
    for path in (tmp_path, tmp_path / "part-*.csv"):
        records = event_source(path).read()
        check_sample(records)
        assert records.account.dropped == {"header": 2}


def test_text_with_a_header_in_the_first_part_only(tmp_path):
    (tmp_path / "a.csv").write_text(table(rows=ROWS[:2]))
    (tmp_path / "b.csv").write_text(table(names=None, rows=ROWS[2:]))
    check_sample(event_source(tmp_path).read())


def test_json_parts_of_lines_and_of_documents(tmp_path):
    rows = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    (tmp_path / "a.json").write_text("".join(json.dumps(row) + "\n" for row in rows[:2]))
    (tmp_path / "b.json").write_text(
        json.dumps([dict(reversed(row.items())) for row in rows[2:4]], indent=1)
    )
    (tmp_path / "c.json").write_text(json.dumps(rows[4]) + "\n")
    check_sample(event_source(tmp_path).read())


def test_parquet_parts_in_folders(tmp_path):
    frame = pl.DataFrame(ROWS, schema=NAMES, orient="row")
    for day, part in enumerate((frame[:2], frame[2:].select(reversed(NAMES)))):
        (tmp_path / f"day={day}").mkdir()
        part.write_parquet(tmp_path / f"day={day}" / "part.parquet")
    check_sample(event_source(tmp_path / "*" / "*.parquet").read())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_part_of_another_table_is_refused(tmp_path, kind):
    frame = pl.DataFrame(ROWS, schema=NAMES, orient="row")
    other = frame.rename({"item_id": "sku"})
    for name, part in (("a", frame), ("b", other)):
        getattr(part, f"write_{kind}")(tmp_path / f"{name}.{kind}")
    with pytest.raises(CatalogError, match="has no column item_id, as the files before it have"):
        event_source(tmp_path).read()


def test_a_truncated_part_is_named(tmp_path):
    (tmp_path / "a.csv").write_text(table(rows=ROWS[:2]))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(table(rows=ROWS[2:]).encode())[:-9])
    with pytest.raises(CatalogError, match=r"b\.csv\.gz: the gzip data is truncated"):
        event_source(tmp_path / "?.csv*").read()
